/* A task: what one stage of training learns. The loop (trainer/train.c) knows nothing of encoders and decoders; it moves
 * batches, gradients and weights, and asks the task to learn from a batch, to judge one, to draw a picture.
 *
 *     decoder   L1 between D(p) and the client's picture            (trainer/task_decoder.c)
 *     encoder   F = F1 + lambda F2 through the frozen decoder       (trainer/task_encoder.c)
 */
#ifndef LK_TRAINER_TASK_H
#define LK_TRAINER_TASK_H

#include "base/error.h"
#include "configs/config.h"
#include "dataset/image.h"
#include "dataset/loader.h"
#include "dataset/schema.h"
#include "trainer/model/weights.h"

/* Sums over samples. The decoder has F alone. */
typedef struct lk_losses {
    double f, f1, f2;
} lk_losses;

/* What learn adds up where the tensors are (lk_sums): F1 and F2 of the encoder, L1 of the decoder. */
enum { LK_TASK_SUMS = 2 };

typedef struct lk_task lk_task;
struct lk_task {
    lk_weights *weights;   /* what is trained */
    lk_weights *frozen;    /* what is used and never changes: the decoder; NULL if nothing */
    bool has_parts;        /* F1 and F2 mean something ... */
    double lambda;         /* ... and F is F1 + lambda F2 */
    const char *loss_name; /* "F", or "L1" */

    /* Forward and backward of one micro-batch, between lk_weights_begin and lk_weights_end of the weights: hands in the gradient
     * of every weight exactly once, in the opposite order of adding, multiplied by `share` (1 / global batch). Those that a
     * failure keeps back, lk_weights_end hands in: the other ranks wait for them. Adds the losses of its samples
     * to sums[0..LK_TASK_SUMS-1], numbers of a lk_sums side by side. Asks, and does not wait: the batch is lent (tensor.h). */
    lk_status (*learn)(lk_task *task, const lk_batch *batch, double share, double *sums);
    /* Before a validation: takes the current weights (the decoder folds its batch norm). */
    lk_status (*begin_judging)(lk_task *task);
    /* Forward alone, waited for; adds the losses to *sums. */
    lk_status (*judge)(lk_task *task, const lk_batch *batch, lk_losses *sums);
    /* A column of square pictures a sample, from left to right; after begin_judging. */
    lk_status (*draw)(lk_task *task, const lk_batch *batch, lk_image *out);
    void (*free)(lk_task *task);
};

/* For the stage of the configuration. `mean` [continuous_count]: the mean labels of the training set, for the start of the
 * continuous head. config and schema must outlive the task. */
lk_status lk_task_create(const lk_config *config, const lk_schema *schema, const double *mean, lk_task **out);

/* The stages' own constructors. */
lk_status lk_encoder_task_create(const lk_config *config, const lk_schema *schema, const double *mean, lk_task **out);
lk_status lk_decoder_task_create(const lk_config *config, const lk_schema *schema, lk_task **out);

/* What sums[] of learn mean, once they are read. */
lk_losses lk_task_losses(const lk_task *task, const double sums[LK_TASK_SUMS]);
/* Reads `sums`, of LK_TASK_SUMS numbers, and adds what they mean to *losses. */
lk_status lk_task_add_losses(const lk_task *task, lk_sums *sums, lk_losses *losses);

/* Puts columns of pictures (each [n,S,S,3], from top to bottom of a column) side by side: n columns, `rows` rows. */
lk_status lk_draw_columns(int n, int rows, int size, const uint8_t *const *pixels, lk_image *out);

#endif
