/* The reducer that sums in a fixed tree over MPI (reducer_kind.h), for buffers in host memory: the digits do not depend on the
 * number of ranks. */
#include "collectives/backend.h"
#include "collectives/reducer_kind.h"
#include "collectives/reducer_thread.h"

#include <stdlib.h>

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
    float *scratch = r->state;     /* half of the largest buffer */
    lk_part held[sizeof(int) * 8]; /* what this rank was responsible for before each halving */
    lk_part mine = {0, count}, other;
    int level = 0;
    for (int distance = 1; distance < r->group.size; distance *= 2, level++) {
        held[level] = mine;
        lk_part_halve(held[level], r->group.rank & distance, &mine, &other);
        exchange(r, distance, buffer + other.begin, other.count, scratch, mine.count);
        add(buffer + mine.begin, scratch, mine.count);
    }
    for (int distance = r->group.size / 2; distance > 0; distance /= 2) {
        lk_part_halve(held[--level], r->group.rank & distance, &mine, &other);
        exchange(r, distance, buffer + mine.begin, mine.count, buffer + other.begin, other.count);
    }
    return LK_OK;
}

static lk_status open_tree(lk_reducer *r)
{
    size_t half = (r->options.largest + 1) / 2;
    if (!(r->state = malloc(half * sizeof(float) + 1)))
        return lk_fail(LK_INTERNAL, "out of memory for half a bucket of %zu gradients", r->options.largest);
    return lk_reducer_thread_start(r, sum_in_tree);
}

static void close_tree(lk_reducer *r)
{
    lk_reducer_thread_stop(r);
    free(r->state);
}

const lk_reducer_kind lk_reducer_tree = {.open = open_tree,
                                         .close = close_tree,
                                         .sum = lk_reducer_thread_sum,
                                         .wait = lk_reducer_thread_wait,
                                         .finish = lk_reducer_thread_finish};
