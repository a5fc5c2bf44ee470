# likeness: build, test, demo. `make demo` and `make test` do everything on a fresh Debian 12 machine.
#
#   make deps [CUDA=1] [DEVELOP=1]  install what it is built on (apt packages; wheels into .deps/); what lint, clang, CI want
#   make [ARCH=native]    build/likeness, for every CPU of level x86-64-v3 or for this one
#   make test [SAN=1]     the test suite; SAN=1: under AddressSanitizer and UBSan, SAN=thread: ThreadSanitizer
#   make demo             data, decoder, encoder, a report, in runs/demo and runs/demo-decoder
#   make bench            speed and memory, beside PyTorch
#   make oracle           regenerate tests/oracle/fixtures with PyTorch in a throw-away environment
#   make fuzz [SECONDS=60]  every parser of outside bytes under libFuzzer
#   make lint             what a compiler does not see; make format writes C as lint wants it
#   make nightly          what is too long for CI
#   make install PREFIX=/usr/local
#
# CFLAGS, CXXFLAGS, CPPFLAGS, LDFLAGS and LDLIBS are the user's, and come after the project's own. WERROR=1: warnings are errors.

DEPS ?= .deps
PREFIX ?= /usr/local
CC = gcc
CXX = g++
SECONDS ?= 60
ARCH ?= x86-64-v3

# make V=1 shows the commands in full.
Q = $(if $(V),,@)
say = @printf '%-5s %s\n'

variant = $(if $(SAN),san-$(SAN),release)
build = build/$(variant)
# build/likeness is the release program; sanitizer builds stay in their own folders.
program = $(if $(SAN),$(build)/likeness,build/likeness)

libraries = hdf5 zlib libarchive libturbojpeg libjpeg spng jansson yaml-0.1 libxxhash libutf8proc libprotobuf-c \
  libmicrohttpd
mpi_cflags := $(shell pkg-config --cflags ompi-c 2>/dev/null)
mpi_libs := $(shell pkg-config --libs ompi-c 2>/dev/null)
lib_cflags := $(shell pkg-config --cflags $(libraries) 2>/dev/null)
lib_libs := $(shell pkg-config --libs $(libraries) 2>/dev/null)
dlib_libs := $(shell pkg-config --libs dlib-1 2>/dev/null)
prefix = $(DESTDIR)$(PREFIX)
deps_path := $(shell realpath -ms '$(DEPS)')

sanitize_1 = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
sanitize_thread = -fsanitize=thread
sanitize = $(sanitize_$(SAN))
# UBSan in dlib's templates would take the compiler five minutes.
cxx_sanitize_1 = -fsanitize=address -fno-omit-frame-pointer
cxx_sanitize_thread = $(sanitize_thread)
optimize = -O3 -g
# Products and sums are never fused, so that digits are the same on every CPU and with both compilers.
machine = -march=$(ARCH) -ffp-contract=off
warnings = -Wall -Wextra $(if $(WERROR),-Werror)
c_warnings = -Wno-unknown-warning-option -Wno-format-truncation -Wshadow -Wstrict-prototypes -Wvla
c_flags = -std=c11 $(warnings) $(c_warnings) $(optimize) $(machine) $(sanitize) -pthread
cxx_flags = -std=c++17 $(warnings) $(if $(SAN),-O1,-O3) $(machine) $(cxx_sanitize_$(SAN))
cpp_flags = -D_GNU_SOURCE -I. -I$(build) $(lib_cflags)
# Only the tensors see libtorch's headers, only the collectives MPI's.
$(build)/trainer/tensor/%.o: room_cflags = -isystem '$(deps_path)/include'
$(build)/collectives/mpi.o: room_cflags = $(mpi_cflags)
# Loops for wider vectors, chosen at run time.
$(build)/trainer/tensor/%_avx512.o $(build)/trainer/kernels/%_avx512.o: \
  machine = -march=x86-64-v4 -mprefer-vector-width=512 -ffp-contract=off
ld_flags = $(sanitize) -pthread -rdynamic -L'$(deps_path)/lib' -Wl,-rpath,'$$ORIGIN/../lib/likeness' \
  -Xlinker -rpath -Xlinker '$(deps_path)/lib'
