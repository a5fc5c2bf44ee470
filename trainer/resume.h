/* Going on from a checkpoint, or beginning: where a training gets its state, weights and optimizer from. */
#ifndef LK_TRAINER_RESUME_H
#define LK_TRAINER_RESUME_H

#include "base/error.h"
#include "trainer/training.h"

/* Three parts, in this order, once everything but run, saver and loader is open. Rank 0 finds the checkpoint that `resume` names
 * (train.h), compares it with the configuration and the data, and loads it; other ranks do nothing. */
lk_status lk_resume_load(lk_training *t, const char *resume);
/* Every rank gets rank 0's state, weights and optimizer. Every rank must call. */
lk_status lk_resume_share(lk_training *t);
/* Takes the run over, now that nothing speaks against going on: a start that is refused leaves it to whoever works on it. Every
 * rank must call, for its own part. */
lk_status lk_resume_take_over(lk_training *t);

#endif
