/* Checkpoints: a folder checkpoints/step-000001200/ in the run folder with
 *
 *     model.safetensors       the weights
 *     optimizer.safetensors   momentum.NAME, or mean.NAME and square.NAME
 *     state.json              step, counters, sampler, schema, configuration, world, kernels, program, XXH3-64 of the two files
 *
 * It is written beside its place under a temporary name, every file and the folder fsynced, and committed by one rename: a
 * folder of that name is complete. A damaged one (a torn disk, a flipped bit) is found by its hashes and skipped.
 *
 * These functions do no collectives; rank 0 calls them. trainer/save.c decides when, trainer/record/saver.h writes,
 * trainer/record/retention.h says which stay.
 */
#ifndef LK_TRAINER_RECORD_CHECKPOINT_H
#define LK_TRAINER_RECORD_CHECKPOINT_H

#include "base/error.h"
#include "base/file.h"
#include "trainer/model/weights.h"

#include <stdbool.h>
#include <stdint.h>

/* What a training knows besides weights and optimizer. */
typedef struct lk_train_state {
    int64_t step;                /* steps taken, the position in epoch and permutation */
    int64_t updates;             /* steps that changed the weights (steps minus skipped ones) */
    double best;                 /* least validation loss so far; infinity before the first */
    int64_t best_step;           /* of it; 0 before */
    double gained;               /* the last validation loss that was better than the one before by train.converge.min_delta */
    int64_t epochs_without_gain; /* validations since then */
    int64_t validated; /* the step of the last validation: where one is due at `step` and this is less, it has not been done */
    int64_t skipped;
    int64_t restarts; /* how often the run was resumed */
} lk_train_state;

enum { LK_OPTIMIZER_BUFFERS = 2 };

/* The flat buffers of a training (trainer/model/weights.h says how they are laid out). */
typedef struct lk_training_buffers {
    const lk_weights *layout; /* names, sizes, offsets, device; values are not read */
    float *values;            /* the host's, but for the training's own (lk_training_live): those are the device's */
    int buffer_count;
    float *buffers[LK_OPTIMIZER_BUFFERS];
} lk_training_buffers;

/* Texts that go with it. */
typedef struct lk_checkpoint_texts {
    const char *config; /* resolved YAML */
    const char *schema;
    int64_t seed, sample_count; /* of the sampler */
    uint64_t data_hashes[2];    /* contents of data.train and data.val (lk_dataset_content_hash) */
    int world;                  /* ranks */
    const char *kernels;        /* lk_weights_kernels() */
} lk_checkpoint_texts;

/* Writes and fsyncs the three files into `folder`, which is made anew; *bytes is what was written. Uses the buffers up: they
 * are turned into PyTorch's layouts in place. On failure the folder is removed. */
lk_status lk_checkpoint_write(const char *folder, lk_training_buffers *buffers, const lk_train_state *state,
                              const lk_checkpoint_texts *texts, int64_t *bytes);

typedef struct lk_checkpoint_info {
    lk_train_state state;
    int64_t seed, sample_count;
    bool has_data_hashes; /* builds of round 1 did not write them */
    uint64_t data_hashes[2];
    int world;
    char *program;     /* lk_program() of its build; NULL: an older one, which did not say */
    char *kernels;     /* what computed (lk_weights_kernels); NULL: an older build, libtorch */
    bool later_format; /* set where the reading failed for it: a later version of the program wrote it */
    char *config, *schema;
    uint64_t model_hash, optimizer_hash;
} lk_checkpoint_info;

/* state.json alone: written into `folder` with the hashes of the two files beside it; read, where `origin` names it in errors
 * (LK_BAD_DATA). Every byte of it is under a hash of its own. */
lk_status lk_checkpoint_write_state(const char *folder, const lk_train_state *state, const lk_checkpoint_texts *texts,
                                    uint64_t model, uint64_t optimizer);
lk_status lk_checkpoint_parse_state(const char *text, size_t size, const char *origin, lk_checkpoint_info *out);
/* The whole folder: state.json, and both files against their hashes. */
lk_status lk_checkpoint_verify(const char *path, lk_checkpoint_info *out);
void lk_checkpoint_info_free(lk_checkpoint_info *info);

/* Fills the buffers from a verified checkpoint. LK_BAD_DATA names what does not fit. */
lk_status lk_checkpoint_load(const char *path, lk_training_buffers *buffers);

/* The newest checkpoint of a run that verifies; damaged ones are skipped with a warning that names the file. out[0] = '\0' if
 * there is none. *info is of the one found. A checkpoint that cannot be read just now is LK_IO, one of a later format
 * LK_BAD_DATA: nobody should lose a good checkpoint to a network that was away or to an old program. */
lk_status lk_checkpoint_find(const char *run, char out[LK_PATH_SIZE], lk_checkpoint_info *info);

/* step-000001200 below the run's checkpoints folder. */
lk_status lk_checkpoint_path(const char *run, int64_t step, char out[LK_PATH_SIZE]);
/* Takes one away: renamed out of sight first, so that a kill never leaves half of it under its name. */
lk_status lk_checkpoint_remove(const char *run, int64_t step);
/* The step of a name like step-000001200; false for other names, step-1200 among them. */
bool lk_checkpoint_step_of(const char *name, int64_t *step);
/* All steps that have a folder of such a name, ascending; caller frees. */
lk_status lk_checkpoint_list(const char *run, int64_t **steps, size_t *count);

#endif
