#include "trainer/step.h"

#include "base/clock.h"
#include "base/log.h"
#include "trainer/stop.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a rank tells the others of its part of a step; its micro-batches' losses follow. */
typedef struct step_part {
    lk_status status;
    int stop;
    uint64_t weights; /* hash of the weights before the step, where they are compared; else 0 */
    lk_losses sums[]; /* accumulation */
} step_part;

static size_t part_size(const lk_training *t)
{
    return sizeof(step_part) + (size_t)t->order.accumulation * sizeof(lk_losses);
}

static void gradient_ready(void *context, int weight)
{
    lk_training *t = context;
    const lk_weight *w = &t->task->weights->items[weight];
    lk_watchdog_report(t->dog, t->state.step, LK_PHASE_BACKWARD);
    if (t->tree)
        lk_training_defer(t, lk_tree_accumulate(t->tree, t->micro_batch_number, t->gradients, w->offset, w->count));
    if (t->micro_batch_number == t->order.accumulation - 1)
        lk_buckets_ready(t->buckets, lk_weights_place(t->task->weights, weight));
}

/* Forward and backward of one micro-batch. In the last one backward releases the gradients to the communication thread as they
 * are finished. */
static lk_status learn_micro_batch(lk_training *t, lk_status before, double *data_wait)
{
    lk_weights *w = t->task->weights;
    const lk_batch *batch = NULL;
    lk_status status = before;
    double start = lk_clock();
    lk_watchdog_report(t->dog, t->state.step, LK_PHASE_DATA);
    if (status == LK_OK)
        status = lk_loader_next(t->loader, &batch);
    *data_wait += lk_clock() - start;
    /* A tree takes each micro-batch's gradients by themselves. */
    lk_weights_begin(w, !t->tree && t->micro_batch_number > 0, gradient_ready, t);
    if (batch) {
        lk_watchdog_report(t->dog, t->state.step, LK_PHASE_FORWARD);
        double *sums = lk_sums_at(t->sums, LK_SUM_LOSSES + LK_TASK_SUMS * t->micro_batch_number);
        status = t->task->learn(t->task, batch, 1.0 / t->config->train.global_batch, sums);
        lk_status lent = lk_tensor_lent();
        status = status == LK_OK ? lent : status;
        lk_loader_release(t->loader, batch);
    }
    return lk_weights_end(w, status);
}

/* Ranks that drifted apart would mean a broken sum or a broken machine. At every step that a checkpoint is made of by number, and
 * whatever the saver is doing, so that all ranks compare at once. */
static bool weights_are_compared(const lk_training *t)
{
    int64_t step = t->state.step, every = t->config->checkpoint.every_steps;
    return t->group->size > 1 && step > 0 && (step % t->order.steps_per_epoch == 0 || (every > 0 && step % every == 0));
}

/* Everybody's parts: losses are summed in the order of the micro-batches of the global batch, so they are the same bits whatever
 * the number of ranks; a stop or failure of one is everyone's. Every rank must call. */
