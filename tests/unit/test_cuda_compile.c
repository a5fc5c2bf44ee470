/* How our CUDA kernels get onto a GPU: NVRTC compiles the sources that stand in the program, for every GPU that we name, where
 * its library is there (make deps DEVELOP=1); the results are kept and found again. The driver is a stand-in (cuda_standin.h). */
#include "trainer/tensor/cuda/cache.h"
#include "trainer/tensor/cuda/compile.h"
#include "trainer/tensor/cuda/module.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include "tests/unit/cuda_standin.h"

/* ---- with the real compiler ---- */

static void load_or_skip(lk_nvrtc *nvrtc)
{
    if (lk_nvrtc_load(nvrtc) == LK_OK)
        return;
    assert_told("make deps CUDA=1");
    print_message("%s; make deps DEVELOP=1 installs it for the tests\n", lk_error_text());
    skip();
}

static bool holds(const char *image, size_t size, const char *text)
{
    return memmem(image, size, text, strlen(text)) != NULL;
}

static void every_kernel_compiles_for_every_gpu(void **state)
{
    (void)state;
    lk_nvrtc nvrtc;
    load_or_skip(&nvrtc);
    const int capabilities[] = {80, 90, 100};
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++) {
        lk_cuda_target target;
        void *image;
        size_t size;
        char name[LK_CUDA_TARGET_SIZE], section[80];
        assert_ok(lk_cuda_target_choose(&nvrtc, capabilities[i], &target));
        snprintf(name, sizeof name, "sm_%d", capabilities[i]);
        assert_string_equal(target.name, name);
        assert_ok(lk_cuda_compile(&nvrtc, &target, lk_cuda_sources, &image, &size));
        assert_memory_equal(image, "\177ELF", 4);
        for (int k = 0; k < LK_CUDA_KERNEL_COUNT; k++) {
            snprintf(section, sizeof section, ".text.%s", lk_cuda_kernels[k].name);
            if (!holds(image, size, section))
                fail_msg("%s: no kernel %s", target.name, lk_cuda_kernels[k].name);
        }
        free(image);
    }
}

/* As large on the GPU as on the host: else they would not mean the same members. */
static void check_job_sizes(const char *ptx)
{
    for (int k = 0; k < LK_CUDA_KERNEL_COUNT; k++) {
        char parameter[96];
        snprintf(parameter, sizeof parameter, ".b8 %s_param_0[%zu]", lk_cuda_kernels[k].name, lk_cuda_kernels[k].job_size);
        if (!strstr(ptx, parameter))
            fail_msg("the struct of %s has not %zu bytes on a GPU", lk_cuda_kernels[k].name, lk_cuda_kernels[k].job_size);
    }
}

/* The text of one kernel in PTX. */
static char *kernel_text(const char *ptx, const char *name)
{
    char entry[80];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    const char *begin = strstr(ptx, entry);
    if (!begin)
        fail_msg("no kernel %s", name);
    const char *end = strstr(begin, "\n}\n");
    return strndup(begin, end ? (size_t)(end - begin) : strlen(begin));
}

static void check_moves(const char *ptx, const char *kernel)
{
    char *text = kernel_text(ptx, kernel);
    if (!strstr(text, "ld.global.v4.") && !strstr(text, "ld.global.v2.b64") && !strstr(text, "ld.global.v2.u64"))
        fail_msg("%s loads no 16 bytes at once", kernel);
    if (strstr(text, ".local"))
        fail_msg("%s keeps numbers in memory instead of registers", kernel);
    free(text);
}

static void jobs_are_the_hosts_and_packs_move_16_bytes_at_once(void **state)
{
    (void)state;
    lk_nvrtc nvrtc;
    load_or_skip(&nvrtc);
    lk_cuda_target target;
    void *ptx;
    size_t size;
    assert_ok(lk_cuda_target_choose(&nvrtc, 9999, &target)); /* a GPU of the future */
    assert_true(target.ptx);
    assert_memory_equal(target.name, "compute_", 8);
    assert_ok(lk_cuda_compile(&nvrtc, &target, lk_cuda_sources, &ptx, &size));
    check_job_sizes(ptx);
    const char *const loads[] = {"relu_backward",  "add",        "scale",     "bias_relu",
                                 "bias_relu_pool", "norm_apply", "norm_sums", "bias_relu_pool_backward"};
    for (size_t i = 0; i < 2 * sizeof loads / sizeof *loads; i++) {
        char name[64];
        snprintf(name, sizeof name, "%s_%s", loads[i / 2], i % 2 ? "bf16" : "f32");
        check_moves(ptx, name);
    }
    check_moves(ptx, "narrow");
    check_moves(ptx, "widen");
    free(ptx);
}

