#include "dataset/loader.h"

#include "base/thread.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

/* Samples that a thread takes at once: enough to make the lock cheap, few enough to share a batch between threads. */
enum { CHUNK = 8 };
/* Runs of neighbours that are known to be on their way or there; forgetting one costs a question to the kernel. */
enum { KNOWN_RUNS = 4096 };

/* One batch of the ring. Batch `number` of the sequence lies in slot number % slot_count. */
typedef enum slot_state { FREE, FILLING, READY, HELD } slot_state;
typedef struct slot {
    lk_batch batch;
    slot_state state;
    int taken;         /* samples given to threads */
    int done;          /* samples read */
    int failed_sample; /* the first in the batch that failed, if error.status says so */
    lk_error error;
} slot;

struct lk_loader {
    const lk_dataset *dataset;
    lk_loader_options options;
    lk_device *device;
    size_t image_bytes, continuous_count, group_count;

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t work;  /* a slot became free or samples can be taken, or it is time to stop */
    pthread_cond_t ready; /* the batch that the consumer waits for is ready, or the sequence ended */
    slot *slots;
    int slot_count;
    int64_t next_open;    /* number of the next batch to begin */
    int64_t next_deliver; /* number of the next batch to hand over */
    int64_t end;          /* number after the last batch; INT64_MAX while unknown */
    int held;
    bool stopping;

    pthread_t *threads;
    int started;
    lk_augmenter **augmenters; /* one a thread; NULL where nothing is augmented */
    int running;               /* threads that have taken theirs */

    _Atomic int64_t known_runs[KNOWN_RUNS]; /* from 1, over all epochs; without the lock */
};

static slot *slot_of(lk_loader *loader, int64_t number)
{
    return &loader->slots[number % loader->slot_count];
}

/* ---- loader threads; the functions down to take_chunk() are called with the lock held ---- */

static void fail_slot(slot *s, int sample, lk_status status)
{
    if (s->error.status != LK_OK && sample >= s->failed_sample)
        return;
    s->failed_sample = sample;
    lk_error_take(&s->error, status);
}

/* Asks `order` for the next batch and begins it, if its slot is free; false if there is none to begin now. */
static bool open_next(lk_loader *loader)
{
    int64_t number = loader->next_open;
    slot *s = slot_of(loader, number);
    if (number >= loader->end || s->state != FREE)
        return false;
    int count = loader->options.order(loader->options.context, number, loader->options.batch_size, s->batch.indices);
    if (count == 0) {
        loader->end = number;
        pthread_cond_signal(&loader->ready);
        pthread_cond_broadcast(&loader->work);
        return false;
    }
    s->batch.number = number;
    s->batch.count = count;
    s->taken = s->done = 0;
    s->error.status = LK_OK;
    s->state = FILLING;
    loader->next_open++;
    if (count < 0 || count > loader->options.batch_size) {
        fail_slot(s, 0,
                  lk_fail(LK_INTERNAL, "batch %lld has %d samples; 1 to %d were expected", (long long)number, count,
                          loader->options.batch_size));
        s->batch.count = 0;
        s->state = READY;
        loader->end = loader->next_open;
        pthread_cond_signal(&loader->ready);
        return false;
    }
    pthread_cond_broadcast(&loader->work);
    return true;
}

/* Some samples of the earliest batch that still has untaken ones: first .. first+count-1 of *s. */
static bool take_chunk(lk_loader *loader, slot **s, int *first, int *count)
{
    do {
        for (int64_t number = loader->next_deliver; number < loader->next_open; number++) {
            slot *candidate = slot_of(loader, number);
            int left = candidate->state == FILLING ? candidate->batch.count - candidate->taken : 0;
            if (left == 0)
                continue;
            *s = candidate;
            *first = candidate->taken;
            *count = left < CHUNK ? left : CHUNK;
            candidate->taken += *count;
            return true;
        }
    } while (open_next(loader));
    return false;
}

/* Has the kernel read the runs of these samples, each once an epoch: by the next one the page cache may have lost it. */
static void read_runs_ahead(lk_loader *loader, int64_t epoch, const int64_t *indices, int count)
{
    int block = loader->options.block;
    int64_t runs = lk_dataset_count(loader->dataset) / block + 1;
    for (int i = 0; i < count; i++) {
        int64_t run = indices[i] / block, mark = epoch * runs + run + 1;
        if (atomic_exchange_explicit(&loader->known_runs[run % KNOWN_RUNS], mark, memory_order_relaxed) != mark)
            lk_dataset_read_ahead(loader->dataset, run * block, block);
    }
}

