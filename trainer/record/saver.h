/* The saver: writes checkpoints from a snapshot on a thread of its own, so that training stalls only for the copy.
 *
 * On rank 0 alone; trainer/save.c decides when. Three moments of a checkpoint:
 *     take     copies weights, optimizer and state (the stall). On a GPU the copies are only asked for, on a stream beside the
 *              training's, and run beside its next forward and backward
 *     write    the thread waits for the copies, writes and fsyncs them beside their place
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
/* Snapshot and begin to write; only when not busy. Fails where the device does. */
lk_status lk_saver_take(lk_saver *saver, const lk_train_state *state);
/* Before the numbers of the training change: what the device's stream is asked for from here on comes after the last snapshot's
 * copies. The host does not wait. */
lk_status lk_saver_order_update(lk_saver *saver);
/* Blocks until the thread has nothing to do. */
void lk_saver_wait(lk_saver *saver);
/* Whether a written checkpoint waits for its commit. A write that failed is told here, once: *failure is its status with the
 * sentence set, else LK_OK. */
bool lk_saver_written(lk_saver *saver, lk_status *failure);

typedef struct lk_saver_report {
    int64_t step, bytes;
    double stall_s; /* training waited: snapshot and commit */
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
