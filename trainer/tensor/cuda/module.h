/* Our CUDA kernels, loaded into a GPU: compiled by NVRTC for it, or taken from the cache.
 *
 *     LK_TRY(lk_cuda_module_open(NULL, NULL, &module));          after the GPU's context was made current on this thread
 *     lk_flat_job job = {.out = values, .count = n, .factor = 0.5f};
 *     LK_TRY(lk_cuda_launch(module, LK_CUDA_scale + LK_CUDA_F32, &(lk_cuda_grid){{blocks, 1, 1}, {LK_CUDA_THREADS, 1}}, stream,
 *                           &job, sizeof job));
 *
 * Any thread may launch; launches only ask (base/device/device.h).
 */
#ifndef LK_TRAINER_TENSOR_CUDA_MODULE_H
#define LK_TRAINER_TENSOR_CUDA_MODULE_H

#include "trainer/tensor/cuda/kernel_list.h"
#include "trainer/tensor/cuda/libraries.h"

typedef struct lk_cuda_module lk_cuda_module;

/* NULL for driver and compiler: the real ones. LK_BAD_CONFIG: the GPU is too old. LK_INTERNAL: a library, the compiler or the
 * driver failed; the sentence says which and how. */
lk_status lk_cuda_module_open(const lk_cuda_driver *driver, const lk_nvrtc *nvrtc, lk_cuda_module **out);
/* With the same context; NULL is fine. */
void lk_cuda_module_close(lk_cuda_module *module);

typedef struct lk_cuda_grid {
    unsigned blocks[3], threads[2];
} lk_cuda_grid;

/* job: the kernel's struct of jobs.h, job_size its size. LK_DEVICE_LOST: the GPU failed, here or in what was asked before. */
lk_status lk_cuda_launch(lk_cuda_module *module, lk_cuda_kernel kernel, const lk_cuda_grid *grid, void *stream, const void *job,
                         size_t job_size);

#endif