static void what_does_not_compile_is_told_in_one_line(void **state)
{
    (void)state;
    lk_nvrtc nvrtc;
    load_or_skip(&nvrtc);
    lk_cuda_target target;
    void *image;
    size_t size;
    const lk_cuda_source sources[] = {{"wrong.cu", "#include \"part.cu\"\n"}, {"part.cu", "\nvoid f() { return 1; }\n"}, {0}};
    assert_ok(lk_cuda_target_choose(&nvrtc, 90, &target));
    assert_fails(lk_cuda_compile(&nvrtc, &target, sources, &image, &size), LK_INTERNAL, "do not compile for sm_90 with NVRTC");
    assert_told("part.cu(2): error");
    assert_null(image);
}

/* ---- which GPU ---- */

static void a_gpu_gets_its_own_code_or_the_newest_that_is_known(void **state)
{
    (void)state;
    lk_cuda_target target;
    assert_ok(lk_cuda_target_choose(&standin_nvrtc, 90, &target));
    assert_string_equal(target.name, "sm_90");
    assert_ok(lk_cuda_target_choose(&standin_nvrtc, 89, &target));
    assert_string_equal(target.name, "compute_80");
    assert_ok(lk_cuda_target_choose(&standin_nvrtc, 120, &target));
    assert_string_equal(target.name, "compute_100");
    assert_fails(lk_cuda_target_choose(&standin_nvrtc, 75, &target), LK_BAD_CONFIG, "compute capability is 7.5");
    assert_told("needs 8.0");
}

static void other_sources_compilers_and_gpus_have_other_names(void **state)
{
    (void)state;
    lk_cuda_target target;
    char name[LK_CUDA_IMAGE_NAME], other[LK_CUDA_IMAGE_NAME];
    const lk_cuda_source a[] = {{"k.cu", "one"}, {"h", "two"}, {0}}, b[] = {{"k.cu", "on"}, {"h", "etwo"}, {0}};
    assert_ok(lk_cuda_target_choose(&standin_nvrtc, 90, &target));
    lk_cuda_image_name(&target, a, name);
    assert_memory_equal(name, "kernels-sm_90-nvrtc13.2-", 24);
    lk_cuda_image_name(&target, b, other);
    assert_string_not_equal(name, other);
    target.nvrtc = 12009;
    lk_cuda_image_name(&target, a, other);
    assert_string_not_equal(name, other);
}

/* ---- the cache ---- */

static const char *kept_file(void)
{
    static char path[LK_PATH_SIZE];
    lk_cuda_target target;
    char name[LK_CUDA_IMAGE_NAME];
    assert_ok(lk_cuda_target_choose(&standin_nvrtc, standin.capability, &target));
    lk_cuda_image_name(&target, lk_cuda_sources, name);
    assert_true(lk_cuda_cache_path(name, path));
    return path;
}

/* Opens and closes; how often it compiled. */
static int compilations_of_a_start(void)
{
    lk_cuda_module *module;
    standin.compilations = standin.loads = standin.unloads = 0;
    assert_ok(lk_cuda_module_open(&standin_driver, &standin_nvrtc, &module));
    lk_cuda_module_close(module);
    return standin.compilations;
}

static void use_cache(const char *folder)
{
    char path[LK_PATH_SIZE], here[512];
    assert_non_null(getcwd(here, sizeof here));
    assert_ok(lk_path_join(path, here, folder));
    setenv("XDG_CACHE_HOME", path, 1);
}

static void kernels_are_compiled_once_for_each_gpu(void **state)
{
    (void)state;
    use_cache("once");
    assert_int_equal(compilations_of_a_start(), 1);
    assert_int_equal(kind_of(kept_file()), LK_FILE);
    assert_int_equal(compilations_of_a_start(), 0);
    assert_int_equal(standin.loads, 1);
    assert_int_equal(standin.unloads, 1);
    standin.capability = 80;
    assert_int_equal(compilations_of_a_start(), 1);
    assert_int_equal(compilations_of_a_start(), 0);
    standin.capability = 90;
    assert_int_equal(compilations_of_a_start(), 0);
    assert_ok(lk_remove_tree("once"));
}