/* Without the lock: the samples are this thread's. The failed one is *failed. */
static lk_status read_chunk(lk_loader *loader, lk_augmenter *augmenter, const lk_batch *batch, int first, int count, int *failed)
{
    const lk_loader_options *o = &loader->options;
    int64_t epoch = o->epoch ? o->epoch(o->context, batch->number) : 0;
    if (o->block > 1)
        read_runs_ahead(loader, epoch, batch->indices + first, count);
    for (int i = first; i < first + count; i++) {
        uint8_t *image = batch->images + (size_t)i * loader->image_bytes;
        float *continuous = batch->continuous + (size_t)i * loader->continuous_count;
        uint8_t *discrete = batch->discrete + (size_t)i * loader->group_count;
        *failed = i;
        LK_TRY(lk_dataset_read(loader->dataset, batch->indices[i], image, continuous, discrete, NULL));
        if (augmenter)
            LK_TRY(lk_augmenter_apply(augmenter, &o->augment, lk_dataset_schema(loader->dataset),
                                      lk_augment_key(o->seed, epoch, batch->indices[i]), image, continuous, discrete));
    }
    return LK_OK;
}

static void *run(void *argument)
{
    lk_loader *loader = argument;
    pthread_mutex_lock(&loader->lock);
    lk_augmenter *augmenter = loader->augmenters ? loader->augmenters[loader->running++] : NULL;
    while (!loader->stopping) {
        slot *s;
        int first, count, failed;
        if (!take_chunk(loader, &s, &first, &count)) {
            pthread_cond_wait(&loader->work, &loader->lock);
            continue;
        }
        pthread_mutex_unlock(&loader->lock);
        lk_status status = read_chunk(loader, augmenter, &s->batch, first, count, &failed);
        pthread_mutex_lock(&loader->lock);
        if (status != LK_OK) {
            fail_slot(s, failed, status);
            loader->end = s->batch.number + 1 < loader->end ? s->batch.number + 1 : loader->end;
        }
        s->done += count;
        if (s->done == s->batch.count) {
            s->state = READY;
            if (s->batch.number == loader->next_deliver)
                pthread_cond_signal(&loader->ready);
        }
    }
    pthread_mutex_unlock(&loader->lock);
    return NULL;
}

/* ---- starting and stopping ---- */

static lk_status allocate_slots(lk_loader *loader)
{
    size_t n = (size_t)loader->options.batch_size;
    loader->slots = calloc((size_t)loader->slot_count, sizeof *loader->slots);
    loader->threads = calloc((size_t)loader->options.threads, sizeof *loader->threads);
    bool good = loader->slots && loader->threads;
    for (int i = 0; good && i < loader->slot_count; i++) {
        lk_batch *batch = &loader->slots[i].batch;
        batch->images = lk_device_alloc_host(loader->device, n * loader->image_bytes);
        batch->continuous = lk_device_alloc_host(loader->device, n * loader->continuous_count * sizeof *batch->continuous);
        batch->discrete = lk_device_alloc_host(loader->device, n * loader->group_count);
        batch->indices = malloc(n * sizeof *batch->indices);
        good = batch->images && batch->continuous && batch->discrete && batch->indices;
    }
    if (!good)
        return lk_fail(LK_INTERNAL, "out of memory for %d batches of %d samples; lower data.prefetch or the batch",
                       loader->slot_count, loader->options.batch_size);
    return LK_OK;
}

static lk_status create_augmenters(lk_loader *loader)
{
    loader->augmenters = calloc((size_t)loader->options.threads, sizeof *loader->augmenters);
    if (!loader->augmenters)
        return lk_fail(LK_INTERNAL, "out of memory for augmentation");
    for (int i = 0; i < loader->options.threads; i++)
        LK_TRY(lk_augmenter_create(lk_dataset_size(loader->dataset), &loader->augmenters[i]));
    return LK_OK;
}

