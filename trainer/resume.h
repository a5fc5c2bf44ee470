/* Going on from a checkpoint, or beginning: where a training gets its state, weights and optimizer from. */
#ifndef LK_TRAINER_RESUME_H
#define LK_TRAINER_RESUME_H

#include "base/error.h"
#include "trainer/training.h"

/* Rank 0 finds the checkpoint that `resume` names (train.h), compares it with the configuration and the data, and loads it; every
 * rank gets its state, weights and optimizer. Only then, when nothing speaks against going on, is the run taken over: a start
 * that is refused leaves it to whoever works on it. Every rank must call, with everything but run, saver and loader open; errors
 * are everyone's. */
lk_status lk_resume(lk_training *t, const char *resume);

#endif
