/* The kernels of kernels.cu by name, with the struct that each takes (jobs.h). */
#ifndef LK_TRAINER_TENSOR_CUDA_KERNEL_LIST_H
#define LK_TRAINER_TENSOR_CUDA_KERNEL_LIST_H

#include "trainer/tensor/cuda/jobs.h"

#include <stddef.h>

/* One form each. */
#define LK_CUDA_PLAIN_KERNELS(X)                                                                                                 \
    X(narrow, lk_convert_job)                                                                                                    \
    X(widen, lk_convert_job)                                                                                                     \
    X(sum_columns, lk_columns_job)                                                                                               \
    X(range_squares, lk_squares_job)                                                                                             \
    X(row_sums, lk_row_sums_job)                                                                                                 \
    X(finish_rows, lk_finish_rows_job)                                                                                           \
    X(pixel_norms, lk_pixel_job)                                                                                                 \
    X(pixel_gradient, lk_pixel_job)                                                                                              \
    X(absolute_gradient, lk_pixel_job)                                                                                           \
    X(cross_entropy, lk_entropy_job)                                                                                             \
    X(decoder_input, lk_decoder_input_job)                                                                                       \
    X(pixels, lk_pixels_job)                                                                                                     \
    X(batch_statistics, lk_batch_statistics_job)                                                                                 \
    X(total, lk_total_job)                                                                                                       \
    X(norm_statistics, lk_norm_statistics_job)                                                                                   \
    X(norm_slopes, lk_norm_statistics_job)                                                                                       \
    X(norm_gradients, lk_norm_statistics_job)

/* Four forms each (lk_cuda_form). */
#define LK_CUDA_FORMAT_KERNELS(X)                                                                                                \
    X(relu_backward, lk_flat_job)                                                                                                \
    X(add, lk_flat_job)                                                                                                          \
    X(scale, lk_flat_job)                                                                                                        \
    X(bias_relu, lk_bias_job)                                                                                                    \
    X(bias_relu_backward, lk_bias_job)                                                                                           \
    X(bias_relu_pool, lk_pool_job)                                                                                               \
    X(bias_relu_pool_backward, lk_pool_job)                                                                                      \
    X(norm_sums, lk_norm_sums_job)                                                                                               \
    X(norm_apply, lk_norm_apply_job)                                                                                             \
    X(pictures, lk_pictures_job)

/* Float32 or bfloat16, 16 bytes or one number at a time. */
typedef enum lk_cuda_form { LK_CUDA_F32, LK_CUDA_BF16, LK_CUDA_F32_SINGLE, LK_CUDA_BF16_SINGLE } lk_cuda_form;

/* LK_CUDA_total; LK_CUDA_add + a form. */
#define LK_CUDA_ENUM(name, job) LK_CUDA_##name,
#define LK_CUDA_ENUM_FORMS(name, job) LK_CUDA_##name, LK_CUDA_##name##_last = LK_CUDA_##name + LK_CUDA_BF16_SINGLE,
typedef enum lk_cuda_kernel {
    LK_CUDA_PLAIN_KERNELS(LK_CUDA_ENUM) LK_CUDA_FORMAT_KERNELS(LK_CUDA_ENUM_FORMS) LK_CUDA_KERNEL_COUNT
} lk_cuda_kernel;
#undef LK_CUDA_ENUM
#undef LK_CUDA_ENUM_FORMS

typedef struct lk_cuda_kernel_info {
    const char *name;
    size_t job_size;
} lk_cuda_kernel_info;
/* [LK_CUDA_KERNEL_COUNT], in the order of lk_cuda_kernel. */
extern const lk_cuda_kernel_info lk_cuda_kernels[];

#endif
