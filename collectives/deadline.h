/* The end of a wait that no stall watchdog (watchdog.h) watches: while MPI starts, and from the last beat until MPI has ended. A
 * rank that is stopped or hangs there would keep the others for ever. There is one deadline in a process.
 */
#ifndef LK_COLLECTIVES_DEADLINE_H
#define LK_COLLECTIVES_DEADLINE_H

#include "base/error.h"

/* Seconds, where no configuration says stall.abort_s. */
enum { LK_USUAL_PATIENCE = 300 };

/* From now on this process has so many seconds, at least 15, in place of what it had before. Then it ends with exit code 75, by
 * which its launcher ends the job; ranks 0 and 1 say so first, in a line with `where`, which must outlive it: "while the ranks
 * start". Time in which the process was suspended does not count. From one thread at a time. */
lk_status lk_deadline_set(const char *where, double seconds);
/* There is none any more. */
void lk_deadline_clear(void);

#endif
