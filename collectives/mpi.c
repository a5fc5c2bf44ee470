/* The process group on MPI (backend.h). The only file that sees mpi.h. */
#include "base/bfloat.h"
#include "base/log.h"
#include "base/thread.h"
#include "collectives/backend.h"

#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* MPI counts are int. Calls are cut far below that, so that no intermediate size can overflow either. */
enum { LARGEST_COUNT = 1 << 28 };

/* What an abort through MPI may take before this process ends on its own (its launcher may be gone). */
enum { ABORT_SECONDS = 5 };

static MPI_Comm communicator(const lk_process_group *group)
{
    return *(MPI_Comm *)group->state;
}

static size_t at_most(size_t count)
{
    return count < LARGEST_COUNT ? count : LARGEST_COUNT;
}

/* Called by MPI on a failure, on whichever thread met it. There is no way on: a communicator that failed once is lost. */
static void report_and_abort(MPI_Comm *comm, int *code, ...)
{
    char text[MPI_MAX_ERROR_STRING] = "";
    int length = 0;
    MPI_Error_string(*code, text, &length);
    lk_log_rank("error: MPI failed: %s; the job ends", text);
    MPI_Abort(*comm, lk_exit_code(LK_INTERNAL));
}

static lk_status attach(lk_process_group *group, MPI_Comm comm)
{
    MPI_Comm *state = malloc(sizeof *state);
    if (!state)
        return lk_fail(LK_INTERNAL, "out of memory");
    *state = comm;
    group->state = state;
    return LK_OK;
}

static void finalize(void)
{
    MPI_Finalize();
}

/* MPI_Finalize waits for all ranks. It runs when the process exits, after main() printed the agreed error: the launcher ends
 * the whole job as soon as the first rank exits with a failure, and the line of rank 0 must be out by then. */
static void close_group(lk_process_group *group)
{
    lk_group_release(group);
    atexit(finalize);
}

static void *end_after_a_while(void *exit_code)
{
    sleep(ABORT_SECONDS);
    _exit(*(int *)exit_code);
}

static void abort_job(lk_process_group *group, int exit_code)
{
    (void)group;
    pthread_t timer;
    lk_thread_start(&timer, "abort", end_after_a_while, &exit_code); /* without it the launcher alone ends this rank */
    MPI_Abort(MPI_COMM_WORLD, exit_code);
    _exit(exit_code);
}

static lk_status duplicate(const lk_process_group *group, lk_process_group *out)
{
    *out = *group;
    out->state = NULL;
    MPI_Comm comm;
    MPI_Comm_dup(communicator(group), &comm);
    return attach(out, comm);
}

static void release(lk_process_group *duplicate)
{
    MPI_Comm *comm = duplicate->state;
    if (*comm != MPI_COMM_WORLD)
        MPI_Comm_free(comm);
    free(comm);
    duplicate->state = NULL;
}

static void barrier(lk_process_group *group)
{
    MPI_Barrier(communicator(group));
}

static void reduce(lk_process_group *group, void *buffer, size_t count, size_t item, MPI_Datatype type, MPI_Op operation)
{
    for (size_t done = 0; done < count; done += at_most(count - done))
        MPI_Allreduce(MPI_IN_PLACE, (char *)buffer + done * item, (int)at_most(count - done), type, operation,
                      communicator(group));
}

static void sum_f32(lk_process_group *group, float *buffer, size_t count)
{
    reduce(group, buffer, count, sizeof *buffer, MPI_FLOAT, MPI_SUM);
}

static void add_bf16(void *terms, void *sums, int *count, MPI_Datatype *type)
{
    (void)type;
    const uint16_t *restrict term = terms;
    uint16_t *restrict sum = sums;
    for (int i = 0; i < *count; i++)
        sum[i] = lk_float_to_bfloat(lk_bfloat_to_float(sum[i]) + lk_bfloat_to_float(term[i]));
}

