/* A block: convolution + bias, norm, ReLU, and the 2x2 pool that follows; forward and backward side by side.
 *
 * Models are chains of blocks, and nothing else knows how a block computes: by libtorch's operators, or, where the weights ask
 * for it (lk_weights.own_kernels) and they suit, by kernels of ours, with ReLU and pool in the convolution's or in group norm's.
 * Where the device has kernels for what follows a convolution (epilogue.h), that is one pass.
 * lk_block_forward keeps what lk_block_backward needs until that call (or lk_block_forget).
 */
#ifndef LK_TRAINER_MODEL_BLOCK_H
#define LK_TRAINER_MODEL_BLOCK_H

#include "configs/config.h"
#include "trainer/model/weights.h"
#include "trainer/tensor/epilogue.h"
#include "trainer/tensor/fused.h"
#include "trainer/tensor/fused_norm.h"
#include "trainer/tensor/tensor.h"

typedef struct lk_block {
    /* What it is: filled by the model before lk_block_add_weights. */
    int in, out, kernel;
    lk_convolution_shape convolution;
    lk_norm norm;
    bool relu, pool;
    bool first; /* its input needs no gradient */

    /* Its weights' indices. */
    int weight, bias, scale, shift, mean, variance;

    lk_fused fused;       /* our kernel and its filters */
    lk_epilogue epilogue; /* or libtorch's convolution and what follows it in one pass */
    lk_fused_norm fused_norm;

    /* Kept from forward to backward. */
    bool is_fused;       /* the convolution was our kernel's */
    bool has_epilogue;   /* what follows was one pass */
    bool has_fused_norm; /* the norm and what follows were our kernel's */
    lk_tensor *x;        /* input */
    lk_tensor *linear;   /* output of the convolution, where a norm needs it */
    lk_tensor *saved[2]; /* statistics of the norm */
    lk_tensor *y;        /* after the ReLU, where ReLU or pool need it; the output, where that is a kernel's of ours */
    lk_tensor *indices;  /* of the pool's maxima */
} lk_block;

/* Group norm's groups: 32, and half the channels below 64. */
int lk_norm_groups(int channels);
#define LK_NORM_EPS 1e-5

/* Adds the block's weights under the given names, e.g. "encoder.features.0" and "encoder.features.1"; norm_name is not used by
 * a block without norm. Batch norm adds running_mean and running_var. */
void lk_block_add_weights(lk_block *block, lk_weights *weights, const char *name, const char *norm_name);

/* Whether its convolution is of the kinds that kernels of ours compute: 3x3, and the one that doubles height and width. */
bool lk_block_has_kernels(const lk_block *block);

/* keep: backward will follow. The caller owns the result. */
lk_tensor *lk_block_forward(lk_block *block, const lk_weights *weights, const lk_tensor *x, bool keep);

/* Between forward and backward of a block without norm or pool: dy will be that of the first samples alone. */
void lk_block_keep_first(lk_block *block, int64_t samples);

/* Consumes dy and returns dx (NULL if the block is first). Unless the weights are frozen, hands in the gradients of all weights
 * that lk_block_add_weights added, each once, in the opposite order (lk_weights_begin). Also after a failure, in forward or here:
 * then tensors are NULL, and so are the gradients. */
lk_tensor *lk_block_backward(lk_block *block, lk_weights *weights, lk_tensor *dy);

/* Frees what forward kept. */
void lk_block_forget(lk_block *block);
/* The same, and the filters of kernels. */
void lk_block_free(lk_block *block);

#endif
