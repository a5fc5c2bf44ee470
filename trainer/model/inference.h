/* Using a trained encoder and decoder: pictures in, parameters out, and back. All in evaluation mode; nothing is kept for a
 * backward. One thread at a time per model. */
#ifndef LK_TRAINER_MODEL_INFERENCE_H
#define LK_TRAINER_MODEL_INFERENCE_H

#include "base/error.h"
#include "dataset/schema.h"
#include "trainer/model/decoder.h"
#include "trainer/model/encoder.h"

/* Parameters of pictures [n,S,S,3] as the encoder sees them, on the host: continuous [n,nc] in [0,1], logits [n,choices]. */
lk_status lk_encode(lk_encoder *encoder, const uint8_t *images, int n, float *continuous, double *logits);

/* The most probable choice of each group, [n,groups]. `certainty` [n,groups] (NULL: not asked for) is its probability, by the
 * softmax of the group's logits over its temperature [groups] (NULL: 1). */
void lk_most_probable(const lk_schema *schema, int n, const double *logits, const double *temperature, uint8_t *discrete,
                      float *certainty);

/* The schema's groups as tensors know them. */
lk_choices lk_schema_choices(const lk_schema *schema);

/* D(continuous, discrete) of the host's faces as pictures [n,3,S,S]. */
lk_tensor *lk_decode(lk_decoder *decoder, const lk_schema *schema, int n, const float *continuous, const uint8_t *discrete);

#endif
