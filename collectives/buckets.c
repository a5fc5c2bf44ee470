#include "collectives/buckets.h"

#include "base/clock.h"
#include "base/thread.h"
#include "collectives/tree_sum.h"

#include <stdlib.h>
#include <string.h>

enum { BUFFER_ALIGNMENT = 64 };

typedef struct bucket {
    size_t begin, count; /* in floats of the buffer */
    int gradients;
    int missing; /* gradients of this step that are not ready yet */
} bucket;

struct lk_buckets {
    lk_process_group group; /* the duplicate that the communication thread speaks through */
    bool reproducible;
    float *data;
    size_t total;
    size_t *offsets; /* [gradients + 1] */
    int *bucket_of;  /* [gradients] */
    bucket *all;
    int count;
    float *scratch; /* half of the largest bucket, for the reproducible sum */

    pthread_t thread;
    bool running; /* there is a thread */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock, like bucket.missing: */
    bool stop;
    int reduced; /* buckets that hold the sum in this step */
    double busy;
    lk_error error;
};

static lk_status reduce_bucket(lk_buckets *b, const bucket *now)
{
    if (b->reproducible)
        return lk_group_sum_tree_f32(&b->group, b->data + now->begin, now->count, b->scratch);
    lk_group_sum_f32(&b->group, b->data + now->begin, now->count);
    return LK_OK;
}

static void *communicate(void *argument)
{
    lk_buckets *b = argument;
    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->stop && (b->reduced == b->count || b->all[b->reduced].missing > 0))
            pthread_cond_wait(&b->changed, &b->lock);
        if (b->stop)
            break;
        bucket now = b->all[b->reduced];
        pthread_mutex_unlock(&b->lock);
        double start = lk_clock();
        lk_status status = reduce_bucket(b, &now);
        double end = lk_clock();
        pthread_mutex_lock(&b->lock);
        if (status != LK_OK)
            lk_error_take(&b->error, status);
        b->busy += end - start;
        b->reduced++;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* Gradients fill a bucket until the next one would overflow it. */
static void cut(lk_buckets *b, int gradients, size_t bucket_floats)
{
    for (int i = 0; i < gradients; i++) {
        size_t size = b->offsets[i + 1] - b->offsets[i];
        if (b->count == 0 || b->all[b->count - 1].count + size > bucket_floats)
            b->all[b->count++] = (bucket){.begin = b->offsets[i]};
        bucket *last = &b->all[b->count - 1];
        last->count += size;
        last->gradients++;
        b->bucket_of[i] = b->count - 1;
    }
    b->reduced = b->count;
}

static lk_status allocate(lk_buckets *b, const size_t *sizes, int gradients)
{
    b->offsets = calloc((size_t)gradients + 1, sizeof *b->offsets);
    b->bucket_of = calloc((size_t)gradients + 1, sizeof *b->bucket_of);
    b->all = calloc((size_t)gradients + 1, sizeof *b->all);
    if (!b->offsets || !b->bucket_of || !b->all)
        return lk_fail(LK_INTERNAL, "out of memory for %d gradients", gradients);
    for (int i = 0; i < gradients; i++)
        b->offsets[i + 1] = b->offsets[i] + sizes[i];
    b->total = b->offsets[gradients];
    size_t bytes = b->total * sizeof *b->data;
    if (posix_memalign((void **)&b->data, BUFFER_ALIGNMENT, bytes) != 0) {
        b->data = NULL;
        return lk_fail(LK_INTERNAL, "out of memory for %zu bytes of gradients", bytes);
    }
    memset(b->data, 0, bytes);
    return LK_OK;
}

static lk_status allocate_scratch(lk_buckets *b)
{
    size_t largest = 0;
    for (int i = 0; i < b->count; i++)
        if (b->all[i].count > largest)
            largest = b->all[i].count;
    b->scratch = malloc((largest + 1) / 2 * sizeof *b->scratch + 1);
    return b->scratch ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for half a bucket of %zu gradients", largest);
}

lk_status lk_buckets_create(lk_process_group *group, const size_t *sizes, int count, lk_buckets_options options, lk_buckets **out)
{
    *out = NULL;
    if (options.reproducible && !lk_is_power_of_two(group->size))
        return lk_fail(LK_BAD_CONFIG, "train.reproducible needs 1, 2, 4, 8 ... ranks, not %d", group->size);
    lk_status status = LK_OK;
    lk_buckets *b = calloc(1, sizeof *b);
    if (!b)
        return lk_fail(LK_INTERNAL, "out of memory");
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->changed, NULL);
    b->reproducible = options.reproducible;
    LK_TRY_OR(fail, lk_group_duplicate(group, &b->group));
    LK_TRY_OR(fail, allocate(b, sizes, count));
    cut(b, count, options.bucket_bytes / sizeof *b->data);
    if (options.reproducible)
        LK_TRY_OR(fail, allocate_scratch(b));
    if (group->size > 1) {
        LK_TRY_OR(fail, lk_thread_start(&b->thread, "communication", communicate, b));
        b->running = true;
    }
    *out = b;
    return LK_OK;
fail:
    lk_buckets_free(b);
    return status;
}

void lk_buckets_free(lk_buckets *b)
{
    if (!b)
        return;
    if (b->running) {
        pthread_mutex_lock(&b->lock);
        b->stop = true;
        pthread_cond_broadcast(&b->changed);
        pthread_mutex_unlock(&b->lock);
        pthread_join(b->thread, NULL);
    }
    if (b->group.backend)
        lk_group_release(&b->group);
    pthread_cond_destroy(&b->changed);
    pthread_mutex_destroy(&b->lock);
    free(b->scratch);
    free(b->data);
    free(b->offsets);
    free(b->bucket_of);
    free(b->all);
    free(b);
}

float *lk_buckets_data(lk_buckets *b)
{
    return b->data;
}

size_t lk_buckets_total(const lk_buckets *b)
{
    return b->total;
}

float *lk_buckets_gradient(lk_buckets *b, int i)
{
    return b->data + b->offsets[i];
}

int lk_buckets_count(const lk_buckets *b)
{
    return b->count;
}

void lk_buckets_begin(lk_buckets *b)
{
    if (!b->running)
        return;
    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < b->count; i++)
        b->all[i].missing = b->all[i].gradients;
    b->reduced = 0;
    b->busy = 0;
    pthread_mutex_unlock(&b->lock);
}

void lk_buckets_ready(lk_buckets *b, int i)
{
    if (!b->running)
        return;
    pthread_mutex_lock(&b->lock);
    if (--b->all[b->bucket_of[i]].missing == 0)
        pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

lk_status lk_buckets_wait(lk_buckets *b, double *exposed, double *busy)
{
    double start = lk_clock();
    pthread_mutex_lock(&b->lock);
    while (b->reduced < b->count && b->running)
        pthread_cond_wait(&b->changed, &b->lock);
    if (exposed)
        *exposed = lk_clock() - start;
    if (busy)
        *busy = b->busy;
    lk_error error = b->error;
    pthread_mutex_unlock(&b->lock);
    return error.status == LK_OK ? LK_OK : lk_error_put(&error);
}
