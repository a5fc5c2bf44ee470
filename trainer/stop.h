/* Stopping on request: signals set a flag, nothing more; the loop asks at step boundaries. */
#ifndef LK_TRAINER_STOP_H
#define LK_TRAINER_STOP_H

#include "base/error.h"
#include "configs/config.h"

/* Installs handlers for signals named as in run.signals. A second TERM or INT, two seconds or more after the first, has its
 * usual effect at once: whoever cannot wait for the save sends TERM again. (One that comes sooner is the same, passed on by
 * launcher and queue both. USR1 followed by TERM is how queues announce the end of a job: the save goes on.) */
lk_status lk_stop_install(const lk_paths *signals);
/* The signal that asked for the end, or 0. */
int lk_stop_requested(void);

#endif
