#include "collectives/deadline.h"

#include "base/log.h"
#include "base/thread.h"

#include <math.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

/* Processes start and end slowly where many share few cores. */
static const double least_seconds = 15;

/* Slept in pieces: of a suspension no more than one of them counts. */
static const double turn_seconds = 0.1;

/* By then the launcher has ended the job, if rank 0 or 1 could speak. */
static const double grace_seconds = 2;

/* Each has a thread of its own, which ends when there is a newer one. */
typedef struct deadline {
    unsigned number;
    const char *where;
    double seconds;
} deadline;

static atomic_uint newest;

static void *wait_for_it(void *context)
{
    deadline d = *(deadline *)context;
    free(context);
    /* The rank may become known meanwhile. */
    for (double waited = 0; waited < d.seconds + (lk_log_get_rank() > 1 ? grace_seconds : 0); waited += turn_seconds) {
        poll(NULL, 0, (int)(turn_seconds * 1000));
        if (atomic_load(&newest) != d.number)
            return NULL;
    }
    lk_log_rank("error: no progress for %g s %s: a rank is stopped or hangs; the job ends (stall.abort_s)", d.seconds, d.where);
    _exit(lk_exit_code(LK_REQUEUE)); /* MPI_Abort is not to be had before MPI's start and behind its end */
}

lk_status lk_deadline_set(const char *where, double seconds)
{
    pthread_t thread;
    deadline *d = malloc(sizeof *d);
    if (!d)
        return lk_fail(LK_INTERNAL, "out of memory for a deadline");
    *d = (deadline){.number = atomic_fetch_add(&newest, 1) + 1, .where = where, .seconds = fmax(seconds, least_seconds)};
    lk_status status = lk_thread_start(&thread, "deadline", wait_for_it, d);
    if (status == LK_OK)
        pthread_detach(thread);
    else
        free(d);
    return status;
}

void lk_deadline_clear(void)
{
    atomic_fetch_add(&newest, 1);
}
