/* What must not outlive the process when a signal ends it: unfinished files, and processes in groups of their own, which a
 * terminal's Ctrl-C does not reach. Signals that a program is free to end by (HUP, INT, TERM, PIPE, XCPU, USR1, USR2) remove the
 * first, kill the second, and then have their usual effect. SIGKILL leaves them; lk_sweep_temporaries is for that.
 */
#ifndef LK_BASE_LEFTOVER_H
#define LK_BASE_LEFTOVER_H

#include <sys/types.h>

/* Once, at the start of the program. Signals that are ignored or caught already stay so. */
void lk_leftover_install(void);

/* A file or a folder of files at `path` (under LK_PATH_SIZE bytes), to be named before it is made. Returns a number above 0 for
 * lk_leftover_forget; 0 where 64 are remembered already, and this one is not. Thread-safe, as all here. */
int lk_leftover_path(const char *path);
/* All processes of a group: a number before the first is started, by a thread that blocks signals until it has told the group. A
 * signal that comes meanwhile waits for that. */
int lk_leftover_reserve(void);
void lk_leftover_group(int number, pid_t group);
/* It has its final name, was removed, or has ended. 0 is fine. */
void lk_leftover_forget(int number);

/* For handlers of other signals: removes and kills all that is remembered, and ends the process by the signal. The same signal
 * again ends it at once, should a disk not answer meanwhile. */
void lk_leftover_end(int number);

#endif
