#include "trainer/validate.h"

#include "trainer/order.h"
#include "trainer/stop.h"

#include <stdlib.h>

/* A batch of every rank that has one left, and then the next, so that all see a stop or a failure of one at the same place. */
static lk_status judge_batches(lk_task *task, const lk_validation *how, const lk_validation_order *order, int64_t rounds,
                               lk_loader *loader, lk_status status, lk_losses *sums, int *stop)
{
    for (int64_t i = 0; i < rounds; i++) {
        int64_t all[2] = {lk_stop_requested(), status != LK_OK};
        lk_watchdog_report(how->dog, how->step, LK_PHASE_VALIDATE);
        lk_group_max_i64(how->group, all, 2);
        *stop = (int)all[0];
        if (*stop || all[1])
            break;
        if (i >= order->end - order->first)
            continue;
        const lk_batch *batch = NULL;
        status = lk_loader_next(loader, &batch);
        if (status != LK_OK)
            continue;
        status = task->judge(task, batch, &sums[i]);
        lk_loader_release(loader, batch);
    }
    return lk_group_agree(how->group, status);
}

lk_status lk_validate(lk_task *task, const lk_dataset *dataset, const lk_validation *how, lk_losses *mean, int *stop)
{
    lk_process_group *group = how->group;
    int batch_size = how->batch_size;
    int64_t count = lk_dataset_count(dataset);
    lk_validation_order order = lk_validation_order_make(count, batch_size, group->rank, group->size);
    lk_loader_options options = {.batch_size = batch_size,
                                 .threads = how->threads,
                                 .prefetch = 2,
                                 .device = lk_tensor_device(),
                                 .order = lk_validation_batch,
                                 .context = &order};
    lk_loader *loader = NULL;
    /* Every rank sends the same number of slots; the last one may be unused. */
    size_t slots = (size_t)((order.batches + group->size - 1) / group->size);
    lk_losses *mine = calloc(slots + 1, sizeof *mine);
    lk_losses *all = calloc(slots * (size_t)group->size + 1, sizeof *all);
    *stop = 0;
    lk_status status = mine && all ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %zu batch losses", slots);
    if (status == LK_OK)
        status = task->begin_judging(task);
    if (status == LK_OK)
        status = lk_loader_start(dataset, &options, &loader);
    status = judge_batches(task, how, &order, (int64_t)slots, loader, status, mine, stop);
    lk_loader_stop(loader);
    if (status == LK_OK && !*stop) {
        lk_group_gather(group, mine, slots * sizeof *mine, all);
        *mean = (lk_losses){0};
        for (int rank = 0; rank < group->size; rank++) {
            lk_validation_order theirs = lk_validation_order_make(count, batch_size, rank, group->size);
            for (int64_t i = 0; i < theirs.end - theirs.first; i++) {
                const lk_losses *one = &all[(size_t)rank * slots + (size_t)i];
                mean->f += one->f / (double)count;
                mean->f1 += one->f1 / (double)count;
                mean->f2 += one->f2 / (double)count;
            }
        }
    }
    free(mine);
    free(all);
    return status;
}

lk_status lk_draw_samples(lk_task *task, const lk_dataset *dataset, int count, lk_image *out)
{
    if (count > lk_dataset_count(dataset))
        count = (int)lk_dataset_count(dataset);
    lk_validation_order order = lk_validation_order_make(count, count, 0, 1);
    lk_loader_options options = {
        .batch_size = count, .threads = 1, .prefetch = 1, .order = lk_validation_batch, .context = &order};
    lk_loader *loader = NULL;
    const lk_batch *batch = NULL;
    LK_TRY(lk_loader_start(dataset, &options, &loader));
    lk_status status = lk_loader_next(loader, &batch);
    if (status == LK_OK) {
        status = task->draw(task, batch, out);
        lk_loader_release(loader, batch);
    }
    lk_loader_stop(loader);
    return status;
}
