/* A group of one (backend.h): nothing to send. A process that nobody launched as part of a job does not start MPI at all; an MPI
 * singleton costs 0.3 s, a helper daemon and a refusal to run as root. */
#include "collectives/backend.h"

#include <string.h>
#include <unistd.h>

static void do_nothing(lk_process_group *group)
{
    (void)group;
}

static void end_process(lk_process_group *group, int exit_code)
{
    (void)group;
    _exit(exit_code);
}

static lk_status duplicate(const lk_process_group *group, lk_process_group *out)
{
    *out = *group;
    return LK_OK;
}

static void keep_f32(lk_process_group *group, float *buffer, size_t count)
{
    (void)group, (void)buffer, (void)count;
}

static void keep_bf16(lk_process_group *group, uint16_t *buffer, size_t count)
{
    (void)group, (void)buffer, (void)count;
}

static void keep_i64(lk_process_group *group, int64_t *buffer, size_t count)
{
    (void)group, (void)buffer, (void)count;
}

static void broadcast(lk_process_group *group, void *data, size_t size, int root)
{
    (void)group, (void)data, (void)size, (void)root;
}

static void gather(lk_process_group *group, const void *data, size_t size, void *out)
{
    (void)group;
    if (size > 0)
        memmove(out, data, size);
}

static void exchange(lk_process_group *group, int peer, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    (void)group, (void)peer, (void)send, (void)send_size, (void)receive, (void)receive_size;
}

static const lk_group_backend solo = {
    .name = "solo",
    .close = do_nothing,
    .abort = end_process,
    .duplicate = duplicate,
    .release = do_nothing,
    .barrier = do_nothing,
    .sum_f32 = keep_f32,
    .sum_bf16 = keep_bf16,
    .max_i64 = keep_i64,
    .broadcast = broadcast,
    .gather = gather,
    .exchange = exchange,
};

void lk_solo_open(lk_process_group *group)
{
    *group = (lk_process_group){.rank = 0, .size = 1, .local_rank = 0, .local_size = 1, .backend = &solo};
}
