#include "trainer/order.h"

#include "dataset/stage.h"

int lk_training_indices(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    const lk_training_order *o = context;
    int64_t step = number / o->accumulation;
    int64_t epoch = step / o->steps_per_epoch;
    int64_t position = step % o->steps_per_epoch * o->global_batch + (int64_t)o->rank * (o->global_batch / o->ranks) +
                       number % o->accumulation * o->micro_batch;
    for (int i = 0; i < batch_size; i++)
        indices[i] = lk_mixture_at(&o->mixture, epoch, position + i);
    return batch_size;
}

int64_t lk_training_epoch(const void *context, int64_t number)
{
    const lk_training_order *o = context;
    return number / o->accumulation / o->steps_per_epoch;
}

lk_validation_order lk_validation_order_make(int64_t count, int batch_size, int rank, int ranks)
{
    int64_t batches = (count + batch_size - 1) / batch_size;
    return (lk_validation_order){
        .count = count, .batches = batches, .first = batches * rank / ranks, .end = batches * (rank + 1) / ranks};
}

int lk_validation_batch(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    const lk_validation_order *o = context;
    if (o->first + number >= o->end)
        return 0;
    int64_t begin = (o->first + number) * batch_size;
    int n = (int)(begin + batch_size > o->count ? o->count - begin : batch_size);
    for (int i = 0; i < n; i++)
        indices[i] = begin + i;
    return n;
}

lk_status lk_open_configured(const lk_paths *paths, const char *staged, const char *name, lk_dataset **out)
{
    const char *items[LK_CONFIG_PATHS];
    char copies[LK_CONFIG_PATHS][LK_PATH_SIZE];
    if (staged)
        LK_TRY(lk_stage_check(staged));
    for (int i = 0; i < paths->count; i++) {
        items[i] = paths->items[i];
        if (!staged)
            continue;
        LK_TRY(lk_stage_path(copies[i], staged, name, i));
        items[i] = copies[i];
    }
    return lk_dataset_open(items, paths->count, out);
}
