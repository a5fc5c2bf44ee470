/* A convolution with bias, ReLU and pool by our own kernels (trainer/kernels/kernels.h), on libtorch's threads.
 *
 *     if (lk_fused_suits(&f, x, &wanted)) {
 *         y = lk_fused_forward(&f, x, w, b, version);
 *         ... lk_fused_backward(&f, dy, x, y, w, version, &dx, &dw, &db); ...
 *     }
 *
 * The maps between convolution and pool are never written: backward finds its way by y and one byte for each of its numbers.
 */
#ifndef LK_TRAINER_TENSOR_FUSED_H
#define LK_TRAINER_TENSOR_FUSED_H

#include "trainer/kernels/kernels.h"
#include "trainer/tensor/tensor.h"

/* Filters as a kernel wants them, made anew where `version` is another. */
typedef struct lk_made_filters {
    float *values;
    size_t count;
    uint64_t version;
} lk_made_filters;

typedef struct lk_fused {
    const lk_kernel *kernel;
    lk_convolution3 shape;
    uint8_t *choice;            /* of the pool, from forward to backward */
    lk_made_filters filters[2]; /* of LK_FORWARD, LK_DATA_GRADIENT */
} lk_fused;

/* libtorch's threads, for those who call kernels themselves. */
lk_team lk_fused_team(void);

/* Whether a kernel is there for a convolution of x: then it is chosen. Of `wanted` count out, transposed, relu, pool and first,
 * the rest is x's. False for anything but float32 and bfloat16, and on a GPU. */
bool lk_fused_suits(lk_fused *f, const lk_tensor *x, const lk_convolution3 *wanted);

/* w and b, and dw and db below, are float32 whatever x is; y, dy and dx are as x. `version` must differ from that of
 * other values, as in trainer/model/weights.h; 0: the next call will have others, and what is made of these is not kept. */
lk_tensor *lk_fused_forward(lk_fused *f, const lk_tensor *x, const lk_tensor *w, const lk_tensor *b, uint64_t version);
/* y: what forward returned. dx or dw (with db) may be NULL and are then not computed; of a first layer dx must be. *dw and *db
 * are written into if they hold tensors, and made if they are NULL. */
void lk_fused_backward(lk_fused *f, const lk_tensor *dy, const lk_tensor *x, const lk_tensor *y, const lk_tensor *w,
                       uint64_t version, lk_tensor **dx, lk_tensor **dw, lk_tensor **db);

/* After forward: backward will be given dy, x and y of the first samples alone. */
void lk_fused_keep_first(lk_fused *f, int64_t samples);
/* Frees what forward kept for backward. */
void lk_fused_forget(lk_fused *f);
void lk_fused_free(lk_fused *f);

#endif