ld_libs = -ltorch_cpu -lc10 $(lib_libs) $(mpi_libs) $(dlib_libs) -lstdc++ -lm -ldl

rooms = base base/device configs dataset dataset/client dataset/align dataset/label dataset/pack collectives \
  trainer/kernels trainer/tensor/cuda trainer/tensor trainer/model trainer/record trainer/evaluate trainer \
  launch/serve launch/command launch/report launch/bench
sources := $(wildcard $(rooms:=/*.c))
cxx_sources := $(wildcard dataset/align/*.cc)
objects = $(sources:%.c=$(build)/%.o) $(cxx_sources:%.cc=$(build)/%.o)
generated = $(patsubst %.proto,$(build)/%.pb-c.o,$(wildcard $(rooms:=/*.proto)))
archive = $(build)/liblikeness.a
# test_* are run as they are; mpi_* (on several ranks) and print_* by tests/run, print_augment by hand.
unit_tests := $(patsubst tests/unit/%.c,$(build)/tests/%,$(wildcard $(addprefix tests/unit/,test_*.c mpi_*.c print_*.c)))

# A compiler or flags other than the last time's build anew.
compile = $(CC) $(cpp_flags) $(CPPFLAGS) $(c_flags) $(CFLAGS)
built_with := $(compile) $(CXX) $(cxx_flags) $(CXXFLAGS) $(ld_flags) $(LDFLAGS) $(ld_libs) $(LDLIBS)
ifeq (,$(findstring n,$(filter-out -%,$(firstword $(MAKEFLAGS))))) # not of make -n
ifneq ($(built_with),$(file <$(build)/flags))
$(shell mkdir -p $(build))$(file >$(build)/flags,$(built_with))
endif
endif

.PHONY: FORCE all deps have-deps test demo bench oracle fuzz lint format nightly install clean unit-tests
.DELETE_ON_ERROR:
.SECONDARY:

all: $(program) compile_commands.json

$(build)/flags: ; # is there by now, but for make -n in a fresh tree

deps:
	launch/setup/dependencies.sh '$(DEPS)' $(if $(CUDA),cuda) $(if $(DEVELOP),develop)

# Else a compiler would say which of its files it does not find.
have-deps:
	@[ -e '$(deps_path)/lib' ] || { echo "make: error: $(deps_path) holds nothing to build on; make deps installs it" >&2; exit 1; }

$(program): $(build)/launch/main.o $(archive)
	$(say) LINK $@
	$(Q)$(CC) $(ld_flags) $(LDFLAGS) -o $@ $^ $(ld_libs) $(LDLIBS)
	@ln -sfn '$(deps_path)/client' build/client # what the client draws, where the programs below build/ look for it

# Made anew each time: ar would keep members whose source is gone. Appended: rooms have files of the same name.
$(archive): $(objects) $(generated)
	$(Q)rm -f $@ && ar qcs $@ $^

$(build)/%.o: %.c $(build)/flags | have-deps
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(compile) $(room_cflags) -MMD -MP -c -o $@ $<

$(build)/%.o: %.cc $(build)/flags | have-deps
	@mkdir -p $(@D)
	$(say) CXX $<
	$(Q)$(CXX) -I. $(CPPFLAGS) $(cxx_flags) $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(build)/%.pb-c.c $(build)/%.pb-c.h &: %.proto | have-deps
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=. --c_out=$(build) $<

$(build)/%.pb-c.o: $(build)/%.pb-c.c
	$(Q)$(CC) $(cpp_flags) $(CPPFLAGS) -std=c11 $(optimize) $(machine) $(sanitize) $(CFLAGS) -c -o $@ $<

# The sources of the CUDA kernels stand in the program, which compiles them for the GPU that it finds; so does the page.
$(build)/trainer/tensor/cuda/sources.o: $(wildcard trainer/tensor/cuda/*.cu trainer/tensor/cuda/*.h)
$(build)/launch/serve/page.o: $(wildcard launch/serve/page.*)

# Looked at by every make, changed only when it says something else.
$(build)/base/source_version.h: FORCE
	@mkdir -p $(@D)
	@echo "#define LK_SOURCE_VERSION \"$$(launch/setup/version.sh)\"" >$@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(build)/base/version.o: $(build)/base/source_version.h

# Sources that include a generated header wait for it.
$(foreach s,$(shell grep -l 'pb-c\.h' $(sources) 2>/dev/null),$(eval $(build)/$(s:.c=.o): $(generated:.o=.h)))

$(build)/tests/%: tests/unit/%.c $(archive)
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(compile) -MMD -MP $(ld_flags) $(LDFLAGS) -o $@ $< $(archive) -lcmocka $(ld_libs) $(LDLIBS)

# Preloaded by the tests of failing disks.
$(build)/tests/faults.so: tests/faults/faults.c
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(CC) -D_GNU_SOURCE -std=gnu11 -Wall -Wextra -Werror -O2 -fPIC -shared -o $@ $< -ldl

# Stand-ins for NVIDIA's libraries, for tests without a GPU.
stand_ins = $(build)/tests/stand_in/libcudart.so.13 $(build)/tests/stand_in/libnccl.so.2
stand_in = $(CC) -D_GNU_SOURCE -std=gnu11 -I. -Wall -Wextra -Werror -O2 $(sanitize) -fPIC -shared -pthread \
  -Wl,-soname,$(@F) -Wl,-rpath,'$$ORIGIN' -o $@

$(build)/tests/stand_in/libcudart.so.13: tests/stand_in/cudart.c tests/stand_in/stand_in.h
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(stand_in) $<

$(build)/tests/stand_in/libnccl.so.2: tests/stand_in/nccl.c tests/stand_in/stand_in.h $(build)/tests/stand_in/libcudart.so.13
	@mkdir -p $(@D)
	$(say) LINK $@
	$(Q)$(stand_in) $< $(build)/tests/stand_in/libcudart.so.13

unit-tests: $(unit_tests) $(build)/tests/faults.so $(stand_ins)

# For editors. All files with all rooms' paths.
compile_commands.json: Makefile $(sources) $(build)/flags
	@flags=$$(sed 's/["\\]/\\&/g' $(build)/flags); sep='['; for s in $(sources) launch/main.c; do \
	  printf '%s\n{"directory": "%s", "file": "%s", "command": "%s %s -c %s"}' "$$sep" '$(CURDIR)' $$s \
	    "$${flags%% $(CXX) *}" "-isystem '$(deps_path)/include' $(mpi_cflags)" $$s; sep=,; done >$@; printf '\n]\n' >>$@

# The suite and the demo install and build by themselves; a second make sees the packages that the first one installed.
test: deps
	+$(MAKE) --no-print-directory all unit-tests
	tests/run-all $(build) $(program)

demo: deps
	+$(MAKE) --no-print-directory all
	launch/setup/demo.sh

bench: deps
	+$(MAKE) --no-print-directory all
	tests/bench/compare $(program)

oracle: deps
	tests/oracle/regenerate

fuzz: deps
	tests/fuzz/run $(SECONDS)

lint:
	tests/lint

format:
	git ls-files '*.c' '*.h' '*.cc' '*.cu' | xargs clang-format -i

nightly: deps
	tests/nightly

# With CUDA all libraries that make deps linked: they load each other when a GPU is used, from the folder that they lie in.
with_cuda = $(shell grep -ws cuda '$(deps_path)/.installed')
# Nothing is written over: a training that runs the libraries that were there would crash.
libraries = $(if $(with_cuda),*.so*,lib{torch_cpu.so,c10.so,gomp.so.1,cudart.so.13,cupti.so.13})
install: all
	install -d '$(prefix)'/{bin,lib/likeness,share/likeness/launch/job}
	install build/likeness '$(prefix)/bin/'
	cp -L --remove-destination '$(deps_path)'/lib/$(libraries) '$(prefix)/lib/likeness/'
	cp -r configs/*.yaml '$(deps_path)/client' '$(prefix)/share/likeness/'
	install launch/submit launch/local launch/sweep '$(prefix)/share/likeness/launch/'
	install -m 644 launch/job/*.sh '$(prefix)/share/likeness/launch/job/'
	install -d '$(prefix)/share/bash-completion/completions'
	build/likeness completion bash >'$(prefix)/share/bash-completion/completions/likeness'

clean:
	rm -rf build compile_commands.json

SHELL = /bin/bash
-include $(objects:.o=.d) $(unit_tests:=.d) $(build)/launch/main.d
