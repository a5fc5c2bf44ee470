/* What follows a convolution: bias, ReLU, 2x2 pool, in one pass forward and one backward, the bias gradient with it. For devices
 * whose table has kernels for it (device_kernels.h; the CPU's has none: its convolutions of ours bring the same along, fused.h).
 *
 *     if (lk_epilogue_suits(&e, x, channels, relu, pool)) {
 *         y = lk_epilogue_forward(&e, lk_convolution(x, w, NULL, &shape), bias);
 *         ... dz = lk_epilogue_backward(&e, dy, &db); lk_convolution_backward(dz, x, w, &shape, &dx, &dw, NULL); ...
 *     }
 *
 * Backward finds its way by the output, or behind a pool by one byte for each of its numbers: the maps before the pool are not
 * kept.
 */
#ifndef LK_TRAINER_TENSOR_EPILOGUE_H
#define LK_TRAINER_TENSOR_EPILOGUE_H

#include "trainer/tensor/tensor.h"

typedef struct lk_epilogue {
    bool relu, pool;
    int64_t rows, columns; /* of the convolution's output */

    /* Kept from forward to backward. */
    lk_tensor *y;      /* of a ReLU without pool */
    lk_tensor *choice; /* of a pool: which of the four */
} lk_epilogue;

/* Whether the device has kernels for so many channels of x's type; then relu and pool are set. */
bool lk_epilogue_suits(lk_epilogue *e, const lk_tensor *x, int64_t channels, bool relu, bool pool);

/* Consumes z [N,C,H,W], a convolution without bias; bias [C] is float32. */
lk_tensor *lk_epilogue_forward(lk_epilogue *e, lk_tensor *z, const lk_tensor *bias);
/* Consumes dy and returns the gradient of z; *db, float32, where db is not NULL. */
lk_tensor *lk_epilogue_backward(lk_epilogue *e, lk_tensor *dy, lk_tensor **db);

/* Frees what forward kept. */
void lk_epilogue_forget(lk_epilogue *e);

#endif
