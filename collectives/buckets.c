#include "collectives/buckets.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct bucket {
    size_t begin, count; /* in floats of the buffer */
    int gradients;
    int missing;    /* gradients of this step that are not ready yet */
    lk_mark *ready; /* its last gradient was asked for */
} bucket;

struct lk_buckets {
    lk_device *device;
    lk_reducer *reducer; /* NULL on one rank */
    float *data;         /* of the device */
    size_t total;
    size_t *offsets; /* [gradients + 1] */
    int *bucket_of;  /* [gradients] */
    bucket *all;
    int count;

    pthread_mutex_t lock;
    /* Under the lock, like bucket.missing: */
    int asked; /* buckets whose sum was asked for in this step */
    lk_error error;
};

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
    b->data = lk_device_alloc(b->device, b->total * sizeof *b->data);
    return b->data ? LK_OK : lk_fail_in(LK_INTERNAL, "gradients");
}

static lk_status prepare(lk_buckets *b, const size_t *sizes, int gradients, size_t bucket_floats)
{
    LK_TRY(allocate(b, sizes, gradients));
    cut(b, gradients, bucket_floats);
    for (int i = 0; i < b->count; i++)
        LK_TRY(lk_mark_create(b->device, &b->all[i].ready));
    return LK_OK;
}

static lk_status open_reducer(lk_buckets *b, lk_process_group *group, const lk_buckets_options *wanted)
{
    lk_reducer_options options = {.reproducible = wanted->reproducible,
                                  .bf16 = wanted->bf16,
                                  .kernels = wanted->kernels,
                                  .most = b->count > 0 ? b->count : 1};
    for (int i = 0; i < b->count; i++)
        if (b->all[i].count > options.largest)
            options.largest = b->all[i].count;
    return lk_reducer_open(group, b->device, options, &b->reducer);
}

lk_status lk_buckets_create(lk_process_group *group, lk_device *device, const size_t *sizes, int count,
                            lk_buckets_options options, lk_buckets **out)
{
    *out = NULL;
    lk_status status = LK_OK;
    lk_buckets *b = calloc(1, sizeof *b);
    if (!b)
        return lk_group_agree(group, lk_fail(LK_INTERNAL, "out of memory"));
    b->device = device;
    pthread_mutex_init(&b->lock, NULL);
    LK_TRY_OR(fail, lk_group_agree(group, prepare(b, sizes, count, options.bucket_bytes / sizeof *b->data)));
    if (group->size > 1 || options.alone)
        LK_TRY_OR(fail, open_reducer(b, group, &options));
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
    lk_reducer_close(b->reducer);
    for (int i = 0; i < b->count; i++)
        lk_mark_free(b->all[i].ready);
    pthread_mutex_destroy(&b->lock);
    lk_device_free(b->device, b->data);
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

lk_reducer *lk_buckets_reducer(lk_buckets *b)
{
    return b->reducer;
}

void lk_buckets_begin(lk_buckets *b)
{
    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < b->count; i++)
        b->all[i].missing = b->all[i].gradients;
    b->asked = 0;
    b->error.status = LK_OK;
    pthread_mutex_unlock(&b->lock);
}

static lk_status ask(lk_buckets *b, int i)
{
    const bucket *next = &b->all[i];
    return lk_reducer_sum(b->reducer, i, b->data + next->begin, next->count, next->ready);
}

/* The last gradient of bucket `i` is asked for: what of the buckets is next in order can be summed. */
static lk_status complete(lk_buckets *b, int i)
{
    lk_status status = lk_mark_record(b->all[i].ready, lk_device_stream(b->device));
    for (; b->asked < b->count && b->all[b->asked].missing == 0; b->asked++)
        if (status == LK_OK)
            status = ask(b, b->asked);
    return status;
}

void lk_buckets_ready(lk_buckets *b, int i)
{
    if (!b->reducer)
        return;
    pthread_mutex_lock(&b->lock);
    int in = b->bucket_of[i];
    if (--b->all[in].missing == 0) {
        lk_status status = complete(b, in);
        if (status != LK_OK && b->error.status == LK_OK)
            lk_error_take(&b->error, status);
    }
    pthread_mutex_unlock(&b->lock);
}

lk_status lk_buckets_wait(lk_buckets *b)
{
    if (!b->reducer)
        return LK_OK;
    lk_status status = lk_reducer_wait(b->reducer);
    pthread_mutex_lock(&b->lock);
    lk_error error = b->error;
    pthread_mutex_unlock(&b->lock);
    return error.status == LK_OK ? status : lk_error_put(&error);
}

lk_status lk_buckets_finish(lk_buckets *b, double *exposed, double *busy)
{
    *exposed = *busy = 0;
    return b->reducer ? lk_reducer_finish(b->reducer, exposed, busy) : LK_OK;
}
