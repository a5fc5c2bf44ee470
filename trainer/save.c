#include "trainer/save.h"

#include "base/clock.h"
#include "base/log.h"

#include <inttypes.h>
#include <math.h>

lk_status lk_save_start(lk_training *t)
{
    if (t->group->rank != 0)
        return LK_OK;
    LK_TRY(lk_config_to_yaml(t->config, &t->config_yaml));
    t->texts = (lk_checkpoint_texts){.config = t->config_yaml,
                                     .schema = lk_dataset_schema(t->train_set)->text,
                                     .seed = t->config->run.seed,
                                     .sample_count = lk_dataset_count(t->train_set),
                                     .data_hashes = {t->data_hashes[0], t->data_hashes[1]},
                                     .world = t->group->size,
                                     .kernels = lk_weights_kernels(t->task->weights)};
    lk_training_buffers live = lk_training_live(t);
    return lk_saver_start(t->config, &live, &t->texts, t->own_checkpoint ? t->state.step : -1, &t->saver);
}

lk_status lk_save_commit(lk_training *t)
{
    lk_saver_report r;
    LK_TRY(lk_run_still_ours(t->run));
    if (lk_saver_commit(t->saver, t->state.best_step, &r) != LK_OK) {
        lk_warn("step %" PRId64 ": no checkpoint: %s", r.step, lk_error_text());
        return LK_OK;
    }
    const lk_metric items[] = {lk_metric_float("stall_ms", (float)(1e3 * r.stall_s)),
                               lk_metric_float("write_s", (float)r.write_s), lk_metric_integer("bytes", r.bytes)};
    return lk_run_record(t->run, "checkpoint", r.step, (r.step - 1) / t->order.steps_per_epoch + 1, items, 3);
}

bool lk_save_is_written(lk_training *t)
{
    lk_status failure = LK_OK;
    if (!t->saver)
        return false;
    bool written = lk_saver_written(t->saver, &failure);
    if (failure != LK_OK)
        lk_warn("no checkpoint was written, training goes on: %s", lk_error_text());
    return written;
}

lk_status lk_save_settle(lk_training *t)
{
    if (t->saver) {
        lk_watchdog_report(t->dog, t->state.step, LK_PHASE_SAVE);
        lk_saver_wait(t->saver);
    }
    bool written = lk_save_is_written(t);
    lk_watchdog_report(t->dog, t->state.step, LK_PHASE_WAIT);
    lk_group_barrier(t->group);
    return lk_group_agree(t->group, written ? lk_save_commit(t) : LK_OK);
}

/* Two numbers are read from the device instead of all: squares of float32 summed in float64 are finite exactly if all are. */
static lk_status weights_are_finite(lk_training *t, bool *finite)
{
    const lk_weights *w = t->task->weights;
    double values[LK_SUM_LOSSES];
    lk_sums_clear(t->sums);
    lk_sum_squares(w->values, w->trained, w->trained_count, lk_sums_at(t->sums, LK_SUM_GRADIENTS));
    lk_sum_squares(w->values, w->statistics, w->statistic_count, lk_sums_at(t->sums, LK_SUM_STATISTICS));
    lk_status status = lk_sums_read(t->sums, LK_SUM_LOSSES, values);
    *finite = status == LK_OK && isfinite(values[LK_SUM_GRADIENTS]) && isfinite(values[LK_SUM_STATISTICS]);
    lk_status asked = lk_tensor_check();
    return status == LK_OK ? asked : status;
}

lk_status lk_save_take(lk_training *t)
{
    const lk_weights *w = t->task->weights;
    const char *name = NULL;
    bool finite;
    lk_watchdog_report(t->dog, t->state.step, LK_PHASE_SAVE);
    LK_TRY(weights_are_finite(t, &finite));
    if (!finite && (name = lk_weights_find_nonfinite(w, w->values)))
        return lk_fail(LK_BAD_DATA,
                       "step %" PRId64 ": the weight %s is not finite and is not saved; lower optimizer.lr, set "
                       "optimizer.clip_norm, and go on from the checkpoint before",
                       t->state.step, name);
    t->saved_at = lk_clock();
    return lk_saver_take(t->saver, &t->state);
}

lk_status lk_save_now(lk_training *t)
{
    LK_TRY(lk_save_settle(t));
    bool saved = !t->saver || lk_saver_last(t->saver) == t->state.step;
    LK_TRY(lk_group_agree(t->group, saved ? LK_OK : lk_save_take(t)));
    LK_TRY(lk_save_settle(t));
    saved = !t->saver || lk_saver_last(t->saver) == t->state.step;
    return lk_group_agree(
        t->group,
        saved ? LK_OK : lk_fail(LK_IO, "step %" PRId64 " could not be saved; the checkpoint before it stays", t->state.step));
}

lk_status lk_save_note_best(lk_training *t)
{
    if (!t->saver)
        return LK_OK;
    LK_TRY(lk_run_still_ours(t->run));
    if (lk_saver_point_to_best(t->saver, t->state.best_step) != LK_OK)
        lk_warn("%s", lk_error_text());
    return LK_OK;
}

bool lk_save_is_due(const lk_training *t)
{
    const lk_config *c = t->config;
    bool by_steps = c->checkpoint.every_steps > 0 && t->state.step % c->checkpoint.every_steps == 0;
    bool by_time = c->checkpoint.every_minutes > 0 && lk_clock() - t->saved_at > 60 * c->checkpoint.every_minutes;
    return by_steps || by_time;
}
