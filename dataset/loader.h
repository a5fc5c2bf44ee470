/* Loader: threads that read batches ahead into preallocated memory.
 *
 *     lk_loader_next(loader, &batch);      // waits for the next batch of the order below
 *     ... use batch->images ...
 *     lk_loader_release(loader, batch);    // its memory may be filled again
 *
 * The order is a sequence of slots decided by the caller's `order` function, so training (shuffled slices of global batches)
 * and validation (a slice of the set) use the same loader. Batches come in that order whatever the number of threads. All
 * threads work on the batch that is needed next, a few samples each, so the first batch comes soon and a large batch too.
 */
#ifndef LK_DATASET_LOADER_H
#define LK_DATASET_LOADER_H

#include "base/device/device.h"
#include "base/error.h"
#include "dataset/augment.h"
#include "dataset/shard.h"

#include <stdint.h>

typedef struct lk_batch {
    int count;         /* samples in it; less than the loader's batch size only where `order` says so */
    uint8_t *images;   /* [count, S, S, 3] */
    float *continuous; /* [count, nc] */
    uint8_t *discrete; /* [count, groups] */
    int64_t *indices;  /* which sample of the data set each is */
    int64_t number;    /* which batch of the sequence */
} lk_batch;

/* Fills indices[0..batch_size-1] for batch `number` (0, 1, ...) and returns how many; 0 ends the sequence. Called from
 * loader threads, one at a time and in order of `number`, so it must only read and be quick. */
typedef int lk_order_function(const void *context, int64_t number, int batch_size, int64_t *indices);

/* The epoch that batch `number` belongs to: augmentation draws anew in each. Called from any thread. */
typedef int64_t lk_epoch_function(const void *context, int64_t number);

typedef struct lk_loader_options {
    int batch_size;
    int threads;        /* >= 1 */
    int prefetch;       /* batches read ahead, >= 1 */
    int block;          /* the run of so many neighbours that a sample is in is read with it (dataset/sampler.h); 0, 1: none */
    int64_t first;      /* number of the first batch (a resumed run) */
    lk_augment augment; /* what is done to the samples; all 0: nothing */
    uint64_t seed;      /* of augmentation ... */
    lk_epoch_function *epoch; /* ... with the epoch of a batch; NULL: 0 */
    lk_device *device;        /* NULL: the CPU; else batches lie where it copies from at its speed (lk_device_alloc_host) */
    lk_order_function *order;
    const void *context; /* must outlive the loader */
} lk_loader_options;

/* How many batches the consumer may hold unreleased at once; lk_loader_next fails with LK_INTERNAL beyond that. */
enum { LK_LOADER_HELD = 2 };

typedef struct lk_loader lk_loader;

/* Takes memory for prefetch + LK_LOADER_HELD batches and starts the threads, which block all signals; no memory is taken after
 * that (JPEG shards and augmentation: one codec and buffer a thread at its start). `dataset` must outlive the loader. */
lk_status lk_loader_start(const lk_dataset *dataset, const lk_loader_options *options, lk_loader **out);
/* *batch is NULL at the end of the sequence. A damaged sample is returned here as its error, after the batches before it; that
 * ends the sequence, and later calls return the same error. One consumer thread. */
lk_status lk_loader_next(lk_loader *loader, const lk_batch **batch);
void lk_loader_release(lk_loader *loader, const lk_batch *batch);
/* At any time: joins the threads, which finish the sample they are at; batches not released are gone. NULL is fine. */
void lk_loader_stop(lk_loader *loader);

#endif
