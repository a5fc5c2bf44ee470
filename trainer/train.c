#include "trainer/train.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/thread.h"
#include "collectives/buckets.h"
#include "dataset/loader.h"
#include "dataset/shard.h"
#include "trainer/labels.h"
#include "trainer/optimizer.h"
#include "trainer/order.h"
#include "trainer/run.h"
#include "trainer/task.h"
#include "trainer/validate.h"
#include "trainer/weights_file.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Everything a training holds; made by open_training, freed by close_training. */
typedef struct training {
    const lk_config *config;
    lk_process_group *group;
    lk_dataset *train_set, *validation_set;
    lk_task *task;
    lk_run *run;
    lk_buckets *buckets;
    float *gradients; /* the buckets' buffer: laid out as the weights */
    lk_optimizer optimizer;
    lk_training_order order;
    lk_loader *loader;
    int64_t total_steps;
    int skipped; /* steps left out for non-finite gradients */
    lk_error deferred; /* a failure of this rank's own (a full disk) that the next exchange tells the others */
    /* convergence */
    double best;
    int epochs_without_gain;
} training;

/* ---- setting up ---- */

static int threads_of_rank(const lk_config *config, const lk_process_group *group)
{
    if (config->train.threads > 0)
        return config->train.threads;
    int cores = lk_core_count();
    /* A launcher that binds ranks has done the division already. */
    bool bound = cores < (int)sysconf(_SC_NPROCESSORS_ONLN);
    int share = bound ? cores : cores / group->local_size;
    return share > 0 ? share : 1;
}

static lk_status open_data(training *t)
{
    const lk_config *c = t->config;
    LK_TRY(lk_open_configured(&c->data.train, &t->train_set));
    LK_TRY(lk_open_configured(&c->data.val, &t->validation_set));
    LK_TRY(lk_schema_require_equal(lk_dataset_schema(t->train_set), c->data.train.items[0], lk_dataset_schema(t->validation_set),
                                   c->data.val.items[0]));
    const lk_dataset *sets[2] = {t->train_set, t->validation_set};
    const char *names[2] = {c->data.train.items[0], c->data.val.items[0]};
    for (int i = 0; i < 2; i++)
        if (lk_dataset_size(sets[i]) != c->model.size)
            return lk_fail(LK_BAD_DATA, "%s: pictures are %d px, but model.size is %d; render or pack them at that size", names[i],
                           lk_dataset_size(sets[i]), c->model.size);
    if (lk_dataset_count(t->train_set) < c->train.global_batch)
        return lk_fail(LK_BAD_DATA, "%s: has %" PRId64 " samples, fewer than train.global_batch %d over %d ranks", names[0],
                       lk_dataset_count(t->train_set), c->train.global_batch, t->group->size);
    return LK_OK;
}

/* The order of training, and how long it is. */
static lk_status plan_steps(training *t)
{
    const lk_config *c = t->config;
    int pass = c->train.micro_batch * t->group->size;
    if (c->train.global_batch % pass != 0)
        return lk_fail(LK_BAD_CONFIG,
                       "train.global_batch %d is not a multiple of train.micro_batch %d x %d ranks; change one of the three",
                       c->train.global_batch, c->train.micro_batch, t->group->size);
    int64_t count = lk_dataset_count(t->train_set);
    t->order = (lk_training_order){
        .sampler = {.count = count, .seed = (uint64_t)c->run.seed, .shuffle = c->train.shuffle},
        .global_batch = c->train.global_batch,
        .micro_batch = c->train.micro_batch,
        .rank = t->group->rank,
        .ranks = t->group->size,
        .steps_per_epoch = count / c->train.global_batch,
        .accumulation = c->train.global_batch / pass,
    };
    t->total_steps = c->train.steps > 0 ? c->train.steps : c->train.epochs * t->order.steps_per_epoch;
    return LK_OK;
}

static lk_status open_task(training *t)
{
    lk_label_statistics labels;
    LK_TRY(lk_label_statistics_read(t->train_set, &labels));
    lk_status status = lk_task_create(t->config, lk_dataset_schema(t->train_set), labels.mean, &t->task);
    lk_label_statistics_free(&labels);
    return status;
}

static void gradient_ready(void *context, int weight)
{
    training *t = context;
    lk_buckets_ready(t->buckets, t->task->weights->count - 1 - weight);
}

