#include "trainer/tensor/cuda/sources.h"

#include "trainer/tensor/cuda/kernel_list.h"

/* The assembler puts the files into the program as they are; the paths are those of the tree's root, where make runs. */
#define EMBED(name, file)                                                                                                        \
    __asm__(".section .rodata\n.global lk_cuda_source_" #name "\nlk_cuda_source_" #name ":\n.incbin \"" file                     \
            "\"\n.byte 0\n.previous\n");                                                                                         \
    extern const char lk_cuda_source_##name[]

#define ROOM "trainer/tensor/cuda/"
#define SOURCES(X)                                                                                                               \
    X(kernels, ROOM "kernels.cu")                                                                                                \
    X(cuda_c, ROOM "cuda_c.h")                                                                                                   \
    X(jobs, ROOM "jobs.h")                                                                                                       \
    X(convert, ROOM "convert.cu")                                                                                                \
    X(sums, ROOM "sums.cu")                                                                                                      \
    X(faces, ROOM "faces.cu")                                                                                                    \
    X(group_norm_statistics, ROOM "group_norm_statistics.cu")                                                                    \
    X(format, ROOM "format.cu")                                                                                                  \
    X(flat, ROOM "flat.cu")                                                                                                      \
    X(bias_relu, ROOM "bias_relu.cu")                                                                                            \
    X(group_norm, ROOM "group_norm.cu")                                                                                          \
    X(pictures, ROOM "pictures.cu")                                                                                              \
    X(pixel_loss, ROOM "pixel_loss.cu")

#define EMBED_ONE(name, file) EMBED(name, file);
SOURCES(EMBED_ONE)

#define ROW(name, file) {file, lk_cuda_source_##name},
const lk_cuda_source lk_cuda_sources[] = {SOURCES(ROW){0}};

#define INFO(name, job) {#name, sizeof(job)},
#define INFO_FORMS(name, job)                                                                                                    \
    {#name "_f32", sizeof(job)}, {#name "_bf16", sizeof(job)}, {#name "_f32_single", sizeof(job)},                               \
        {#name "_bf16_single", sizeof(job)},
const lk_cuda_kernel_info lk_cuda_kernels[] = {LK_CUDA_PLAIN_KERNELS(INFO) LK_CUDA_FORMAT_KERNELS(INFO_FORMS)};
