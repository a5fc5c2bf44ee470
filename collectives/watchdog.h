/* The stall watchdog: a job in which a rank died, hangs or lost its network ends within a bounded time, with a line that names
 * rank, host, step and phase.
 *
 *     lk_watchdog_start(group, 30, 300, &dog);
 *     each step:  lk_watchdog_report(dog, step, LK_PHASE_DATA); ... lk_watchdog_report(dog, step, LK_PHASE_FORWARD); ...
 *     lk_watchdog_stop(dog);
 *
 * Every rank has a small thread that tells rank 0 its step and phase, after each report and at least every second, over TCP
 * connections of its own: MPI calls of a second thread can block behind a full buffer to the very rank that stopped, or behind
 * the main thread.
 *
 * Rank 0 sees who is silent (stopped, or its network is gone), whose connection closed (dead), and who does not report while
 * its thread still beats (hangs). If no rank reported for warn_s, or one was silent for so long, one line names the ranks that
 * the others wait for: the silent ones, or if none is silent those in the earliest step and phase. After abort_s the job ends
 * with exit code 75 on every rank. A dead rank ends it at once. Rank 0's beats flow back, and when they stop the others do the
 * same; one rank on each host speaks.
 *
 * A failed sum over ranks (lk_watchdog_watch) ends the job like a death.
 *
 * In the phases start and save, in which ranks open and write files, the bytes that the process reads and writes count as
 * reports (/proc/self/io): a slow disk is no stall as long as it moves.
 *
 * Time in which the watchdog itself did not run (the whole job was suspended) does not count.
 */
#ifndef LK_COLLECTIVES_WATCHDOG_H
#define LK_COLLECTIVES_WATCHDOG_H

#include "base/error.h"
#include "collectives/group.h"
#include "collectives/reducer.h"

#include <stdint.h>

/* In the order of a step; "wait": this rank is through and waits for the others. */
#define LK_PHASE_TABLE(X)                                                                                                        \
    X(LK_PHASE_START, "start")                                                                                                   \
    X(LK_PHASE_DATA, "data")                                                                                                     \
    X(LK_PHASE_FORWARD, "forward")                                                                                               \
    X(LK_PHASE_BACKWARD, "backward")                                                                                             \
    X(LK_PHASE_REDUCE, "reduce")                                                                                                 \
    X(LK_PHASE_VALIDATE, "validate")                                                                                             \
    X(LK_PHASE_SAVE, "save")                                                                                                     \
    X(LK_PHASE_WAIT, "wait")

typedef enum lk_phase {
#define LK_PHASE_ENUM(name, text) name,
    LK_PHASE_TABLE(LK_PHASE_ENUM)
#undef LK_PHASE_ENUM
} lk_phase;

const char *lk_phase_name(lk_phase phase);

typedef struct lk_watchdog lk_watchdog;

/* Seconds; 0 for either means never, for both that there is no watchdog (*out = NULL). `interface` is lk_star_open's. `group`
 * must outlive it. LK_INTERNAL if a rank cannot reach rank 0 by TCP. Every rank must call. */
lk_status lk_watchdog_start(lk_process_group *group, double warn_s, double abort_s, const char *interface, lk_watchdog **out);

/* From here on beats also say how far this rank is in its collectives. When the watchdog ends the job each rank that still can
 * writes its last ones into `folder` (lk_reducer_record), and the line of error names the first that differs over ranks. The
 * reducer must outlive the watch. NULL for any is fine.
 *
 * A failure of the reducer (lk_reducer_poll) ends the job with 75 at once, by one line of one of the ranks that met it. */
void lk_watchdog_watch(lk_watchdog *dog, lk_reducer *reducer, const char *folder);
/* For a rank whose reducer returned a failure: the others may wait for it where nobody can tell them, so the watchdog, which
 * finds the same failure, ends the job; this does not return. Without a watch it does. */
void lk_watchdog_await_end(lk_watchdog *dog);

/* Says where this rank is. Every report is a sign of progress, also of the same step and phase: within a long phase (a
 * validation) report again and again, on whichever rank is at work. Costs two atomic stores; from one thread at a
 * time. NULL is fine. */
void lk_watchdog_report(lk_watchdog *dog, int64_t step, lk_phase phase);

/* Waits for all ranks, still watched, and ends the watch. NULL is fine. Every rank must call. */
void lk_watchdog_stop(lk_watchdog *dog);

#endif
