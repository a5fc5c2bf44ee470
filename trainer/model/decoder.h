/* The decoder D, which imitates the game client (patent CN109902767B): transposed convolutions of kernel 4, the first of
 * stride 1 from n_in x 1 x 1 to 4 x 4, then stride 2 up to S x S; batch norm and ReLU after all but the last, sigmoid at the
 * end. Input: the continuous parameters and the one-hot discrete ones. Names: decoder.layers.N, counted as in an nn.Sequential
 * of ConvTranspose2d, BatchNorm2d, ReLU.
 *
 * It is trained first. For the encoder's training it is frozen: batch norm in evaluation mode is folded into the
 * convolutions, and backward computes the gradient of the input alone.
 */
#ifndef LK_TRAINER_MODEL_DECODER_H
#define LK_TRAINER_MODEL_DECODER_H

#include "base/error.h"
#include "trainer/model/block.h"
#include "trainer/model/weights.h"

typedef struct lk_decoder_shape {
    int size;     /* S, a power of two from 32 to 512 */
    double width; /* factor on all channels but the 3 of the picture */
    int inputs;   /* continuous + one-hot */
} lk_decoder_shape;

enum { LK_DECODER_BLOCKS = 8 };

typedef struct lk_decoder {
    lk_decoder_shape shape;
    bool folded;
    lk_weights weights;
    int block_count;
    lk_block blocks[LK_DECODER_BLOCKS];
    lk_tensor *y; /* the picture, kept for backward */
} lk_decoder;

/* A decoder to be trained. Weights are zero until initialized or loaded. */
lk_status lk_decoder_create(const lk_decoder_shape *shape, lk_dtype dtype, lk_dtype compute, lk_decoder *out);
/* The frozen form of a trained one. */
lk_status lk_decoder_fold(const lk_decoder *trained, lk_dtype compute, lk_decoder *out);
void lk_decoder_free(lk_decoder *decoder);

/* Normal with deviation sqrt(2 / (taps * in)), taps being the kernel positions that reach one output pixel (1, then 4);
 * biases zero, norms one and zero, running statistics zero and one. The same weights for the same seed. */
lk_status lk_decoder_initialize(lk_decoder *decoder, uint64_t seed);

/* p [n,inputs] in the values' type -> pictures [n,3,S,S] in [0,1] in the values' type. A decoder that is not folded uses the
 * batch's statistics (training mode). keep: backward follows. */
lk_tensor *lk_decoder_forward(lk_decoder *decoder, const lk_tensor *p, bool keep);
/* Of a folded one, between forward and backward: dy will be that of the first samples alone. */
void lk_decoder_keep_first(lk_decoder *decoder, int64_t samples);
/* Consumes dy. Folded: returns the gradient of p. Otherwise hands in the gradients of all weights, as block.h says, and returns
 * NULL. */
lk_tensor *lk_decoder_backward(lk_decoder *decoder, lk_tensor *dy);

/* The rule of running statistics, after their batch values were summed: value += 0.1 * (batch - value). */
#define LK_BATCH_NORM_MOMENTUM 0.1

#endif
