/* The reducer on NCCL (reducer_kind.h), for buffers in the memory of CUDA devices, one a rank. There is no thread: sums are
 * asked for on a stream of their own, which waits for the bucket's mark, and computing's stream waits for the last of them. The
 * process group carries NCCL's id. */
#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "collectives/nccl.h"
#include "collectives/reducer_kind.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

/* How long a rank that could not open its communicator waits for those that still try. */
enum { AGREEMENT_SECONDS = 5 };

typedef struct carrier {
    lk_nccl nccl;
    void *comm, *stream;
    void *scratch; /* bf16: [largest] of them; reproducible: half as many floats */
    atomic_bool aborted;

    lk_mark *first, *last; /* around the sums since the last wait, on `stream` */
    lk_mark *from, *to;    /* around computing's wait for them, on the device's */
    bool asked_any;        /* since the last wait */
    bool waited, waited_for_any;

    pthread_mutex_t ring; /* held while NCCL is called, which may take long; who only looks does without */
    lk_mark *begun[LK_FLIGHT_LENGTH], *ended[LK_FLIGHT_LENGTH]; /* of collective n at n % LK_FLIGHT_LENGTH */
    int64_t asked, seen_begun, seen_ended;
    lk_mark *zero; /* where the device's clock was at `zero_at` of the wall clock */
    double zero_at;

    pthread_mutex_t failing;
    lk_error failure; /* the first; nothing is asked for after it */
} carrier;

/* ---- failures ---- */

static lk_status failure_of(carrier *c)
{
    pthread_mutex_lock(&c->failing);
    lk_error error = c->failure;
    pthread_mutex_unlock(&c->failing);
    return error.status == LK_OK ? LK_OK : lk_error_put(&error);
}

static lk_status keep(carrier *c, lk_status status)
{
    pthread_mutex_lock(&c->failing);
    if (status != LK_OK && c->failure.status == LK_OK)
        lk_error_take(&c->failure, status);
    pthread_mutex_unlock(&c->failing);
    return status;
}

static lk_status check(carrier *c, int code, const char *call)
{
    return lk_nccl_check(&c->nccl, c->comm, code, call);
}

/* ---- what the flight recorder is told ---- */

static lk_status see(lk_mark *zero, lk_mark *mark, bool *past, double *seconds)
{
    LK_TRY(lk_mark_past(mark, past));
    return *past ? lk_mark_seconds(zero, mark, seconds) : LK_OK;
}

/* Tells of collective n what its marks say by now. Under `ring`. */
static lk_status look_at(lk_reducer *r, carrier *c, int64_t n)
{
    int64_t slot = n % LK_FLIGHT_LENGTH;
    bool past = true;
    double seconds = 0;
    if (n > c->seen_begun) {
        LK_TRY(see(c->zero, c->begun[slot], &past, &seconds));
        if (!past)
            return LK_OK;
        lk_flight_begin(r->flight, n, c->zero_at + seconds);
        c->seen_begun = n;
    }
    LK_TRY(see(c->zero, c->ended[slot], &past, &seconds));
    if (past) {
        lk_flight_end(r->flight, n, c->zero_at + seconds);
        c->seen_ended = n;
    }
    return LK_OK;
}

static lk_status look(lk_reducer *r)
{
    carrier *c = r->state;
    lk_status status = LK_OK;
    if (pthread_mutex_trylock(&c->ring) != 0)
        return LK_OK; /* another time */
    while (status == LK_OK && c->seen_ended < c->asked) {
        int64_t n = c->seen_ended + 1;
        status = look_at(r, c, n);
        if (c->seen_ended < n)
            break;
    }
    pthread_mutex_unlock(&c->ring);
    return status;
}

/* The marks of collective n take the place of an older one's. */
static lk_status take_slot(lk_reducer *r, carrier *c, int64_t n)
{
    for (int64_t old = c->seen_ended + 1; old <= n - LK_FLIGHT_LENGTH; old++) {
        LK_TRY(look_at(r, c, old));
        c->seen_ended = old; /* or nobody will know */
    }
    c->asked = n;
    return LK_OK;
}

