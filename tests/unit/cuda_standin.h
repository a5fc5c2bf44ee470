/* Stand-ins for NVIDIA's driver and for NVRTC: the driver "loads" whatever image it is given and launches kernels.cu as compiled
 * for the CPU (cuda_on_cpu.h); NVRTC "compiles" by copying the source. Both do as a test tells them to fail. */
#ifndef LK_TESTS_UNIT_CUDA_STANDIN_H
#define LK_TESTS_UNIT_CUDA_STANDIN_H

#include "tests/unit/cuda_on_cpu.h"
#include "trainer/tensor/cuda/kernels.cu"
#include "trainer/tensor/cuda/kernel_list.h"
#include "trainer/tensor/cuda/libraries.h"

typedef void standin_kernel(const void *job);
#define STANDIN_ROW(name, job) name,
#define STANDIN_FORMS(name, job) name##_f32, name##_bf16, name##_f32_single, name##_bf16_single,
static standin_kernel *const standin_kernels[] = {LK_CUDA_PLAIN_KERNELS(STANDIN_ROW) LK_CUDA_FORMAT_KERNELS(STANDIN_FORMS)};

/* What the next calls do; 0: succeed. */
static struct {
    int capability; /* of the GPU, 10 major + minor */
    int load_code, launch_code, compile_code;
    const char *missing_kernel, *log;
    int loads, unloads, launches, compilations;
    unsigned most_blocks; /* that a launch asked for */
    void *context;        /* of this thread */
} standin = {.capability = 90, .context = &standin};

/* ---- the driver ---- */

static int standin_context(void **context)
{
    *context = standin.context;
    return 0;
}
static int standin_set_context(void *context)
{
    standin.context = context;
    return 0;
}
static int standin_device(int *device)
{
    *device = 0;
    return 0;
}
static int standin_attribute(int *value, int attribute, int device)
{
    (void)device;
    *value = attribute == 75 ? standin.capability / 10 : standin.capability % 10;
    return 0;
}
static int standin_load(void **module, const void *image)
{
    (void)image;
    *module = &standin;
    standin.loads++;
    return standin.load_code;
}
static int standin_unload(void *module)
{
    (void)module;
    standin.unloads++;
    return 0;
}
static int standin_function(void **function, void *module, const char *name)
{
    (void)module;
    for (int i = 0; i < LK_CUDA_KERNEL_COUNT; i++)
        if (strcmp(lk_cuda_kernels[i].name, name) == 0 &&
            (!standin.missing_kernel || strcmp(standin.missing_kernel, name) != 0)) {
            memcpy(function, &standin_kernels[i], sizeof *function);
            return 0;
        }
    return 500; /* CUDA_ERROR_NOT_FOUND */
}
static int standin_launch(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,
                          unsigned block_z, unsigned shared_bytes, void *stream, void **arguments, void **extra)
{
    standin_kernel *kernel;
    (void)shared_bytes;
    (void)stream;
    (void)extra;
    memcpy(&kernel, &function, sizeof kernel);
    standin.launches++;
    standin.most_blocks = grid_x > standin.most_blocks ? grid_x : standin.most_blocks;
    if (standin.launch_code != 0)
        return standin.launch_code;
    bool done = cuda_run(kernel, arguments[0], (cuda_dim){grid_x, grid_y, grid_z}, (cuda_dim){block_x, block_y, block_z});
    return done ? 0 : 1; /* CUDA_ERROR_INVALID_VALUE */
}
static int standin_error_name(int code, const char **name)
{
    *name = code == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : NULL;
    return *name ? 0 : 1;
}
static int standin_error_text(int code, const char **text)
{
    *text = code == 700 ? "an illegal memory access was encountered" : NULL;
    return *text ? 0 : 1;
}
static const lk_cuda_driver standin_driver = {.context = standin_context,
                                              .set_context = standin_set_context,
                                              .device = standin_device,
                                              .attribute = standin_attribute,
                                              .load = standin_load,
                                              .unload = standin_unload,
                                              .function = standin_function,
                                              .launch = standin_launch,
                                              .error_name = standin_error_name,
                                              .error_text = standin_error_text};

/* ---- NVRTC ---- */

static int standin_version(int *major, int *minor)
{
    *major = 13;
    *minor = 2;
    return 0;
}
static int standin_arch_count(int *count)
{
    *count = 4;
    return 0;
}
static int standin_archs(int *archs)
{
    memcpy(archs, (const int[]){75, 80, 90, 100}, 4 * sizeof *archs);
    return 0;
}
static int standin_create(void **program, const char *source, const char *name, int header_count, const char *const *headers,
                          const char *const *header_names)
{
    (void)name;
    (void)header_count;
    (void)headers;
    (void)header_names;
    *program = (void *)(uintptr_t)source;
    return 0;
}
static int standin_destroy(void **program)
{
    *program = NULL;
    return 0;
}
static int standin_compile(void *program, int option_count, const char *const *options)
{
    (void)program;
    (void)option_count;
    (void)options;
    standin.compilations++;
    return standin.compile_code;
}
static int standin_log_size(void *program, size_t *size)
{
    (void)program;
    *size = strlen(standin.log) + 1;
    return 0;
}
static int standin_log(void *program, char *log)
{
    (void)program;
    memcpy(log, standin.log, strlen(standin.log) + 1);
    return 0;
}
static int standin_image_size(void *program, size_t *size)
{
    *size = strlen(program) + 1;
    return 0;
}
static int standin_image(void *program, char *image)
{
    memcpy(image, program, strlen(program) + 1);
    return 0;
}
static const lk_nvrtc standin_nvrtc = {.version = standin_version,
                                       .arch_count = standin_arch_count,
                                       .archs = standin_archs,
                                       .create = standin_create,
                                       .destroy = standin_destroy,
                                       .compile = standin_compile,
                                       .log_size = standin_log_size,
                                       .log = standin_log,
                                       .cubin_size = standin_image_size,
                                       .cubin = standin_image,
                                       .ptx_size = standin_image_size,
                                       .ptx = standin_image};

#endif
