/* Group norm, ReLU and 2x2 pool by our own kernels (trainer/kernels/norm.h), on libtorch's threads.
 *
 *     if (lk_fused_norm_suits(&n, x, groups, relu, pool)) {
 *         y = lk_fused_norm_forward(&n, x, scale, shift, eps);
 *         ... dx = lk_fused_norm_backward(&n, dy, x, y, scale, &dscale, &dshift); ...
 *     }
 */
#ifndef LK_TRAINER_TENSOR_FUSED_NORM_H
#define LK_TRAINER_TENSOR_FUSED_NORM_H

#include "trainer/kernels/norm.h"
#include "trainer/tensor/tensor.h"

typedef struct lk_fused_norm {
    const lk_norm_kernel *kernel;
    lk_norm_shape shape;

    /* Kept from forward to backward. */
    double *statistics; /* mean and rstd [batch][groups] */
    uint8_t *choice;    /* of the pool */
} lk_fused_norm;

/* Whether a kernel is there for x: then it is chosen. False for anything but float32 and bfloat16, and on a GPU. */
bool lk_fused_norm_suits(lk_fused_norm *n, const lk_tensor *x, int groups, bool relu, bool pool);

/* scale and shift, and their gradients, are float32 whatever x is; y, dy and dx are as x. */
lk_tensor *lk_fused_norm_forward(lk_fused_norm *n, const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift,
                                 double eps);
/* y: what forward returned, NULL where there was no ReLU. *dscale and *dshift are written into if they hold tensors, and made if
 * they are NULL. */
lk_tensor *lk_fused_norm_backward(lk_fused_norm *n, const lk_tensor *dy, const lk_tensor *x, const lk_tensor *y,
                                  const lk_tensor *scale, lk_tensor **dscale, lk_tensor **dshift);

/* Frees what forward kept for backward. */
void lk_fused_norm_forget(lk_fused_norm *n);

#endif
