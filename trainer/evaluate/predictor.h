/* Prediction: an aligned face in, its parameters out. Everything that is needed is in the weights' file: the shape of the model
 * is read from its tensors (docs/load_encoder.py does the same), the schema from its note. No data set, no run folder.
 *
 *     LK_TRY(lk_predictor_open("encoder.safetensors", NULL, threads, &predictor));
 *     LK_TRY_OR(done, lk_predict(predictor, n, pixels, continuous, discrete, certainty));
 *
 * Computed in float32, whatever precision the training had. One thread at a time; another than the one that opened it calls
 * lk_tensor_start first. Throughout, n faces are [n,...] row by row, nc
 * and groups are the schema's counts, S is lk_predictor_size.
 */
#ifndef LK_TRAINER_EVALUATE_PREDICTOR_H
#define LK_TRAINER_EVALUATE_PREDICTOR_H

#include "base/device/device.h"
#include "base/error.h"
#include "dataset/schema.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_predictor lk_predictor;

/* `model`: a run, a checkpoint or a .safetensors file with encoder.*. `decoder` likewise, with decoder.*; NULL: the one in the
 * same file, else the one that the configuration of the same run names (model.decoder.weights), else none; why is then in the
 * log. LK_BAD_DATA names the tensor or the note that is missing or does not fit. `device` is that of the whole process
 * (trainer/device.h), `threads` is libtorch's. */
lk_status lk_predictor_open(const char *model, const char *decoder, lk_device_choice device, int threads, lk_predictor **out);
/* NULL is fine. */
void lk_predictor_close(lk_predictor *predictor);

const lk_schema *lk_predictor_schema(const lk_predictor *predictor);
int lk_predictor_size(const lk_predictor *predictor); /* S: edge of the pictures that the encoder takes */
bool lk_predictor_can_draw(const lk_predictor *predictor);

/* pixels [n,S,S,3] -> continuous [n,nc] in [0,1], discrete [n,groups], and certainty [n,groups]: the softmax probability of the
 * choice that was taken, by the temperatures that the weights' file notes (calibration.h). */
lk_status lk_predict(lk_predictor *predictor, int n, const uint8_t *pixels, float *continuous, uint8_t *discrete,
                     float *certainty);

/* D(p) of the parameters as pixels [n,S,S,3]. LK_USAGE without a decoder. */
lk_status lk_predictor_draw(lk_predictor *predictor, int n, const float *continuous, const uint8_t *discrete, uint8_t *pixels);

/* One face as a tree: the keys of lk_parameters_to_json, and "certainty": {group: share}. NULL: out of memory. The caller's. */
struct json_t;
struct json_t *lk_prediction_to_json(const lk_schema *schema, const float *continuous, const uint8_t *discrete,
                                     const float *certainty);

#endif