/* Buckets in backward order over the weights' layout. Every rank must call. */
static lk_status open_buckets(training *t)
{
    lk_weights *w = t->task->weights;
    size_t *sizes = calloc((size_t)w->count, sizeof *sizes);
    if (!sizes)
        return lk_fail(LK_INTERNAL, "out of memory");
    for (int i = 0; i < w->count; i++)
        sizes[w->count - 1 - i] = w->items[i].count;
    lk_buckets_options options = {.bucket_bytes = (size_t)(t->config->collectives.bucket_mb * 1024 * 1024)};
    lk_status status = lk_buckets_create(t->group, sizes, w->count, options, &t->buckets);
    free(sizes);
    LK_TRY(status);
    t->gradients = lk_buckets_data(t->buckets);
    w->ready_context = t;
    w->statistic_share = (double)t->config->train.micro_batch / t->config->train.global_batch;
    LK_TRY(lk_weights_bind_gradients(w, t->gradients));
    return lk_optimizer_create(t->config, w, &t->optimizer);
}

/* Every rank starts from rank 0's weights. */
static void share_weights(training *t)
{
    lk_weights *w = t->task->weights;
    lk_group_broadcast(t->group, w->values, w->total * sizeof(float), 0);
    lk_weights_refresh(w);
}

static lk_status open_training(training *t)
{
    const lk_config *c = t->config;
    LK_TRY(lk_group_agree(t->group, lk_tensor_start(threads_of_rank(c, t->group))));
    LK_TRY(lk_group_agree(t->group, open_data(t)));
    LK_TRY(lk_group_agree(t->group, plan_steps(t)));
    LK_TRY(lk_group_agree(t->group, open_task(t)));
    LK_TRY(lk_group_agree(t->group, lk_run_open(c, t->group->rank == 0, &t->run)));
    LK_TRY(lk_group_agree(t->group, open_buckets(t)));
    share_weights(t);
    lk_loader_options options = {.batch_size = c->train.micro_batch,
                                 .threads = c->data.threads,
                                 .prefetch = c->data.prefetch,
                                 .order = lk_training_batch,
                                 .context = &t->order};
    return lk_group_agree(t->group, lk_loader_start(t->train_set, &options, &t->loader));
}

static void close_training(training *t)
{
    lk_loader_stop(t->loader);
    if (t->buckets)
        lk_buckets_free(t->buckets);
    lk_optimizer_free(&t->optimizer);
    if (t->task)
        t->task->free(t->task);
    lk_run_close(t->run);
    lk_dataset_close(t->train_set);
    lk_dataset_close(t->validation_set);
}

/* ---- one step ---- */

typedef struct step_report {
    lk_losses mean;
    double lr, gradient_norm;
    double seconds, data_wait, exposed;
} step_report;

/* What a rank tells the others of its part of a step. */
typedef struct step_part {
    lk_status status;
    lk_losses sums;
} step_part;

/* Forward and backward of this rank's micro-batches. Backward of the last one releases the gradients to the communication
 * thread as they are finished; after a failure they are released all the same, since other ranks wait. */
static step_part learn_micro_batches(training *t, double *data_wait)
{
    lk_weights *w = t->task->weights;
    double share = 1.0 / t->config->train.global_batch;
    step_part part = {.status = t->deferred.status == LK_OK ? LK_OK : lk_error_put(&t->deferred)};
    for (int a = 0; a < t->order.accumulation; a++) {
        const lk_batch *batch = NULL;
        bool last = a == t->order.accumulation - 1;
        double start = lk_clock();
        lk_status status = part.status == LK_OK ? lk_loader_next(t->loader, &batch) : LK_OK;
        *data_wait += lk_clock() - start;
        w->accumulate = a > 0;
        w->ready = last ? gradient_ready : NULL;
        if (batch) {
            status = t->task->learn(t->task, batch, share, &part.sums);
            lk_loader_release(t->loader, batch);
        } else if (last) {
            for (int i = w->count - 1; i >= 0; i--)
                gradient_ready(t, i);
        }
        if (part.status == LK_OK)
            part.status = status;
    }
    return part;
}

