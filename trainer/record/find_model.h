/* What a user may name as a trained model - a run, a checkpoint, a .safetensors file - and where its weights and schema are. */
#ifndef LK_TRAINER_RECORD_FIND_MODEL_H
#define LK_TRAINER_RECORD_FIND_MODEL_H

#include "base/error.h"
#include "base/file.h"

#include <stdint.h>

typedef struct lk_found_model {
    char path[LK_PATH_SIZE];   /* of the safetensors file */
    char config[LK_PATH_SIZE]; /* config.yaml of the run that it is of; "": there is none */
    char *schema;              /* canonical text, out of state.json; NULL: as the file's own note says */
    int64_t step;              /* -1: unknown */
} lk_found_model;

/* Of a run: its final weights, or while it goes on those of its newest checkpoint. A checkpoint's hashes are verified. */
lk_status lk_find_model(const char *path, lk_found_model *out);
void lk_found_model_free(lk_found_model *model);

#endif