/* ---- sums ---- */

static lk_status exchange(lk_reducer *r, int distance, const float *send, size_t send_count, float *receive, size_t receive_count)
{
    carrier *c = r->state;
    int peer = r->group.rank ^ distance;
    LK_TRY(check(c, c->nccl.group_start(), "ncclGroupStart"));
    lk_status status = LK_OK;
    if (send_count > 0)
        status = check(c, c->nccl.send(send, send_count, LK_NCCL_FLOAT32, peer, c->comm, c->stream), "ncclSend");
    if (receive_count > 0 && status == LK_OK)
        status = check(c, c->nccl.receive(receive, receive_count, LK_NCCL_FLOAT32, peer, c->comm, c->stream), "ncclRecv");
    int ended = c->nccl.group_end(); /* also after a failure: this thread would stay within the group */
    return status == LK_OK ? check(c, ended, "ncclGroupEnd") : status;
}

/* The same tree as reducer_tree.c's. */
static lk_status sum_in_tree(lk_reducer *r, float *buffer, size_t count)
{
    carrier *c = r->state;
    lk_part held[sizeof(int) * 8];
    lk_part mine = {0, count}, other;
    int level = 0;
    for (int distance = 1; distance < r->group.size; distance *= 2, level++) {
        held[level] = mine;
        lk_part_halve(held[level], r->group.rank & distance, &mine, &other);
        LK_TRY(exchange(r, distance, buffer + other.begin, other.count, c->scratch, mine.count));
        if (mine.count > 0)
            LK_TRY(r->options.kernels->add(r->device, c->stream, buffer + mine.begin, c->scratch, mine.count));
    }
    for (int distance = r->group.size / 2; distance > 0; distance /= 2) {
        lk_part_halve(held[--level], r->group.rank & distance, &mine, &other);
        LK_TRY(exchange(r, distance, buffer + mine.begin, mine.count, buffer + other.begin, other.count));
    }
    return LK_OK;
}

static lk_status all_reduce(carrier *c, void *buffer, size_t count, int type)
{
    int code = c->nccl.all_reduce(buffer, buffer, count, type, LK_NCCL_SUM, c->comm, c->stream);
    return check(c, code, "ncclAllReduce");
}

static lk_status sum_by_kind(lk_reducer *r, float *buffer, size_t count)
{
    carrier *c = r->state;
    const lk_reducer_kernels *kernels = r->options.kernels;
    if (count == 0)
        return LK_OK;
    if (r->options.reproducible)
        return sum_in_tree(r, buffer, count);
    if (!r->options.bf16)
        return all_reduce(c, buffer, count, LK_NCCL_FLOAT32);
    LK_TRY(kernels->narrow(r->device, c->stream, c->scratch, buffer, count));
    LK_TRY(all_reduce(c, c->scratch, count, LK_NCCL_BFLOAT16));
    return kernels->widen(r->device, c->stream, buffer, c->scratch, count);
}

static lk_status ask(lk_reducer *r, int64_t number, float *buffer, size_t count, lk_mark *after)
{
    carrier *c = r->state;
    int64_t slot = number % LK_FLIGHT_LENGTH;
    LK_TRY(take_slot(r, c, number));
    LK_TRY(lk_mark_follow(after, c->stream));
    if (!c->asked_any)
        LK_TRY(lk_mark_record(c->first, c->stream));
    c->asked_any = true;
    LK_TRY(lk_mark_record(c->begun[slot], c->stream));
    LK_TRY(sum_by_kind(r, buffer, count));
    return lk_mark_record(c->ended[slot], c->stream);
}

