/* The encoder's stage opened up, for those who use an encoder without training it (trainer/evaluate/evaluate.c). */
#ifndef LK_TRAINER_TASK_ENCODER_H
#define LK_TRAINER_TASK_ENCODER_H

#include "trainer/model/decoder.h"
#include "trainer/model/encoder.h"
#include "trainer/task.h"

/* The frozen decoder of the configuration, loaded and folded, for this schema. */
lk_status lk_load_frozen_decoder(const lk_config *config, const lk_schema *schema, lk_decoder *out);

/* The encoder of the configuration, its weights zero. */
lk_status lk_configured_encoder(const lk_config *config, const lk_schema *schema, lk_encoder *out);

/* Parameters of a batch's pictures as the encoder sees them, on the host: continuous [n,nc] in [0,1], logits [n,choices]. */
lk_status lk_encode(lk_encoder *encoder, const uint8_t *images, int n, float *continuous, double *logits);

/* The most probable choice of each group. */
void lk_most_probable(const lk_schema *schema, int n, const double *logits, uint8_t *discrete);

/* D(continuous, discrete) as pictures [n,3,S,S]. */
lk_tensor *lk_decode(lk_decoder *decoder, const lk_schema *schema, int n, const float *continuous, const uint8_t *discrete);

#endif
