/* Stopping on request: signals set a flag, nothing more; the loop asks after each step and between the batches of a
 * validation. */
#ifndef LK_TRAINER_STOP_H
#define LK_TRAINER_STOP_H

#include "base/error.h"
#include "configs/config.h"

enum { LK_STOP_TIME = 1 << 10 }; /* no signal: the time is up */

/* Installs handlers for signals named as in run.signals; `until` (base/clock.h; infinity: never) is when the time is up. A
 * second TERM or INT, two seconds or more after the first, has its usual effect at once: whoever cannot wait for the save sends
 * TERM again. (One that comes sooner is the same, passed on by launcher and queue both. USR1 followed by TERM is how queues
 * announce the end of a job: the save goes on.) HUP stays ignored where it is, as nohup wants. A reader of the log that goes
 * away (SIGPIPE) ends nothing: lines without a reader are dropped. All others that are caught at the start of the program end it
 * as base/leftover.h says. */
lk_status lk_stop_install(const lk_paths *signals, double until);
/* The signal that asked for the end, LK_STOP_TIME, or 0. */
int lk_stop_requested(void);
/* "Terminated", "train.max_minutes". */
const char *lk_stop_reason(int stop);

#endif