static lk_status sum(lk_reducer *r, int64_t number, float *buffer, size_t count, lk_mark *after)
{
    carrier *c = r->state;
    LK_TRY(failure_of(c));
    LK_TRY(keep(c, lk_device_enter(r->device)));
    pthread_mutex_lock(&c->ring);
    lk_status status = keep(c, ask(r, number, buffer, count, after));
    pthread_mutex_unlock(&c->ring);
    return status;
}

static lk_status join(lk_reducer *r, carrier *c)
{
    void *computing = lk_device_stream(r->device);
    LK_TRY(lk_mark_record(c->last, c->stream));
    LK_TRY(lk_mark_record(c->from, computing));
    LK_TRY(lk_mark_follow(c->last, computing));
    return lk_mark_record(c->to, computing);
}

static lk_status wait(lk_reducer *r)
{
    carrier *c = r->state;
    LK_TRY(failure_of(c));
    c->waited = true;
    c->waited_for_any = c->asked_any;
    c->asked_any = false;
    return keep(c, join(r, c));
}

static lk_status finish(lk_reducer *r, double *exposed, double *busy)
{
    carrier *c = r->state;
    *exposed = *busy = 0;
    LK_TRY(failure_of(c));
    if (!c->waited)
        return LK_OK;
    LK_TRY(keep(c, lk_mark_seconds(c->from, c->to, exposed)));
    if (c->waited_for_any)
        LK_TRY(keep(c, lk_mark_seconds(c->first, c->last, busy)));
    return failure_of(c); /* an abort ends what is waited for, too */
}

/* ---- the watchdog's ---- */

static lk_status poll(lk_reducer *r)
{
    carrier *c = r->state;
    int error = 0;
    lk_status looked = keep(c, look(r));
    LK_TRY(failure_of(c));
    LK_TRY(keep(c, check(c, c->nccl.async_error(c->comm, &error), "ncclCommGetAsyncError")));
    LK_TRY(keep(c, check(c, error, "a sum under way")));
    return looked;
}

static void abort_sums(lk_reducer *r)
{
    carrier *c = r->state;
    keep(c, lk_fail(LK_DEVICE_LOST, "the sums over ranks were aborted"));
    if (!atomic_exchange(&c->aborted, true))
        c->nccl.abort(c->comm);
}

/* ---- open and close ---- */

static lk_status make_marks(lk_reducer *r, carrier *c)
{
    lk_mark **single[] = {&c->first, &c->last, &c->from, &c->to, &c->zero};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        LK_TRY(lk_mark_create(r->device, single[i]));
    for (int i = 0; i < LK_FLIGHT_LENGTH; i++) {
        LK_TRY(lk_mark_create(r->device, &c->begun[i]));
        LK_TRY(lk_mark_create(r->device, &c->ended[i]));
    }
    return LK_OK;
}

/* What this rank can do by itself. */
static lk_status prepare(lk_reducer *r)
{
    carrier *c = r->state = calloc(1, sizeof *c);
    if (!c)
        return lk_fail(LK_INTERNAL, "out of memory");
    pthread_mutex_init(&c->ring, NULL);
    pthread_mutex_init(&c->failing, NULL);
    LK_TRY(lk_nccl_load(&c->nccl));
    LK_TRY(lk_device_enter(r->device)); /* NCCL takes the thread's current one */
    LK_TRY(lk_device_stream_open(r->device, &c->stream));
    LK_TRY(make_marks(r, c));
    size_t bytes = r->options.bf16           ? r->options.largest * sizeof(uint16_t)
                   : r->options.reproducible ? (r->options.largest + 1) / 2 * sizeof(float)
                                             : 0;
    if (bytes > 0 && !(c->scratch = lk_device_alloc(r->device, bytes)))
        return lk_fail_in(LK_INTERNAL, "a bucket of gradients");
    LK_TRY(lk_mark_record(c->zero, c->stream));
    LK_TRY(lk_mark_wait(c->zero));
    c->zero_at = lk_wall_clock();
    return LK_OK;
}

typedef struct deadline {
    lk_process_group *group;
    lk_error error;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool met; /* under the lock */
} deadline;