static void sum_bf16(lk_process_group *group, uint16_t *buffer, size_t count)
{
    MPI_Op add;
    MPI_Op_create(add_bf16, true, &add);
    reduce(group, buffer, count, sizeof *buffer, MPI_UINT16_T, add);
    MPI_Op_free(&add);
}

static void max_i64(lk_process_group *group, int64_t *buffer, size_t count)
{
    reduce(group, buffer, count, sizeof *buffer, MPI_INT64_T, MPI_MAX);
}

static void broadcast(lk_process_group *group, void *data, size_t size, int root)
{
    for (size_t done = 0; done < size; done += at_most(size - done))
        MPI_Bcast((char *)data + done, (int)at_most(size - done), MPI_BYTE, root, communicator(group));
}

static void gather(lk_process_group *group, const void *data, size_t size, void *out)
{
    if (size <= LARGEST_COUNT) {
        MPI_Allgather(data, (int)size, MPI_BYTE, out, (int)size, MPI_BYTE, communicator(group));
        return;
    }
    memcpy((char *)out + (size_t)group->rank * size, data, size);
    for (int root = 0; root < group->size; root++)
        broadcast(group, (char *)out + (size_t)root * size, size, root);
}

static void exchange(lk_process_group *group, int peer, const void *send, size_t send_size, void *receive, size_t receive_size)
{
    do {
        size_t out = at_most(send_size);
        size_t in = at_most(receive_size);
        MPI_Sendrecv(send, (int)out, MPI_BYTE, peer, 0, receive, (int)in, MPI_BYTE, peer, 0, communicator(group),
                     MPI_STATUS_IGNORE);
        send = (const char *)send + out;
        receive = (char *)receive + in;
        send_size -= out;
        receive_size -= in;
    } while (send_size > 0 || receive_size > 0);
}

static const lk_group_backend mpi = {
    .name = "mpi",
    .close = close_group,
    .abort = abort_job,
    .duplicate = duplicate,
    .release = release,
    .barrier = barrier,
    .sum_f32 = sum_f32,
    .sum_bf16 = sum_bf16,
    .max_i64 = max_i64,
    .broadcast = broadcast,
    .gather = gather,
    .exchange = exchange,
};

static void find_local_ranks(lk_process_group *group)
{
    MPI_Comm host;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, group->rank, MPI_INFO_NULL, &host);
    MPI_Comm_rank(host, &group->local_rank);
    MPI_Comm_size(host, &group->local_size);
    MPI_Comm_free(&host);
}

void lk_group_library(char *out, size_t size)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int length = 0;
    MPI_Get_library_version(text, &length);
    snprintf(out, size, "%.*s", (int)strcspn(text, ",\n"), text); /* behind it stand packager and date */
}

lk_status lk_mpi_open(lk_process_group *group)
{
    *group = (lk_process_group){.backend = &mpi};
    /* Waiting in MPI is polling. Without yielding, the communication thread takes from backward a good part of the core that it
     * shares with it: over 1 Gbit/s 40 % of an exchange was hidden, with yielding 70 %. A value that the user set counts. */
    setenv("OMPI_MCA_mpi_yield_when_idle", "1", 0);
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &provided);
    if (provided < MPI_THREAD_MULTIPLE) {
        MPI_Finalize();
        return lk_fail(LK_BAD_CONFIG, "this MPI was built without MPI_THREAD_MULTIPLE, which the exchange of gradients during "
                                      "backward needs; use Open MPI 4.1 or newer");
    }
    MPI_Errhandler handler;
    MPI_Comm_create_errhandler(report_and_abort, &handler);
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, handler); /* duplicates inherit it */
    MPI_Errhandler_free(&handler);
    MPI_Comm_rank(MPI_COMM_WORLD, &group->rank);
    MPI_Comm_size(MPI_COMM_WORLD, &group->size);
    find_local_ranks(group);
    return attach(group, MPI_COMM_WORLD);
}
