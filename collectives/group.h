/* The process group: what ranks do together. Every function marked "every rank must call" blocks until all ranks of the
 * group called it in the same order. Failures of MPI itself abort the job (a lost peer cannot be survived in MPI 4.1).
 *
 * Behind it stands a vtable, so that NCCL can carry device buffers beside MPI later; today MPI carries everything.
 */
#ifndef LK_COLLECTIVES_GROUP_H
#define LK_COLLECTIVES_GROUP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lk_group_backend lk_group_backend;

typedef struct lk_process_group {
    int rank, size;
    int local_rank, local_size; /* among the ranks of this host */
    const lk_group_backend *backend;
    void *state;
} lk_process_group;

/* Starts MPI (MPI_THREAD_MULTIPLE is required) and makes the group of all ranks; a process that was not started by mpirun
 * or srun is a group of one. Under SLURM (SLURM_STEP_NUM_TASKS set) a world of another size is an error that says what to
 * do. Once per process. Also sets the rank of base/log. */
lk_status lk_group_open(lk_process_group *group);
/* Every rank must call. Ends MPI. */
void lk_group_close(lk_process_group *group);
/* Ends every rank of the job at once with this exit code; does not return. For failures that other ranks cannot know of. */
void lk_group_abort(lk_process_group *group, int exit_code);

/* A second group over the same ranks with its own communicator, for a thread of its own. Every rank must call. */
lk_status lk_group_duplicate(const lk_process_group *group, lk_process_group *out);
void lk_group_release(lk_process_group *duplicate);

/* Every rank must call each of these. */
void lk_group_barrier(lk_process_group *group);
void lk_group_sum_f32(lk_process_group *group, float *buffer, size_t count);  /* in place */
void lk_group_sum_f64(lk_process_group *group, double *buffer, size_t count); /* in place */
void lk_group_max_i64(lk_process_group *group, int64_t *buffer, size_t count); /* in place */
void lk_group_broadcast(lk_process_group *group, void *data, size_t size, int root);
/* Gathers `size` bytes of every rank into out[rank * size] on every rank. */
void lk_group_gather(lk_process_group *group, const void *data, size_t size, void *out);

/* Agreement on errors: every rank passes its own status; if any failed, all get the status and sentence of the lowest failed
 * rank (so that one line is printed once). Every rank must call. */
lk_status lk_group_agree(lk_process_group *group, lk_status mine);

#endif
