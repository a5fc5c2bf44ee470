/* A convolution and what follows it: bias, ReLU, 2x2 pool, in one pass forward and one backward, the bias gradient with it. For
 * devices whose table has kernels for it (device_kernels.h; the CPU's has none: its convolutions of ours bring the same along,
 * fused.h). Where lk_epilogue_use_cudnn said so, cuDNN computes bias and ReLU within the convolution; a pool, a transposed
 * convolution or one without ReLU keeps its pass of ours, and so does every way back.
 *
 *     if (lk_epilogue_suits(&e, x, channels, relu, pool)) {
 *         y = lk_epilogue_forward(&e, x, w, &shape, bias, narrow_bias);
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

/* From x and w, as lk_convolution takes them; bias [C] is float32, narrow_bias the same in x's type. */
lk_tensor *lk_epilogue_forward(lk_epilogue *e, const lk_tensor *x, const lk_tensor *w, const lk_convolution_shape *shape,
                               const lk_tensor *bias, const lk_tensor *narrow_bias);
/* Consumes dy and returns the gradient of z; *db, float32, where db is not NULL. */
lk_tensor *lk_epilogue_backward(lk_epilogue *e, lk_tensor *dy, lk_tensor **db);

/* Frees what forward kept. */
void lk_epilogue_forget(lk_epilogue *e);

/* Whether cuDNN is to compute bias and ReLU; not at first. Between forward and backward of nothing. */
void lk_epilogue_use_cudnn(bool use);

#endif
