# likeness: build, test, demo. `make demo` and `make test` do everything on a fresh Debian 12 machine.
#
#   make deps [CUDA=1]    install what it is built on (apt packages; wheels into .deps/)
#   make                  build/likeness
#   make test [SAN=1]     the test suite; SAN=1: under AddressSanitizer and UBSan, SAN=thread: ThreadSanitizer
#   make demo             data, decoder, encoder on two ranks, a report, in runs/demo and runs/demo-decoder
#   make bench            speed and memory
#   make oracle           regenerate tests/oracle/fixtures with PyTorch in a throw-away environment
#   make fuzz [SECONDS=60]  every parser of outside bytes under libFuzzer
#   make install PREFIX=/usr/local

DEPS ?= .deps
PREFIX ?= /usr/local
CC = gcc
CXX = g++
SECONDS ?= 60

# make V=1 shows the commands in full.
Q = $(if $(V),,@)
say = @printf '%-5s %s\n'

variant = $(if $(SAN),san-$(SAN),release)
build = build/$(variant)
# build/likeness is the release program; sanitizer builds stay in their own folders.
program = $(if $(SAN),$(build)/likeness,build/likeness)

libraries = hdf5 zlib libarchive libturbojpeg libjpeg spng jansson yaml-0.1 libxxhash libutf8proc libprotobuf-c
mpi_cflags := $(shell pkg-config --cflags ompi-c 2>/dev/null)
mpi_libs := $(shell pkg-config --libs ompi-c 2>/dev/null)
lib_cflags := $(shell pkg-config --cflags $(libraries) 2>/dev/null)
lib_libs := $(shell pkg-config --libs $(libraries) 2>/dev/null)
dlib_libs := $(shell pkg-config --libs dlib-1 2>/dev/null)

sanitize_1 = -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
sanitize_thread = -fsanitize=thread
sanitize = $(sanitize_$(SAN))
optimize = -O3 -g
arch = -march=native

CFLAGS = -std=c11 -Wall -Wextra -Werror -Wno-unknown-warning-option -Wno-format-truncation -Wshadow -Wstrict-prototypes -Wvla $(optimize) $(arch) $(sanitize) -pthread
CPPFLAGS = -D_GNU_SOURCE -I. -I$(build) $(lib_cflags) $(room_cflags)
# Only the tensors see libtorch's headers, only the collectives MPI's.
$(build)/trainer/tensor/%.o: room_cflags = -isystem $(DEPS)/include
$(build)/collectives/mpi.o: room_cflags = $(mpi_cflags)
CXXFLAGS = -std=c++17 -Wall -Wextra -O3 $(arch) $(sanitize)
LDFLAGS = $(sanitize) -pthread -rdynamic -L$(DEPS)/lib -Wl,-rpath,'$$ORIGIN/../lib/likeness' -Wl,-rpath,$(abspath $(DEPS))/lib
LDLIBS = -ltorch_cpu -lc10 $(lib_libs) $(mpi_libs) $(dlib_libs) -lstdc++ -lm -ldl

rooms = base configs dataset dataset/client dataset/align dataset/pack collectives \
  trainer/tensor trainer/model trainer/record trainer/evaluate trainer launch/command launch/report launch/bench
sources := $(wildcard $(rooms:=/*.c))
cxx_sources := $(wildcard dataset/align/*.cc)
objects = $(sources:%.c=$(build)/%.o) $(cxx_sources:%.cc=$(build)/%.o)
generated = $(patsubst %.proto,$(build)/%.pb-c.o,$(wildcard $(rooms:=/*.proto)))
archive = $(build)/liblikeness.a
# test_* are run as they are; mpi_* are run on several ranks by tests/run.
unit_tests := $(patsubst tests/unit/%.c,$(build)/tests/%,$(wildcard tests/unit/test_*.c tests/unit/mpi_*.c))

.PHONY: FORCE all deps test demo bench oracle fuzz install clean unit-tests
.DELETE_ON_ERROR:
.SECONDARY:

all: $(program) compile_commands.json

deps:
	launch/setup/dependencies.sh $(DEPS) $(if $(CUDA),cuda)

$(program): $(build)/launch/main.o $(archive)
	$(say) LINK $@
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Made anew each time: ar would keep members whose source is gone. Appended: rooms have files of the same name.
$(archive): $(objects) $(generated)
	$(Q)rm -f $@ && ar qcs $@ $^

$(build)/%.o: %.c
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(build)/%.o: %.cc
	@mkdir -p $(@D)
	$(say) CXX $<
	$(Q)$(CXX) -I. $(CXXFLAGS) -MMD -MP -c -o $@ $<

$(build)/%.pb-c.c $(build)/%.pb-c.h &: %.proto
	@mkdir -p $(@D)
	$(Q)protoc-c --proto_path=. --c_out=$(build) $<

$(build)/%.pb-c.o: $(build)/%.pb-c.c
	$(Q)$(CC) $(CPPFLAGS) -std=c11 $(optimize) $(sanitize) -c -o $@ $<

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
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP $(LDFLAGS) -o $@ $< $(archive) -lcmocka $(LDLIBS)

unit-tests: $(unit_tests)

compile_commands.json: Makefile $(sources)
	@{ printf '['; sep=; for s in $(sources) launch/main.c; do \
	  printf '%s\n{"directory": "%s", "file": "%s", "command": "%s"}' "$$sep" '$(CURDIR)' $$s \
	    "$$(printf '%s' '$(CC) $(CPPFLAGS) $(CFLAGS) -c' | sed 's/"/\\"/g') $$s"; sep=,; done; printf '\n]\n'; } > $@

# The suite and the demo install and build by themselves; a second make sees the packages that the first one installed.
test: deps
	+$(MAKE) --no-print-directory all unit-tests
	tests/run-all $(build) $(program)

demo: deps
	+$(MAKE) --no-print-directory all
	launch/setup/demo.sh

bench: deps
	+$(MAKE) --no-print-directory all
	tests/bench/run $(program)

oracle: deps
	tests/oracle/regenerate

fuzz: deps
	tests/fuzz/run $(SECONDS)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/likeness $(DESTDIR)$(PREFIX)/share/likeness/launch/job
	install build/likeness $(DESTDIR)$(PREFIX)/bin/
	cp -L $(DEPS)/lib/lib{torch_cpu,c10}.so $(DEPS)/lib/libgomp.so.1 $(DEPS)/lib/libcudart.so.13 $(DEPS)/lib/libcupti.so.13 $(DESTDIR)$(PREFIX)/lib/likeness/
	cp -r configs/*.yaml $(DEPS)/client $(DESTDIR)$(PREFIX)/share/likeness/
	install launch/submit launch/local launch/sweep $(DESTDIR)$(PREFIX)/share/likeness/launch/
	install -m 644 launch/job/*.sh $(DESTDIR)$(PREFIX)/share/likeness/launch/job/
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	build/likeness completion bash >$(DESTDIR)$(PREFIX)/share/bash-completion/completions/likeness

clean:
	rm -rf build compile_commands.json

SHELL = /bin/bash
-include $(objects:.o=.d) $(unit_tests:=.d) $(build)/launch/main.d
