#include "trainer/train.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/version.h"
#include "collectives/same.h"
#include "trainer/model/weights_file.h"
#include "trainer/save.h"
#include "trainer/step.h"
#include "trainer/stop.h"
#include "trainer/training.h"
#include "trainer/validate.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

/* ---- records ---- */

static lk_status record_step(lk_training *t, const lk_step_report *r)
{
    lk_metric items[16];
    int n = 0;
    items[n++] = lk_metric_double(t->task->loss_name, r->mean.f);
    if (t->task->has_parts) {
        items[n++] = lk_metric_double("F1", r->mean.f1);
        items[n++] = lk_metric_double("F2", r->mean.f2);
    }
    items[n++] = lk_metric_double("lr", r->lr);
    items[n++] = lk_metric_double("grad_norm", r->gradient_norm);
    items[n++] = lk_metric_float("samples_per_s", (float)(t->config->train.global_batch / r->seconds));
    items[n++] = lk_metric_float("step_ms", (float)(1e3 * r->seconds));
    items[n++] = lk_metric_float("data_wait_ms", (float)(1e3 * r->data_wait));
    items[n++] = lk_metric_float("comm_exposed_ms", (float)(1e3 * r->exposed));
    items[n++] = lk_metric_float("rss_mb", (float)lk_resident_bytes() / (1 << 20));
    int64_t epoch = (t->state.step - 1) / t->order.steps_per_epoch + 1;
    return lk_run_record(t->run, "train", t->state.step, epoch, items, n);
}

static lk_status draw_samples(lk_training *t)
{
    lk_image picture = {0};
    if (t->group->rank != 0 || t->config->validate.samples == 0)
        return LK_OK;
    LK_TRY(lk_draw_samples(t->task, t->validation_set, t->config->validate.samples, &picture));
    lk_status status = lk_run_picture(t->run, t->state.step, &picture);
    lk_image_free(&picture);
    return status;
}

/* ---- the end of an epoch ---- */

static bool has_converged(const lk_training *t)
{
    int patience = t->config->train.converge.patience;
    return patience > 0 && t->state.epochs_without_gain >= patience;
}

/* The best is the least loss; patience wants more than a hair's breadth. */
static void note_validation(lk_training *t, double f)
{
    lk_train_state *s = &t->state;
    if (f < s->best) {
        s->best = f;
        s->best_step = s->step;
    }
    if (f < s->gained - t->config->train.converge.min_delta) {
        s->gained = f;
        s->epochs_without_gain = 0;
    } else {
        s->epochs_without_gain++;
    }
}

static lk_status record_validation(lk_training *t, int64_t epoch, const lk_losses *mean)
{
    const lk_metric items[] = {lk_metric_double(t->task->loss_name, mean->f), lk_metric_double("F1", mean->f1),
                               lk_metric_double("F2", mean->f2)};
    LK_TRY(lk_run_record(t->run, "val", t->state.step, epoch, items, t->task->has_parts ? 3 : 1));
    return draw_samples(t);
}

/* *stop is set where the validation was broken off; it is then still due. Every rank must call. */
static lk_status validate(lk_training *t, int *stop)
{
    const lk_config *c = t->config;
    int64_t step = t->state.step;
    int64_t epoch = (step + t->order.steps_per_epoch - 1) / t->order.steps_per_epoch;
    const lk_validation how = {
        .batch_size = t->order.micro_batch, .threads = c->data.threads, .group = t->group, .dog = t->dog, .step = step};
    lk_losses mean;
    LK_TRY(lk_validate(t->task, t->validation_set, &how, &mean, stop));
    if (*stop)
        return LK_OK;
    LK_TRY(lk_group_agree(t->group, record_validation(t, epoch, &mean)));
    if (t->task->has_parts)
        lk_info("epoch %" PRId64 ", step %" PRId64 ": validation F %.4f, F1 %.4f, F2 %.4f", epoch, step, mean.f, mean.f1,
                mean.f2);
    else
        lk_info("epoch %" PRId64 ", step %" PRId64 ": validation L1 %.5f", epoch, step, mean.f);
    t->state.validated = step;
    if (!isfinite(mean.f)) {
        char what[64];
        snprintf(what, sizeof what, "validation %s is %g", t->task->loss_name, mean.f);
        return lk_training_skip(t, step, what);
    }
    note_validation(t, mean.f);
    if (t->state.best_step == step)
        lk_training_defer(t, lk_save_note_best(t));
    return LK_OK;
}

/* ---- the loop ---- */

/* Checkpoint and validation after a step, where they are due. The checkpoint comes first: who is stopped in a validation has
 * saved already, and goes on with that validation. Every rank must call. */
static lk_status after_step(lk_training *t, bool *pending, int *stop)
{
    bool validation_due = lk_training_validation_due(t);
    if (validation_due || *stop)
        LK_TRY(lk_training_agree(t));
    if (validation_due)
        LK_TRY(lk_save_settle(t)); /* this step is saved, not one that comes later */
    *pending |= validation_due || t->state.step % t->order.steps_per_epoch == 0 || lk_save_is_due(t);
    if (*pending && t->deferred.status == LK_OK && t->saver && !lk_saver_busy(t->saver)) {
        *pending = false;
        lk_training_defer(t, lk_save_take(t));
    }
    return validation_due && !*stop ? validate(t, stop) : LK_OK;
}

