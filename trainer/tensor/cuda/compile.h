/* Our kernels, compiled for a GPU by NVRTC: where the program runs, when it first runs there. */
#ifndef LK_TRAINER_TENSOR_CUDA_COMPILE_H
#define LK_TRAINER_TENSOR_CUDA_COMPILE_H

#include "trainer/tensor/cuda/libraries.h"
#include "trainer/tensor/cuda/sources.h"

#include <stdbool.h>

enum {
    LK_CUDA_OLDEST = 80, /* compute capability 8.0: bfloat16 */
    LK_CUDA_TARGET_SIZE = 32
};

/* What is to be compiled: machine code where NVRTC knows the GPU; for one that is newer, PTX of the newest that it knows, which
 * the driver translates. */
typedef struct lk_cuda_target {
    int capability; /* 10 major + minor, of the GPU */
    int nvrtc;      /* 1000 major + minor */
    bool ptx;
    char name[LK_CUDA_TARGET_SIZE]; /* "sm_90", "compute_100" */
} lk_cuda_target;

/* LK_BAD_CONFIG: a GPU older than LK_CUDA_OLDEST. */
lk_status lk_cuda_target_choose(const lk_nvrtc *nvrtc, int capability, lk_cuda_target *out);

/* Compiles sources[0], which may include the others; the caller frees *image. LK_INTERNAL: with the compiler's first complaint.
 */
lk_status lk_cuda_compile(const lk_nvrtc *nvrtc, const lk_cuda_target *target, const lk_cuda_source *sources, void **image,
                          size_t *size);

/* The name under which the result is kept: sources, options, target and NVRTC's version make it. */
enum { LK_CUDA_IMAGE_NAME = 80 };
void lk_cuda_image_name(const lk_cuda_target *target, const lk_cuda_source *sources, char out[LK_CUDA_IMAGE_NAME]);

#endif
