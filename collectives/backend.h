/* What carries the messages of a process group; a carrier is a file that fills this table in: mpi.c, and solo.c for a process by
 * itself. Inside of collectives/ only.
 *
 * The upper part is the group's, and each function has the meaning of its namesake in group.h. The lower part carries the sums of
 * reducers in host memory. Counts may exceed 2^31.
 */
#ifndef LK_COLLECTIVES_BACKEND_H
#define LK_COLLECTIVES_BACKEND_H

#include "collectives/group.h"

struct lk_group_backend {
    const char *name;
    void (*close)(lk_process_group *group);
    void (*abort)(lk_process_group *group, int exit_code); /* does not return */
    lk_status (*duplicate)(const lk_process_group *group, lk_process_group *out);
    void (*release)(lk_process_group *duplicate);
    void (*barrier)(lk_process_group *group);
    void (*max_i64)(lk_process_group *group, int64_t *buffer, size_t count);
    void (*broadcast)(lk_process_group *group, void *data, size_t size, int root);
    void (*gather)(lk_process_group *group, const void *data, size_t size, void *out);

    /* In place, the same bits on every rank. bf16 (base/bfloat.h): each addition is rounded to it. */
    void (*sum_f32)(lk_process_group *group, float *buffer, size_t count);
    void (*sum_bf16)(lk_process_group *group, uint16_t *buffer, size_t count);
    /* Sends to and receives from one peer at the same time; the peer calls it too, with the sizes swapped. Either may be 0. */
    void (*exchange)(lk_process_group *group, int peer, const void *send, size_t send_size, void *receive, size_t receive_size);
};

/* Open MPI. Fills in the whole group. */
lk_status lk_mpi_open(lk_process_group *group);
/* A process by itself: no library is started. */
void lk_solo_open(lk_process_group *group);

#endif