static void a_damaged_file_is_made_anew(void **state)
{
    (void)state;
    use_cache("damaged");
    compilations_of_a_start();
    size_t size;
    char *good = get_bytes(kept_file(), &size);
    const size_t lengths[] = {0, 7, 16, size / 2, size};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char *bad = malloc(size);
        memcpy(bad, good, size);
        bad[size - 1] ^= 1; /* the whole length: one bit */
        put_bytes(kept_file(), bad, lengths[i]);
        assert_int_equal(compilations_of_a_start(), 1);
        assert_file(kept_file(), good, size);
        assert_int_equal(compilations_of_a_start(), 0);
        free(bad);
    }
    free(good);
    assert_ok(lk_remove_tree("damaged"));
}

static void what_the_driver_refuses_is_compiled_anew(void **state)
{
    (void)state;
    use_cache("refused");
    compilations_of_a_start();
    lk_cuda_module *module;
    standin.load_code = 200; /* CUDA_ERROR_INVALID_IMAGE */
    standin.compilations = 0;
    assert_fails(lk_cuda_module_open(&standin_driver, &standin_nvrtc, &module), LK_INTERNAL, "loading our kernels");
    assert_told("code 200");
    assert_int_equal(standin.compilations, 1);
    standin.load_code = 0;
    assert_int_equal(compilations_of_a_start(), 0);
    assert_ok(lk_remove_tree("refused"));
}

static void without_a_cache_folder_each_start_compiles(void **state)
{
    (void)state;
    put("a-file", "");
    use_cache("a-file/below"); /* cannot be made */
    assert_int_equal(compilations_of_a_start(), 1);
    assert_int_equal(compilations_of_a_start(), 1);
    setenv("XDG_CACHE_HOME", "not/absolute", 1); /* which the specification ignores */
    unsetenv("HOME");
    assert_int_equal(compilations_of_a_start(), 1);
    char here[512];
    assert_non_null(getcwd(here, sizeof here));
    setenv("HOME", here, 1);
    assert_int_equal(compilations_of_a_start(), 1);
    assert_int_equal(compilations_of_a_start(), 0);
    assert_int_equal(kind_of(".cache/likeness"), LK_FOLDER);
    assert_ok(lk_remove_tree(".cache"));
    assert_ok(lk_remove_file("a-file"));
}

/* ---- what can fail ---- */

static void each_failure_is_one_line(void **state)
{
    (void)state;
    lk_cuda_module *module;
    use_cache("failures");
    standin.capability = 70;
    assert_fails(lk_cuda_module_open(&standin_driver, &standin_nvrtc, &module), LK_BAD_CONFIG, "train.device: cpu");
    standin.capability = 90;
    standin.compile_code = 6; /* NVRTC_ERROR_COMPILATION */
    standin.log = "kernels.cu(3): warning: dull\nflat.cu(7): error: expected a \";\"\n1 error detected\n";
    assert_fails(lk_cuda_module_open(&standin_driver, &standin_nvrtc, &module), LK_INTERNAL,
                 "do not compile for sm_90 with NVRTC 13.2: flat.cu(7): error: expected a \";\"");
    standin.compile_code = 0;
    standin.missing_kernel = "total";
    assert_fails(lk_cuda_module_open(&standin_driver, &standin_nvrtc, &module), LK_INTERNAL, "CUDA: total");
    standin.missing_kernel = NULL;
    standin.context = NULL;
    assert_fails(lk_cuda_module_open(&standin_driver, &standin_nvrtc, &module), LK_INTERNAL, "no context is current");
    standin.context = &standin;
    assert_null(module);
    assert_ok(lk_remove_tree("failures"));
}

static void a_machine_without_a_driver_says_so(void **state)
{
    (void)state;
    lk_cuda_driver driver;
    lk_cuda_module *module;
    if (lk_cuda_driver_load(&driver) == LK_OK)
        return; /* there is one */
    assert_told("NVIDIA's driver is missing (libcuda.so.1:");
    assert_fails(lk_cuda_module_open(NULL, &standin_nvrtc, &module), LK_INTERNAL, "NVIDIA's driver is missing");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kernel_compiles_for_every_gpu),
        cmocka_unit_test(jobs_are_the_hosts_and_packs_move_16_bytes_at_once),
        cmocka_unit_test(what_does_not_compile_is_told_in_one_line),
        cmocka_unit_test(a_gpu_gets_its_own_code_or_the_newest_that_is_known),
        cmocka_unit_test(other_sources_compilers_and_gpus_have_other_names),
        cmocka_unit_test(kernels_are_compiled_once_for_each_gpu),
        cmocka_unit_test(a_damaged_file_is_made_anew),
        cmocka_unit_test(what_the_driver_refuses_is_compiled_anew),
        cmocka_unit_test(without_a_cache_folder_each_start_compiles),
        cmocka_unit_test(each_failure_is_one_line),
        cmocka_unit_test(a_machine_without_a_driver_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