static lk_status take_steps(lk_training *t, lk_progress *bar, int *stop)
{
    bool pending = false; /* a checkpoint is due and the saver was busy */
    while (!*stop && t->state.step < t->total_steps && !has_converged(t)) {
        lk_step_report report;
        bool written = lk_save_is_written(t);
        LK_TRY(lk_training_step(t, &report));
        lk_training_defer(t, record_step(t, &report));
        if (written && t->deferred.status == LK_OK)
            lk_training_defer(t, lk_save_commit(t));
        char note[64];
        snprintf(note, sizeof note, "%s %.4f", t->task->loss_name, report.mean.f);
        lk_progress_update(bar, t->state.step, note);
        *stop = report.stop;
        LK_TRY(after_step(t, &pending, stop));
    }
    return lk_training_agree(t);
}

static lk_status run_steps(lk_training *t, lk_progress *bar)
{
    int stop = 0;
    if (lk_training_validation_due(t)) /* the checkpoint was written before it */
        LK_TRY(validate(t, &stop));
    LK_TRY(take_steps(t, bar, &stop));
    bool ended = has_converged(t) || t->state.step == t->total_steps;
    if (stop && (!ended || lk_training_validation_due(t))) {
        LK_TRY(lk_save_now(t));
        return lk_fail(LK_REQUEUE, "stopped by %s at step %" PRId64 " of %" PRId64 ", saved; the same command goes on",
                       lk_stop_reason(stop), t->state.step, t->total_steps);
    }
    if (has_converged(t))
        lk_info("converged: %s has not improved by %g for %d validations", t->task->loss_name,
                t->config->train.converge.min_delta, t->config->train.converge.patience);
    return LK_OK;
}

/* ---- the end ---- */

static lk_status save_model(lk_training *t)
{
    char path[LK_PATH_SIZE];
    if (t->group->rank != 0)
        return LK_OK;
    LK_TRY(lk_run_path(t->run, "model.safetensors", path));
    const lk_safetensors_note notes[] = {{"schema", lk_dataset_schema(t->train_set)->text}};
    return lk_weights_save(path, t->task->weights, notes, 1, NULL);
}

static lk_status finish(lk_training *t)
{
    char hex[LK_HEX_SIZE], line[256];
    uint64_t hash = lk_weights_hash(t->task->weights);
    /* Ranks that drifted apart would mean a broken sum: worth one comparison at the end. */
    const lk_same weights = {"ended with other weights", hash, LK_INTERNAL, "the sum of gradients was broken on the way"};
    LK_TRY(lk_require_same(t->group, &weights, 1));
    LK_TRY(lk_save_now(t));
    lk_hash_hex(hash, hex);
    snprintf(line, sizeof line, "steps %" PRId64 ", weights %s on every rank, %s", t->state.step, hex, lk_program());
    lk_status status = save_model(t);
    if (status == LK_OK)
        status = lk_run_finish(t->run, line);
    LK_TRY(lk_group_agree(t->group, status));
    lk_info("done: %s", line);
    return LK_OK;
}

static void introduce(const lk_training *t)
{
    int threads = t->placement.threads;
    if (t->config->train.micro_batch == 0)
        lk_info("train.micro_batch auto: %d", t->order.micro_batch);
    lk_info("%s: %" PRId64 " steps of %d samples on %d rank%s x %d thread%s, %s, %zu weights, %" PRId64 " training and %" PRId64
            " validation faces",
            t->config->run.dir, t->total_steps, t->config->train.global_batch, t->group->size, t->group->size == 1 ? "" : "s",
            threads, threads == 1 ? "" : "s", t->device, t->task->weights->numbers, lk_dataset_count(t->train_set),
            lk_dataset_count(t->validation_set));
}

static lk_status train(lk_training *t)
{
    introduce(t);
    uint64_t frozen = t->task->frozen ? lk_weights_hash(t->task->frozen) : 0;
    lk_progress bar;
    lk_progress_begin(&bar, t->config->run.dir, "steps", t->state.step, t->total_steps, t->group->rank != 0);
    lk_status status = run_steps(t, &bar);
    lk_progress_end(&bar);
    LK_TRY(status);
    if (t->task->frozen) {
        char before[LK_HEX_SIZE], after[LK_HEX_SIZE];
        lk_hash_hex(frozen, before);
        lk_hash_hex(lk_weights_hash(t->task->frozen), after);
        lk_info("frozen decoder: hash %s before, %s after", before, after);
    }
    return finish(t);
}

/* Who asks a finished run for more, or for something else, is told what to do. */
static void say_done(const lk_config *config)
{
    char path[LK_PATH_SIZE];
    lk_config *ran = NULL;
    const char *folder = config->run.dir;
    bool known = lk_path_join(path, folder, "config.yaml") == LK_OK && lk_config_load(path, NULL, 0, &ran) == LK_OK;
    if (known && lk_config_compare(ran, config) != LK_OK)
        lk_warn(
            "%s: this run is done already, by another configuration, and nothing is trained: %s. model.init begins a run with "
            "its weights",
            folder, lk_error_text());
    else if (known && (ran->train.epochs != config->train.epochs || ran->train.steps != config->train.steps))
        lk_warn("%s: this run is done already, at train.epochs %d, train.steps %lld, and nothing is trained: to go on to "
                "train.epochs %d, train.steps %lld, remove %s/DONE and start it again",
                folder, ran->train.epochs, (long long)ran->train.steps, config->train.epochs, (long long)config->train.steps,
                folder);
    else
        lk_info("%s: this run is done already", folder);
    lk_config_free(ran);
}

lk_status lk_train(const lk_config *config, lk_process_group *group, const char *resume)
{
    lk_training t;
    bool finished = false;
    lk_status status = lk_training_open(&t, config, group, resume, &finished);
    if (status == LK_OK && finished)
        say_done(config);
    else if (status == LK_OK)
        status = train(&t);
    lk_error error;
    lk_error_take(&error, status); /* closing must not overwrite the sentence */
    lk_training_close(&t);
    return lk_error_put(&error);
}