/* The step's losses, summed in rank order so that they are the same bits everywhere. Every rank must call. */
static lk_status combine_parts(training *t, step_part mine, lk_losses *mean)
{
    step_part *all = calloc((size_t)t->group->size, sizeof *all);
    if (!all)
        lk_group_abort(t->group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    lk_group_gather(t->group, &mine, sizeof mine, all);
    bool failed = false;
    *mean = (lk_losses){0};
    for (int r = 0; r < t->group->size; r++) {
        failed |= all[r].status != LK_OK;
        mean->f += all[r].sums.f / t->config->train.global_batch;
        mean->f1 += all[r].sums.f1 / t->config->train.global_batch;
        mean->f2 += all[r].sums.f2 / t->config->train.global_batch;
    }
    free(all);
    return failed ? lk_group_agree(t->group, mine.status) : LK_OK;
}

/* All ranks hold the same gradients, so all decide the same. */
static lk_status check_finite(training *t, int64_t step, const step_report *r, bool *skip)
{
    *skip = false;
    if (isfinite(r->mean.f) && isfinite(r->gradient_norm))
        return LK_OK;
    const char *name = lk_weights_find_nonfinite(t->task->weights, t->gradients);
    if (t->config->train.nonfinite == LK_NONFINITE_SKIP && t->skipped < t->config->train.max_skips) {
        t->skipped++;
        *skip = true;
        lk_warn("step %" PRId64 ": not finite (%s %g, gradient of %s); skipped, %d of at most %d", step, t->task->loss_name,
                r->mean.f, name ? name : "none", t->skipped, t->config->train.max_skips);
        return LK_OK;
    }
    return lk_fail(LK_BAD_DATA, "step %" PRId64 ": not finite: %s is %g, first bad gradient: %s; lower optimizer.lr, set "
                                "optimizer.clip_norm, or look at the data",
                   step, t->task->loss_name, r->mean.f, name ? name : "none");
}

static lk_status take_step(training *t, int64_t step, step_report *r)
{
    const lk_config *c = t->config;
    double start = lk_clock();
    *r = (step_report){.lr = lk_learning_rate(c, step, t->order.steps_per_epoch, t->total_steps)};
    lk_buckets_begin(t->buckets);
    step_part part = learn_micro_batches(t, &r->data_wait);
    lk_status reduced = lk_buckets_wait(t->buckets, &r->exposed, NULL);
    LK_TRY(combine_parts(t, part.status == LK_OK ? (step_part){reduced, part.sums} : part, &r->mean));
    r->gradient_norm = lk_gradient_norm(t->task->weights, t->gradients);
    bool skip = false;
    LK_TRY(check_finite(t, step, r, &skip));
    if (!skip) {
        if (c->optimizer.clip_norm > 0 && r->gradient_norm > c->optimizer.clip_norm)
            lk_scale_gradients(t->task->weights, t->gradients, (float)(c->optimizer.clip_norm / r->gradient_norm));
        LK_TRY(lk_optimizer_update(&t->optimizer, r->lr));
    }
    r->seconds = lk_clock() - start;
    return LK_OK;
}

static lk_status record_step(training *t, int64_t step, const step_report *r)
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
    return lk_run_record(t->run, "train", step + 1, step / t->order.steps_per_epoch + 1, items, n);
}

/* ---- the end of an epoch ---- */

static lk_status draw_samples(training *t, int64_t step)
{
    char name[64], path[LK_PATH_SIZE];
    if (t->group->rank != 0 || t->config->validate.samples == 0)
        return LK_OK;
    snprintf(name, sizeof name, "samples/step-%09" PRId64 ".png", step);
    LK_TRY(lk_run_path(t->run, name, path));
    return lk_draw_samples(t->task, t->validation_set, t->config->validate.samples, path);
}

/* True when F has not improved by min_delta for `patience` validations. */
static bool has_converged(training *t, double f)
{
    if (f < t->best - t->config->train.converge.min_delta) {
        t->best = f;
        t->epochs_without_gain = 0;
    } else {
        t->epochs_without_gain++;
    }
    int patience = t->config->train.converge.patience;
    return patience > 0 && t->epochs_without_gain >= patience;
}

static lk_status validate(training *t, int64_t step, bool *converged)
{
    const lk_config *c = t->config;
    int64_t epoch = (step + t->order.steps_per_epoch - 1) / t->order.steps_per_epoch;
    lk_losses mean;
    LK_TRY(lk_validate(t->task, t->validation_set, c->train.micro_batch, c->data.threads, t->group, &mean));
    const lk_metric items[] = {lk_metric_double(t->task->loss_name, mean.f), lk_metric_double("F1", mean.f1),
                               lk_metric_double("F2", mean.f2)};
    lk_status status = lk_run_record(t->run, "val", step, epoch, items, t->task->has_parts ? 3 : 1);
    if (status == LK_OK)
        status = draw_samples(t, step);
    LK_TRY(lk_group_agree(t->group, status));
    if (t->task->has_parts)
        lk_info("epoch %" PRId64 ", step %" PRId64 ": validation F %.4f, F1 %.4f, F2 %.4f", epoch, step, mean.f, mean.f1, mean.f2);
    else
        lk_info("epoch %" PRId64 ", step %" PRId64 ": validation L1 %.5f", epoch, step, mean.f);
    *converged = has_converged(t, mean.f);
    return LK_OK;
}

