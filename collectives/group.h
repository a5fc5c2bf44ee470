/* The process group: who the ranks are, and the few bytes that they tell each other: agreement, gathers, broadcasts, barriers.
 * Gradients go another way, by a reducer (reducer.h). Every function marked "every rank must call" blocks until all ranks of the
 * group called it in the same order. Failures of MPI itself abort the job with a line from the rank that met them (a lost peer
 * cannot be survived in Open MPI 4.1). One thread at a time per group: a second thread needs a duplicate.
 *
 * What carries the messages is behind collectives/backend.h.
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

/* The library that carries messages between ranks, "Open MPI v4.1.4"; before lk_group_open too. */
void lk_group_library(char *out, size_t size);

/* Starts MPI (MPI_THREAD_MULTIPLE is required) and makes the group of all ranks. Once per process, early: it reads the
 * environment that the launcher left. Also sets the rank of base/log. All ranks get the same status.
 *
 * - Started by mpirun (OMPI_COMM_WORLD_SIZE): the world is what mpirun was asked for. Inside a SLURM allocation that may be
 *   fewer ranks than SLURM_NTASKS by intent: a warning names both numbers. (SLURM_STEP_NUM_TASKS means nothing here: on the
 *   other nodes it is the number of mpirun's daemons.)
 * - Started by srun (SLURM_STEP_ID and SLURM_PROCID, no mpirun): a world of another size than SLURM_STEP_NUM_TASKS, or
 *   several tasks without a process manager (srun without --mpi=pmix), is LK_BAD_CONFIG: each rank would train by itself.
 * - Started by neither: a group of one, without MPI; inside an allocation of several tasks with a warning. */
lk_status lk_group_open(lk_process_group *group);
/* The end: nothing of the group may be used any more, duplicates must have been released. MPI itself ends when the process
 * exits, which waits for all ranks. Every rank must call, so only where lk_group_agree made all ranks agree to end; a rank
 * that fails alone calls lk_group_abort. */
void lk_group_close(lk_process_group *group);
/* Ends every rank of the job at once with this exit code; does not return, and works while other threads of this process or
 * other ranks are inside a collective, or stopped. For failures that other ranks cannot know of. */
void lk_group_abort(lk_process_group *group, int exit_code);

/* A second group over the same ranks with its own communicator, for a thread of its own. Every rank must call. */
lk_status lk_group_duplicate(const lk_process_group *group, lk_process_group *out);
void lk_group_release(lk_process_group *duplicate);

/* Every rank must call each of these, with buffers in host memory. */
void lk_group_barrier(lk_process_group *group);
void lk_group_max_i64(lk_process_group *group, int64_t *buffer, size_t count); /* in place */
void lk_group_broadcast(lk_process_group *group, void *data, size_t size, int root);
/* Gathers `size` bytes of every rank into out[rank * size] on every rank. */
void lk_group_gather(lk_process_group *group, const void *data, size_t size, void *out);

/* Agreement on errors: every rank passes its own status; if any failed, all get the status and sentence of the lowest failed
 * rank (so that one line is printed once), with that rank and its host in front unless all failed. Every rank must call. */
lk_status lk_group_agree(lk_process_group *group, lk_status mine);

#endif
