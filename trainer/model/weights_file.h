/* Weights in safetensors files, in PyTorch's names and layouts. */
#ifndef LK_TRAINER_MODEL_WEIGHTS_FILE_H
#define LK_TRAINER_MODEL_WEIGHTS_FILE_H

#include "base/error.h"
#include "trainer/model/safetensors.h"
#include "trainer/model/weights.h"

/* What a user may give for weights - a .safetensors file, a run folder or a checkpoint folder - as the file that holds them.
 * out[LK_PATH_SIZE]. */
lk_status lk_weights_resolve(const char *path, char *out);

/* LK_BAD_DATA that names the first float32 tensor with a NaN or infinity and where it came from: nobody could use such weights.
 * For all that is written as weights. */
lk_status lk_weights_require_finite(const char *origin, const lk_safetensor *tensors, size_t count);

/* Writes all weights as float32, atomically; *hash (may be NULL) is that of the file. They must be finite. */
lk_status lk_weights_save(const char *path, const lk_weights *weights, const lk_safetensors_note *notes, size_t note_count,
                          uint64_t *hash);

/* Writes all tensors of an open file as they are, with these notes in the place of its own, atomically: `path` may be that file.
 * They must be finite. */
lk_status lk_weights_copy(const lk_safetensors *file, const char *path, const lk_safetensors_note *notes, size_t note_count);

/* Loads every weight by its name, from float32 or bfloat16. A missing tensor, another shape (both are named), a NaN or infinity
 * is LK_BAD_DATA. Extra tensors in the file are fine: one file may hold encoder and decoder. */
lk_status lk_weights_load(lk_weights *weights, const char *path);

/* The same, and in addition takes torchvision's VGG19: a file with features.N.* and no encoder.* loads the features and leaves
 * the residual blocks and heads as they are. */
lk_status lk_weights_load_init(lk_weights *weights, const char *path);

#endif
