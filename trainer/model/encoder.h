/* The encoder E (patent CN109902767B, paragraphs on g, f1 and f2): VGG19 features (configuration E of Simonyan and Zisserman
 * 2014), three residual blocks relu(x + conv2(relu(conv1(x)))), and two fully connected heads on the flattened map:
 * pc = sigmoid(f1(g(X))), and the logits of pd = softmax per group of f2(g(X)).
 *
 * Tensor names are torchvision's: encoder.features.N counts as in vgg19, or vgg19_bn where norm is group;
 * encoder.residual.{0,1,2}.{conv1,norm1,conv2,norm2}, encoder.{continuous,discrete}.
 */
#ifndef LK_TRAINER_MODEL_ENCODER_H
#define LK_TRAINER_MODEL_ENCODER_H

#include "base/error.h"
#include "trainer/model/block.h"
#include "trainer/model/weights.h"

typedef struct lk_encoder_shape {
    int size;     /* pictures are size x size, a multiple of 32 */
    double width; /* factor on all channels */
    lk_norm norm; /* LK_NORM_NONE or LK_NORM_GROUP */
    int continuous_count;
    int choice_count; /* sum over the discrete groups */
} lk_encoder_shape;

enum { LK_VGG_BLOCKS = 16, LK_RESIDUAL_BLOCKS = 3 };

typedef struct lk_encoder {
    lk_encoder_shape shape;
    lk_weights weights;
    lk_block features[LK_VGG_BLOCKS];
    lk_block residual[LK_RESIDUAL_BLOCKS][2];
    lk_tensor *residual_y[LK_RESIDUAL_BLOCKS]; /* kept for backward */
    int heads[2][2];                           /* {continuous, discrete} x {weight, bias} */
    lk_tensor *flat;                           /* what the heads saw */
    lk_tensor *continuous;                     /* after the sigmoid */
    int map_channels, map_size;
} lk_encoder;

/* dtype: of the values (LK_DTYPE_F32; LK_DTYPE_F64 in gradient checks); compute: LK_DTYPE_BF16 or the same. */
lk_status lk_encoder_create(const lk_encoder_shape *shape, lk_dtype dtype, lk_dtype compute, lk_encoder *out);
void lk_encoder_free(lk_encoder *encoder);

/* torchvision's start: convolutions normal with deviation sqrt(2 / (k*k*out)), heads normal with deviation 0.01, biases zero,
 * norms one and zero. The same weights for the same seed. */
lk_status lk_encoder_initialize(lk_encoder *encoder, uint64_t seed);
/* Starts the continuous head at the mean of the training labels (its bias is their logit): without, it drifts into
 * saturation. mean[continuous_count] in [0,1]. */
lk_status lk_encoder_set_continuous_bias(lk_encoder *encoder, const double *mean);
/* The factor of the continuous head's learning rate. */
void lk_encoder_set_continuous_lr(lk_encoder *encoder, double factor);

/* x [n,3,S,S] normalized, in the compute type -> *continuous [n,nc] in [0,1] and *logits [n,choices], both in the values'
 * type. keep: backward follows. The caller owns both. */
void lk_encoder_forward(lk_encoder *encoder, const lk_tensor *x, bool keep, lk_tensor **continuous, lk_tensor **logits);
/* From the gradients with respect to the two outputs, consumed: hands in the gradients of all weights, as block.h says. */
void lk_encoder_backward(lk_encoder *encoder, lk_tensor *dcontinuous, lk_tensor *dlogits);

#endif
