/* The reducer that sums in a fixed tree over MPI (reducer_kind.h), for buffers in host memory: the digits do not depend on the
 * number of ranks. */
#include "collectives/backend.h"
#include "collectives/reducer_kind.h"
#include "collectives/reducer_thread.h"

#include <stdlib.h>

typedef struct tree {
    lk_reducer_thread *thread;
    float *scratch; /* half of the largest buffer */
} tree;

static void add(float *restrict sum, const float *restrict term, size_t count)
{
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
}

static void exchange(lk_reducer *r, int distance, const float *send, size_t send_count, float *receive, size_t receive_count)
{
    r->group.backend->exchange(&r->group, r->group.rank ^ distance, send, send_count * sizeof *send, receive,
                               receive_count * sizeof *receive);
}

/* Recursive halving, partners at distance 1 first, and doubling: moves as much as a ring's allreduce, 2 (size-1)/size of the
 * buffer each way. */
static lk_status sum_in_tree(lk_reducer *r, float *buffer, size_t count)
{
    const tree *t = r->state;
    lk_part held[sizeof(int) * 8]; /* what this rank was responsible for before each halving */
    lk_part mine = {0, count}, other;
    int level = 0;
    for (int distance = 1; distance < r->group.size; distance *= 2, level++) {
        held[level] = mine;
        lk_part_halve(held[level], r->group.rank & distance, &mine, &other);
        exchange(r, distance, buffer + other.begin, other.count, t->scratch, mine.count);
        add(buffer + mine.begin, t->scratch, mine.count);
    }
    for (int distance = r->group.size / 2; distance > 0; distance /= 2) {
        lk_part_halve(held[--level], r->group.rank & distance, &mine, &other);
        exchange(r, distance, buffer + mine.begin, mine.count, buffer + other.begin, other.count);
    }
    return LK_OK;
}

static lk_status open_tree(lk_reducer *r)
{
    tree *t = r->state = calloc(1, sizeof *t);
    size_t half = (r->options.largest + 1) / 2;
    if (!t || !(t->scratch = malloc(half * sizeof *t->scratch + 1)))
        return lk_fail(LK_INTERNAL, "out of memory for half a bucket of %zu gradients", r->options.largest);
    return lk_reducer_thread_start(r, sum_in_tree, &t->thread);
}

static void close_tree(lk_reducer *r)
{
    tree *t = r->state;
    if (!t)
        return;
    lk_reducer_thread_stop(t->thread);
    free(t->scratch);
    free(t);
}

static lk_status sum(lk_reducer *r, int64_t number, float *buffer, size_t count, lk_mark *after)
{
    const tree *t = r->state;
    (void)after; /* the CPU has passed it */
    lk_reducer_thread_ask(t->thread, number, buffer, count);
    return LK_OK;
}

static lk_status wait(lk_reducer *r)
{
    const tree *t = r->state;
    return lk_reducer_thread_wait(t->thread);
}

static lk_status finish(lk_reducer *r, double *exposed, double *busy)
{
    const tree *t = r->state;
    lk_reducer_thread_times(t->thread, exposed, busy);
    return LK_OK;
}

const lk_reducer_kind lk_reducer_tree = {.open = open_tree, .close = close_tree, .sum = sum, .wait = wait, .finish = finish};
