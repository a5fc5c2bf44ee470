/* Where a rank computes: on which cores of its host, with how many threads.
 *
 * Launchers may have bound ranks to cores (srun, mpirun --bind-to core); that stands. Ranks of a host that may run on the same
 * cores divide them: each keeps to its own share from then on, with all threads that it starts, so that they do not get in each
 * other's way. A rank that is alone on its cores is not bound: what else the machine does is not known here.
 */
#ifndef LK_TRAINER_PLACEMENT_H
#define LK_TRAINER_PLACEMENT_H

#include "collectives/group.h"
#include "configs/config.h"

#include <stdbool.h>

typedef struct lk_placement {
    int threads; /* train.threads, or of auto: one a core of the share; with 8 and more, one less: what ranks exchange has it */
    int cores;   /* of the share */
    bool bound;  /* to the share, by lk_place() */
} lk_placement;

/* Every rank must call, before it starts threads that compute. A bad system call is no error: then nothing is bound. */
lk_placement lk_place(const lk_config *config, lk_process_group *group);

#endif
