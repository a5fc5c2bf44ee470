/* The saver: writes checkpoints from a snapshot on a thread of its own, beside training.
 *
 * On rank 0 alone; trainer/save.c decides when. Four moments of a checkpoint:
 *     take     says that the numbers as they are now are to be saved, and does not wait
 *     copy     the thread copies weights and optimizer, beside the training's next forward and backward; on a GPU it asks for the
 *              copies, on a stream of its own. The training's next update waits for them (the stall, if there is one)
 *     write    the thread writes and fsyncs them beside their place
 *     commit   one rename, by the caller's thread, after an exchange of all ranks that began when the write had ended: an
 *              isolated rank 0 never gets there, and run.h's generation is checked besides
 */
#ifndef LK_TRAINER_RECORD_SAVER_H
#define LK_TRAINER_RECORD_SAVER_H

#include "base/error.h"
#include "configs/config.h"
#include "trainer/record/checkpoint.h"

#include <stdbool.h>

typedef struct lk_saver lk_saver;

/* `live` says where the training's buffers are, `last` the step of the checkpoint of this run that was resumed from (-1: none).
 * Texts, buffers and config must outlive the saver. The folder of checkpoints is tidied (retention.h). The memory of
 * a snapshot is set aside at once, and used from the first one on. */
lk_status lk_saver_start(const lk_config *config, const lk_training_buffers *live, const lk_checkpoint_texts *texts, int64_t last,
                         lk_saver **out);
/* Waits for the thread. NULL is fine. A checkpoint that was not committed is gone. */
void lk_saver_stop(lk_saver *saver);

/* Whether the thread is at work, or a written checkpoint waits for its commit. */
bool lk_saver_busy(lk_saver *saver);
/* The numbers of the training, as the device's stream leaves them, and this state become a checkpoint; only when not busy. They
 * may be read, and change only behind lk_saver_order_update. */
lk_status lk_saver_take(lk_saver *saver, const lk_train_state *state);
/* Before the numbers of the training change: what the device's stream is asked for from here on comes after the last snapshot's
 * copies. On a GPU the host does not wait for them. */
lk_status lk_saver_order_update(lk_saver *saver);
/* Blocks until the thread has nothing to do. */
void lk_saver_wait(lk_saver *saver);
/* Whether a written checkpoint waits for its commit. A write that failed is told here, once: *failure is its status with the
 * sentence set, else LK_OK. */
bool lk_saver_written(lk_saver *saver, lk_status *failure);

typedef struct lk_saver_report {
    int64_t step, bytes;
    double stall_s; /* training waited: for the copies, and the commit */
    double write_s; /* the thread was at work */
} lk_saver_report;
/* Renames the written checkpoint into place, points checkpoints/best to best_step (0: none) where that was saved, and removes
 * those that need not stay (retention.h). A written checkpoint that cannot be renamed is removed; an old one that cannot be
 * removed is a warning. */
lk_status lk_saver_commit(lk_saver *saver, int64_t best_step, lk_saver_report *report);
/* Makes checkpoints/best point to that step, if it is committed. */
lk_status lk_saver_point_to_best(lk_saver *saver, int64_t best_step);

/* The step of the last commit; -1 before the first. */
int64_t lk_saver_last(const lk_saver *saver);

#endif
