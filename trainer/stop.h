/* Stopping on request: signals set a flag, nothing more; the loop asks at step boundaries. */
#ifndef LK_TRAINER_STOP_H
#define LK_TRAINER_STOP_H

#include "base/error.h"
#include "configs/config.h"

/* Installs handlers for signals named as in run.signals. A second signal while the flag is set has its usual effect at once:
 * whoever cannot wait for the save sends TERM again. */
lk_status lk_stop_install(const lk_paths *signals);
/* The signal that asked for the end, or 0. */
int lk_stop_requested(void);

#endif
