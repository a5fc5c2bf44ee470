/* Saving: when a training takes a snapshot, and when a written one becomes a checkpoint. trainer/record/saver.h writes it. */
#ifndef LK_TRAINER_SAVE_H
#define LK_TRAINER_SAVE_H

#include "base/error.h"
#include "trainer/training.h"

#include <stdbool.h>

/* Starts rank 0's saver, when the run is open. */
lk_status lk_save_start(lk_training *t);

/* By checkpoint.every_steps or every_minutes. */
bool lk_save_is_due(const lk_training *t);
/* The numbers of this step are to be saved: copied until the next update, then written. On rank 0, where the saver is not busy.
 * LK_BAD_DATA if a weight is not finite, which is named: nobody could go on from it. */
lk_status lk_save_take(lk_training *t);
/* Whether a written checkpoint waits for its commit; one whose write failed is a warning. Never on ranks other than 0. */
bool lk_save_is_written(lk_training *t);
/* Commits it, after an exchange of all ranks that began when lk_save_is_written had said so. Only a run taken over by another job
 * is a failure: for anything else the last good checkpoint stays and training goes on. */
lk_status lk_save_commit(lk_training *t);

/* Finishes a write under way. Every rank must call. */
lk_status lk_save_settle(lk_training *t);
/* checkpoints/best points to the best step, if that is committed; else its commit will see to it. */
lk_status lk_save_note_best(lk_training *t);

/* Saves this very step and waits until it is committed; LK_IO if it cannot be. Every rank must call. */
lk_status lk_save_now(lk_training *t);

#endif