/* Fewer threads than asked for deliver the same batches. */
static lk_status start_threads(lk_loader *loader)
{
    lk_status status = LK_OK;
    while (loader->started < loader->options.threads && status == LK_OK) {
        status = lk_thread_start(&loader->threads[loader->started], "loader", run, loader);
        loader->started += status == LK_OK;
    }
    return loader->started > 0 ? LK_OK : status;
}

lk_status lk_loader_start(const lk_dataset *dataset, const lk_loader_options *options, lk_loader **out)
{
    *out = NULL;
    if (options->batch_size < 1 || options->threads < 1 || options->prefetch < 1 || options->first < 0)
        return lk_fail(LK_INTERNAL, "a loader needs batches, threads and a prefetch of at least 1");
    lk_loader *loader = calloc(1, sizeof *loader);
    if (!loader)
        return lk_fail(LK_INTERNAL, "out of memory for a loader");
    const lk_schema *schema = lk_dataset_schema(dataset);
    size_t edge = (size_t)lk_dataset_size(dataset);
    loader->dataset = dataset;
    loader->options = *options;
    loader->device = options->device ? options->device : lk_device_host();
    loader->image_bytes = edge * edge * 3;
    loader->continuous_count = (size_t)schema->continuous_count;
    loader->group_count = (size_t)schema->group_count;
    loader->slot_count = options->prefetch + LK_LOADER_HELD;
    loader->next_open = loader->next_deliver = options->first;
    loader->end = INT64_MAX;
    pthread_mutex_init(&loader->lock, NULL);
    pthread_cond_init(&loader->work, NULL);
    pthread_cond_init(&loader->ready, NULL);
    lk_status status = allocate_slots(loader);
    if (status == LK_OK && lk_augment_any(&options->augment))
        status = create_augmenters(loader);
    if (status == LK_OK)
        status = start_threads(loader);
    if (status != LK_OK) {
        lk_loader_stop(loader);
        return status;
    }
    *out = loader;
    return LK_OK;
}

void lk_loader_stop(lk_loader *loader)
{
    if (!loader)
        return;
    pthread_mutex_lock(&loader->lock);
    loader->stopping = true;
    pthread_cond_broadcast(&loader->work);
    pthread_mutex_unlock(&loader->lock);
    for (int i = 0; i < loader->started; i++)
        pthread_join(loader->threads[i], NULL);
    for (int i = 0; loader->slots && i < loader->slot_count; i++) {
        lk_batch *batch = &loader->slots[i].batch;
        lk_device_free_host(loader->device, batch->images);
        lk_device_free_host(loader->device, batch->continuous);
        lk_device_free_host(loader->device, batch->discrete);
        free(batch->indices);
    }
    for (int i = 0; loader->augmenters && i < loader->options.threads; i++)
        lk_augmenter_free(loader->augmenters[i]);
    free(loader->augmenters);
    pthread_cond_destroy(&loader->ready);
    pthread_cond_destroy(&loader->work);
    pthread_mutex_destroy(&loader->lock);
    free(loader->threads);
    free(loader->slots);
    free(loader);
}

/* ---- the consumer ---- */

lk_status lk_loader_next(lk_loader *loader, const lk_batch **batch)
{
    *batch = NULL;
    lk_status status = LK_OK;
    pthread_mutex_lock(&loader->lock);
    int64_t number = loader->next_deliver;
    slot *s = slot_of(loader, number);
    if (loader->held == LK_LOADER_HELD) {
        status = lk_fail(LK_INTERNAL, "%d batches are held; release one before asking for the next", loader->held);
        goto done;
    }
    while (number < loader->end && !(s->state == READY && s->batch.number == number))
        pthread_cond_wait(&loader->ready, &loader->lock);
    if (number >= loader->end)
        goto done;
    if (s->error.status != LK_OK) {
        status = lk_error_put(&s->error); /* stays READY: asked again, it fails again */
        goto done;
    }
    s->state = HELD;
    loader->held++;
    loader->next_deliver++;
    *batch = &s->batch;
done:
    pthread_mutex_unlock(&loader->lock);
    return status;
}

void lk_loader_release(lk_loader *loader, const lk_batch *batch)
{
    pthread_mutex_lock(&loader->lock);
    slot_of(loader, batch->number)->state = FREE;
    loader->held--;
    pthread_cond_signal(&loader->work);
    pthread_mutex_unlock(&loader->lock);
}