static void *end_when_late(void *argument)
{
    deadline *d = argument;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += AGREEMENT_SECONDS;
    pthread_mutex_lock(&d->lock);
    while (!d->met && pthread_cond_timedwait(&d->changed, &d->lock, &until) == 0)
        continue;
    bool met = d->met;
    pthread_mutex_unlock(&d->lock);
    if (!met) {
        lk_log_rank("error: %s; the other ranks still wait for this one, the job ends", d->error.text);
        lk_group_abort(d->group, lk_exit_code(d->error.status));
    }
    return NULL;
}

/* Ranks open a communicator together: where one fails the others may wait for it inside of NCCL, without an end, and never come
 * to an agreement. The one that failed then ends the job. */
static lk_status agree_in_time(lk_process_group *group, lk_status mine)
{
    if (mine == LK_OK)
        return lk_group_agree(group, mine);
    deadline d = {.group = group, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    pthread_t thread;
    lk_error_take(&d.error, mine);
    bool timed = lk_thread_start(&thread, "deadline", end_when_late, &d) == LK_OK;
    lk_status status = lk_group_agree(group, lk_error_put(&d.error));
    pthread_mutex_lock(&d.lock);
    d.met = true;
    pthread_cond_broadcast(&d.changed);
    pthread_mutex_unlock(&d.lock);
    if (timed)
        pthread_join(thread, NULL);
    return status;
}

static void introduce(const lk_reducer *r, const carrier *c)
{
    int version = 0;
    c->nccl.version(&version);
    lk_info("NCCL %d.%d.%d sums gradients over %d GPU%s%s", version / 10000, version / 100 % 100, version % 100, r->group.size,
            r->group.size == 1 ? "" : "s",
            r->options.reproducible ? ", in a tree"
            : r->options.bf16       ? ", as bfloat16"
                                    : "");
}

static lk_status open_nccl(lk_reducer *r)
{
    LK_TRY(lk_group_agree(&r->group, prepare(r)));
    carrier *c = r->state;
    lk_nccl_id id = {{0}};
    lk_status status = LK_OK;
    if (r->group.rank == 0)
        status = lk_nccl_check_open(&c->nccl, c->nccl.unique_id(&id), "ncclGetUniqueId");
    LK_TRY(lk_group_agree(&r->group, status));
    lk_group_broadcast(&r->group, &id, sizeof id, 0);
    int code = c->nccl.init(&c->comm, r->group.size, id, r->group.rank);
    LK_TRY(agree_in_time(&r->group, lk_nccl_check_open(&c->nccl, code, "ncclCommInitRank")));
    introduce(r, c);
    return LK_OK;
}

static void close_nccl(lk_reducer *r)
{
    carrier *c = r->state;
    if (!c)
        return;
    bool failed = failure_of(c) != LK_OK;
    if (c->comm && !atomic_exchange(&c->aborted, true)) {
        if (failed || lk_mark_record(c->last, c->stream) != LK_OK || lk_mark_wait(c->last) != LK_OK)
            c->nccl.abort(c->comm);
        else
            c->nccl.destroy(c->comm);
    }
    lk_mark *single[] = {c->first, c->last, c->from, c->to, c->zero};
    for (size_t i = 0; i < sizeof single / sizeof *single; i++)
        lk_mark_free(single[i]);
    for (int i = 0; i < LK_FLIGHT_LENGTH; i++) {
        lk_mark_free(c->begun[i]);
        lk_mark_free(c->ended[i]);
    }
    lk_device_free(r->device, c->scratch);
    lk_device_stream_close(r->device, c->stream);
    pthread_mutex_destroy(&c->ring);
    pthread_mutex_destroy(&c->failing);
    free(c);
}

const lk_reducer_kind lk_reducer_nccl = {
    .open = open_nccl,
    .close = close_nccl,
    .sum = sum,
    .wait = wait,
    .finish = finish,
    .poll = poll,
    .abort = abort_sums,
};