/* ---- the loop ---- */

static lk_status run_steps(training *t, lk_progress *bar)
{
    const lk_config *c = t->config;
    for (int64_t step = 0; step < t->total_steps; step++) {
        step_report report;
        LK_TRY(take_step(t, step, &report));
        lk_error_take(&t->deferred, record_step(t, step, &report));
        char note[64];
        snprintf(note, sizeof note, "%s %.4f", t->task->loss_name, report.mean.f);
        lk_progress_update(bar, step + 1, note);

        int64_t done = step + 1;
        bool epoch_ends = done % t->order.steps_per_epoch == 0;
        bool due = epoch_ends && c->validate.every_epochs > 0 && done / t->order.steps_per_epoch % c->validate.every_epochs == 0;
        bool converged = false;
        if (due || done == t->total_steps)
            LK_TRY(validate(t, done, &converged));
        if (converged) {
            lk_info("converged: %s has not improved by %g for %d validations", t->task->loss_name, c->train.converge.min_delta,
                    c->train.converge.patience);
            break;
        }
    }
    return lk_group_agree(t->group, t->deferred.status == LK_OK ? LK_OK : lk_error_put(&t->deferred));
}

static lk_status save_model(training *t, const lk_schema *schema)
{
    char path[LK_PATH_SIZE];
    if (t->group->rank != 0)
        return LK_OK;
    LK_TRY(lk_run_path(t->run, "model.safetensors", path));
    const lk_safetensors_note notes[] = {{"schema", schema->text}};
    return lk_weights_save(path, t->task->weights, notes, 1, NULL);
}

/* Ranks that drifted apart would mean a broken sum: worth one comparison at the end. */
static lk_status compare_weights(training *t, char hex[LK_HEX_SIZE])
{
    uint64_t mine = lk_weights_hash(t->task->weights);
    uint64_t *all = calloc((size_t)t->group->size, sizeof *all);
    if (!all)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_group_gather(t->group, &mine, sizeof mine, all);
    lk_status status = LK_OK;
    for (int r = 0; status == LK_OK && r < t->group->size; r++)
        if (all[r] != all[0])
            status = lk_fail(LK_INTERNAL, "rank %d ended with other weights than rank 0", r);
    free(all);
    lk_hash_hex(mine, hex);
    return status;
}

static lk_status train(training *t)
{
    LK_TRY(open_training(t));
    const lk_schema *schema = lk_dataset_schema(t->train_set);
    uint64_t frozen = t->task->frozen ? lk_weights_hash(t->task->frozen) : 0;
    uint32_t threads = (uint32_t)threads_of_rank(t->config, t->group);
    lk_info("%s: %" PRId64 " steps of %d samples on %d rank%s x %u thread%s, %zu weights, %" PRId64 " training and %" PRId64
            " validation faces",
            t->config->run.dir, t->total_steps, t->config->train.global_batch, t->group->size, t->group->size == 1 ? "" : "s", threads,
            threads == 1 ? "" : "s", t->task->weights->total, lk_dataset_count(t->train_set), lk_dataset_count(t->validation_set));
    lk_progress bar;
    lk_progress_begin(&bar, t->config->run.dir, "steps", 0, t->total_steps, t->group->rank != 0);
    lk_status status = run_steps(t, &bar);
    lk_progress_end(&bar);
    LK_TRY(status);
    char hex[LK_HEX_SIZE], line[256];
    LK_TRY(compare_weights(t, hex));
    if (t->task->frozen) {
        char before[LK_HEX_SIZE], after[LK_HEX_SIZE];
        lk_hash_hex(frozen, before);
        lk_hash_hex(lk_weights_hash(t->task->frozen), after);
        lk_info("frozen decoder: hash %s before, %s after", before, after);
    }
    snprintf(line, sizeof line, "steps %" PRId64 ", weights %s on every rank", t->optimizer.step, hex);
    status = save_model(t, schema);
    if (status == LK_OK)
        status = lk_run_finish(t->run, line);
    LK_TRY(lk_group_agree(t->group, status));
    lk_info("done: %s", line);
    return LK_OK;
}

lk_status lk_train(const lk_config *config, lk_process_group *group)
{
    training t = {.config = config, .group = group, .best = INFINITY};
    lk_status status = train(&t);
    lk_error error;
    lk_error_take(&error, status); /* closing must not overwrite the sentence */
    close_training(&t);
    return lk_error_put(&error);
}