static lk_status exchange_parts(lk_training *t, const step_part *mine, lk_step_report *r)
{
    size_t size = part_size(t);
    unsigned char *all = calloc((size_t)t->group->size, size);
    if (!all)
        lk_group_abort(t->group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    lk_group_gather(t->group, mine, size, all);
    bool failed = false;
    int drifted = 0;
    for (int rank = 0; rank < t->group->size; rank++) {
        const step_part *part = (const step_part *)(all + (size_t)rank * size);
        failed |= part->status != LK_OK;
        if (!drifted && part->weights != ((const step_part *)all)->weights)
            drifted = rank;
        if (part->stop && !r->stop)
            r->stop = part->stop;
        for (int a = 0; a < t->order.accumulation; a++) {
            r->mean.f += part->sums[a].f / t->config->train.global_batch;
            r->mean.f1 += part->sums[a].f1 / t->config->train.global_batch;
            r->mean.f2 += part->sums[a].f2 / t->config->train.global_batch;
        }
    }
    free(all);
    if (failed)
        return lk_group_agree(t->group, mine->status);
    if (drifted)
        return lk_fail(LK_INTERNAL,
                       "step %" PRId64
                       ": rank %d has other weights than rank 0; look at its machine's memory, then start again: the "
                       "run goes on from its last checkpoint",
                       t->state.step, drifted);
    return LK_OK;
}

/* The step's one wait for the device: losses, and squares of the summed gradients, finite exactly if all numbers are. */
static lk_status read_sums(lk_training *t, step_part *mine, lk_step_report *r, bool *finite)
{
    const lk_weights *w = t->task->weights;
    int accumulation = t->order.accumulation, count = LK_SUM_LOSSES + LK_TASK_SUMS * accumulation;
    lk_sum_squares(t->gradients, w->trained, w->trained_count, lk_sums_at(t->sums, LK_SUM_GRADIENTS));
    lk_sum_squares(t->gradients, w->statistics, w->statistic_count, lk_sums_at(t->sums, LK_SUM_STATISTICS));
    double *values = calloc((size_t)count, sizeof *values);
    if (!values)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_status status = lk_sums_read(t->sums, count, values);
    for (int a = 0; a < accumulation; a++)
        mine->sums[a] = lk_task_losses(t->task, values + LK_SUM_LOSSES + LK_TASK_SUMS * a);
    r->gradient_norm = sqrt(values[LK_SUM_GRADIENTS]);
    *finite = isfinite(r->gradient_norm) && isfinite(values[LK_SUM_STATISTICS]);
    free(values);
    return status;
}

/* The sums over ranks, and what is read of them. Sums that failed or were aborted come to an end as well: nothing may be made of
 * them, and the other ranks may wait for this one where nobody can tell them. */
static lk_status take_sums(lk_training *t, step_part *mine, lk_step_report *r, bool *finite)
{
    double busy;
    lk_error error = {.status = LK_OK};
    lk_status summed = lk_buckets_wait(t->buckets);
    if (summed == LK_OK) {
        lk_error_take(&error, read_sums(t, mine, r, finite));
        summed = lk_buckets_finish(t->buckets, &r->exposed, &busy);
    }
    if (summed != LK_OK)
        lk_watchdog_await_end(t->dog);
    return summed == LK_OK && error.status != LK_OK ? lk_error_put(&error) : summed;
}

/* *finite: the summed gradients and statistics are. */
static lk_status learn(lk_training *t, lk_step_report *r, bool *finite)
{
    step_part *mine = calloc(1, part_size(t));
    if (!mine)
        lk_group_abort(t->group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    lk_buckets_begin(t->buckets);
    lk_sums_clear(t->sums);
    mine->status = t->deferred.status == LK_OK ? LK_OK : lk_error_put(&t->deferred);
    for (int a = 0; a < t->order.accumulation; a++) {
        t->micro_batch_number = a;
        mine->status = learn_micro_batch(t, mine->status, &r->data_wait);
    }
    lk_error error;
    lk_error_take(&error, mine->status);
    lk_watchdog_report(t->dog, t->state.step, LK_PHASE_REDUCE);
    lk_status read = take_sums(t, mine, r, finite);
    mine->status = error.status != LK_OK ? lk_error_put(&error) : read;
    mine->stop = lk_stop_requested();
    if (weights_are_compared(t))
        mine->weights = lk_weights_hash(t->task->weights);
    lk_status status = exchange_parts(t, mine, r);
    free(mine);
    return status;
}

lk_status lk_training_skip(lk_training *t, int64_t step, const char *what)
{
    const lk_config *c = t->config;
    if (c->train.nonfinite != LK_NONFINITE_SKIP || t->state.skipped >= c->train.max_skips)
        return lk_fail(LK_BAD_DATA,
                       "step %" PRId64 ": not finite: %s; lower optimizer.lr, set optimizer.clip_norm, or look at the data", step,
                       what);
    t->state.skipped++;
    lk_warn("step %" PRId64 ": not finite: %s; skipped, %" PRId64 " of at most %d", step, what, t->state.skipped,
            c->train.max_skips);
    return LK_OK;
}

/* All ranks hold the same gradients, so all decide the same. The statistics of a batch can overflow while its loss, which
 * they only divide, stays finite. */
static lk_status check_finite(lk_training *t, const lk_step_report *r, bool finite, bool *skip)
{
    *skip = !isfinite(r->mean.f) || !finite;
    if (!*skip)
        return LK_OK;
    char what[LK_WEIGHT_NAME + 96];
    const char *name = lk_weights_find_nonfinite(t->task->weights, t->gradients);
    snprintf(what, sizeof what, "%s is %g, first bad gradient: %s", t->task->loss_name, r->mean.f, name ? name : "none");
    return lk_training_skip(t, t->state.step + 1, what);
}

lk_status lk_training_step(lk_training *t, lk_step_report *r)
{
    const lk_config *c = t->config;
    double start = lk_clock();
    *r = (lk_step_report){.lr = lk_learning_rate(c, t->state.step, t->order.steps_per_epoch, t->total_steps)};
    bool finite = false, skip = false;
    LK_TRY(learn(t, r, &finite));
    LK_TRY(check_finite(t, r, finite, &skip));
    if (!skip) {
        const lk_weights *w = t->task->weights;
        if (c->optimizer.clip_norm > 0 && r->gradient_norm > c->optimizer.clip_norm)
            lk_scale_ranges(t->gradients, w->trained, w->trained_count, (float)(c->optimizer.clip_norm / r->gradient_norm));
        if (t->saver)
            lk_training_defer(t, lk_saver_order_update(t->saver));
        /* The other ranks go on, and hear of a failure at their next exchange. */
        lk_training_defer(t, lk_optimizer_update(&t->optimizer, r->lr));
    }
    t->state.step++;
    t->state.updates = t->optimizer.step;
    r->seconds = lk_clock() - start;
    return LK_OK;
}
