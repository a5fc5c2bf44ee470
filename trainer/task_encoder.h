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

#endif
