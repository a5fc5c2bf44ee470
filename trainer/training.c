#include "trainer/training.h"

#include "base/clock.h"
#include "base/log.h"
#include "collectives/deadline.h"
#include "collectives/same.h"
#include "dataset/labels.h"
#include "dataset/stage.h"
#include "trainer/micro_batch.h"
#include "trainer/resume.h"
#include "trainer/save.h"
#include "trainer/stop.h"

#include <inttypes.h>
#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- data ---- */

static lk_status open_data(lk_training *t)
{
    const lk_config *c = t->config;
    LK_TRY(lk_open_configured(&c->data.train.paths, c->staged, "train", &t->train_set));
    LK_TRY(lk_open_configured(&c->data.val, c->staged, "val", &t->validation_set));
    LK_TRY(lk_schema_require_equal(lk_dataset_schema(t->train_set), c->data.train.paths.items[0],
                                   lk_dataset_schema(t->validation_set), c->data.val.items[0]));
    const lk_dataset *sets[2] = {t->train_set, t->validation_set};
    const char *names[2] = {c->data.train.paths.items[0], c->data.val.items[0]};
    for (int i = 0; i < 2; i++)
        if (lk_dataset_size(sets[i]) != c->model.size)
            return lk_fail(LK_BAD_DATA, "%s: pictures are %d px, but model.size is %d; render or pack them at that size",
                           names[i], lk_dataset_size(sets[i]), c->model.size);
    for (int i = 0; i < 2; i++)
        t->data_hashes[i] = lk_dataset_content_hash(sets[i]);
    if (lk_dataset_count(t->train_set) < c->train.global_batch)
        return lk_fail(LK_BAD_DATA, "%s: has %" PRId64 " samples, fewer than train.global_batch %d over %d ranks", names[0],
                       lk_dataset_count(t->train_set), c->train.global_batch, t->group->size);
    return LK_OK;
}

/* Wherever the numbers allow it, gradients are summed in one tree over the micro-batches of the global batch, so that the
 * number of ranks does not change a digit; it moves as much as an allreduce. train.reproducible insists on it and fixes what
 * else depends on the number of ranks: the threads of each. Where bfloat16 travels, every rank rounds, and there is no tree.
 * NCCL's own sums are faster than a tree of sends and receives: on GPUs it must be asked for. */
static bool sums_in_tree(const lk_training *t)
{
    if (!t->config->train.reproducible && lk_device_kind_of(lk_tensor_device()) == LK_DEVICE_CUDA)
        return false;
    return t->config->collectives.dtype == LK_F32 && lk_is_power_of_two(t->order.accumulation) &&
           lk_is_power_of_two(t->group->size);
}

static lk_status mix_sets(lk_training *t)
{
    const lk_config *c = t->config;
    const lk_shared_paths *train = &c->data.train;
    int64_t counts[LK_CONFIG_PATHS];
    for (int i = 0; i < train->paths.count; i++)
        counts[i] = lk_dataset_count_of(t->train_set, i);
    LK_TRY(lk_mixture_make(train->paths.count, counts, train->shares[0] > 0 ? train->shares : NULL, (uint64_t)c->run.seed,
                           c->train.shuffle, &t->order.mixture));
    t->order.mixture.block = c->data.block;
    t->order.mixture.batch = c->train.global_batch;
    return LK_OK;
}

/* Every rank of this host has its shards open: their names are not needed any more, and without them the kernel frees the disk
 * when the last rank ends, however it ends. */
static void remove_stage(const lk_training *t)
{
    if (t->config->staged && t->group->local_rank == 0 && lk_stage_remove(t->config->staged) != LK_OK)
        lk_warn("%s; it stays there", lk_error_text());
}

/* Of the ranks' GPUs, which may differ; 0 on the CPU. Every rank must call. */
static size_t least_memory(const lk_training *t)
{
    int64_t least = -(int64_t)lk_tensor_memory();
    lk_group_max_i64(t->group, &least, 1);
    return (size_t)-least;
}

int64_t lk_training_length(const lk_config *c, const lk_training_order *order)
{
    return c->train.steps > 0 ? c->train.steps : c->train.epochs * order->steps_per_epoch;
}

/* The order of training, and how long it is. Every rank must call. */
static lk_status plan_steps(lk_training *t)
{
    const lk_config *c = t->config;
    int micro_batch = c->train.micro_batch;
    if (micro_batch == 0) {
        if (c->train.global_batch % t->group->size != 0)
            return lk_fail(LK_BAD_CONFIG, "train.global_batch %d is not a multiple of %d ranks; change one of the two",
                           c->train.global_batch, t->group->size);
        micro_batch = lk_choose_micro_batch(c, t->group->size, least_memory(t));
    }
    int pass = micro_batch * t->group->size;
    if (c->train.global_batch % pass != 0)
        return lk_fail(LK_BAD_CONFIG,
                       "train.global_batch %d is not a multiple of train.micro_batch %d x %d ranks; change one of the three",
                       c->train.global_batch, micro_batch, t->group->size);
    int64_t count = lk_dataset_count(t->train_set);
    t->order = (lk_training_order){
        .global_batch = c->train.global_batch,
        .micro_batch = micro_batch,
        .rank = t->group->rank,
        .ranks = t->group->size,
        .steps_per_epoch = count / c->train.global_batch,
        .accumulation = c->train.global_batch / pass,
    };
    LK_TRY(mix_sets(t));
    t->total_steps = lk_training_length(c, &t->order);
    if (c->train.reproducible && !sums_in_tree(t))
        return lk_fail(
            LK_BAD_CONFIG,
            "train.reproducible sums in a binary tree: the number of ranks (%d) and of micro-batches a rank (%d) must be "
            "powers of two",
            t->group->size, t->order.accumulation);
    return LK_OK;
}

/* ---- model, gradients, optimizer ---- */

lk_status lk_training_start_device(const lk_config *c, lk_process_group *group, int threads, char told[LK_DEVICE_TOLD])
{
    const lk_cuda_settings settings = {.tf32 = c->train.tf32,
                                       .benchmark = c->train.cudnn_benchmark,
                                       .deterministic = !c->train.cudnn_benchmark,
                                       .fuse = c->train.cudnn_fuse};
    LK_TRY(lk_choose_device(c->train.device, group, &settings, told));
    return lk_tensor_start(threads);
}

static lk_status open_task(lk_training *t)
{
    lk_label_statistics labels;
    LK_TRY(lk_label_statistics_read(t->train_set, &labels));
    lk_status status = lk_task_create(t->config, lk_dataset_schema(t->train_set), labels.mean, &t->task);
    lk_label_statistics_free(&labels);
    return status;
}

static const lk_reducer_kernels reducer_kernels = {
    .add = lk_tensor_add_floats, .narrow = lk_tensor_narrow_floats, .widen = lk_tensor_widen_floats};

lk_status lk_training_exchange(const lk_config *c, lk_buckets_options *out)
{
    bool nccl = c->collectives.reducer == LK_REDUCER_NCCL;
    if (nccl && lk_device_kind_of(lk_tensor_device()) != LK_DEVICE_CUDA)
        return lk_fail(LK_BAD_CONFIG,
                       "collectives.reducer: nccl sums on GPUs, and this training computes on the CPU; set it to auto");
    *out = (lk_buckets_options){.bucket_bytes = (size_t)(c->collectives.bucket_mb * 1024 * 1024),
                                .bf16 = c->collectives.dtype == LK_BF16,
                                .alone = nccl,
                                .kernels = &reducer_kernels};
    return LK_OK;
}

/* Buckets in backward order over the weights' layout. Every rank must call. */
static lk_status open_buckets(lk_training *t)
{
    lk_weights *w = t->task->weights;
    lk_buckets_options options;
    LK_TRY(lk_training_exchange(t->config, &options));
    options.reproducible = sums_in_tree(t);
    size_t *sizes = calloc((size_t)w->count, sizeof *sizes);
    if (!sizes)
        return lk_fail(LK_INTERNAL, "out of memory");
    for (int i = 0; i < w->count; i++)
        sizes[lk_weights_place(w, i)] = lk_weights_extent(w, i);
    lk_status status = lk_buckets_create(t->group, lk_tensor_device(), sizes, w->count, options, &t->buckets);
    free(sizes);
    return status;
}

static lk_status open_optimizer(lk_training *t)
{
    lk_weights *w = t->task->weights;
    t->gradients = lk_buckets_data(t->buckets);
    w->single_pass = t->order.accumulation == 1;
    LK_TRY(lk_weights_bind_gradients(w, t->gradients, t->order.accumulation * t->group->size));
    if (sums_in_tree(t))
        LK_TRY(lk_tree_accumulator_create(lk_tensor_device(), &reducer_kernels, w->total, t->order.accumulation, &t->tree));
    LK_TRY(lk_sums_create(LK_SUM_LOSSES + LK_TASK_SUMS * t->order.accumulation, &t->sums));
    return lk_optimizer_create(t->config, w, &t->optimizer);
}

void lk_training_defer(lk_training *t, lk_status status)
{
    if (t->deferred.status == LK_OK)
        lk_error_take(&t->deferred, status);
}

lk_status lk_training_agree(lk_training *t)
{
    return lk_group_agree(t->group, t->deferred.status == LK_OK ? LK_OK : lk_error_put(&t->deferred));
}

bool lk_training_validation_due(const lk_training *t)
{
    const lk_config *c = t->config;
    int64_t step = t->state.step;
    int64_t epoch = step / t->order.steps_per_epoch;
    if (step == 0 || t->state.validated == step)
        return false;
    if (step == t->total_steps || step == t->ended_at)
        return true;
    return step % t->order.steps_per_epoch == 0 && c->validate.every_epochs > 0 && epoch % c->validate.every_epochs == 0;
}

lk_training_buffers lk_training_live(lk_training *t)
{
    lk_training_buffers b = {
        .layout = t->task->weights, .values = t->task->weights->values, .buffer_count = t->optimizer.buffer_count};
    for (int i = 0; i < b.buffer_count; i++)
        b.buffers[i] = t->optimizer.buffers[i];
    return b;
}

static lk_augment augmentation(const lk_config *config)
{
    return (lk_augment){.flip = config->data.augment.flip,
                        .colour = config->data.augment.colour,
                        .blur = config->data.augment.blur,
                        .noise = config->data.augment.noise,
                        .jpeg = config->data.augment.jpeg,
                        .occlude = config->data.augment.occlude,
                        .crop = config->data.augment.crop,
                        .warp = config->data.augment.warp};
}

static lk_status start_loader(lk_training *t)
{
    lk_loader_options options = {.batch_size = t->order.micro_batch,
                                 .threads = t->config->data.threads,
                                 .prefetch = t->config->data.prefetch,
                                 .block = t->config->data.block,
                                 .device = lk_tensor_device(),
                                 .first = t->state.step * t->order.accumulation,
                                 .order = lk_training_indices,
                                 .context = &t->order,
                                 .augment = augmentation(t->config),
                                 .seed = (uint64_t)t->config->run.seed,
                                 .epoch = lk_training_epoch};
    return lk_loader_start(t->train_set, &options, &t->loader);
}

/* Before the first step: nodes with their own copies of program, data and weights may have stale ones. */
static lk_status require_same(lk_training *t)
{
    const char *copy = "give every node the same";
    const lk_weights *frozen = t->task->frozen;
    const lk_same items[] = {
        {"data.train has another schema", lk_dataset_schema(t->train_set)->hash, LK_BAD_DATA, copy},
        {"data.train holds other faces", t->data_hashes[0], LK_BAD_DATA, copy},
        {"data.val holds other faces", t->data_hashes[1], LK_BAD_DATA, copy},
        {"model.decoder.weights is another decoder", frozen ? lk_weights_hash(frozen) : 0, LK_BAD_DATA, copy},
        {"the weights begin otherwise (model.init)", lk_weights_hash(t->task->weights), LK_BAD_DATA, copy},
    };
    return lk_require_same(t->group, items, sizeof items / sizeof *items);
}

/* ---- the whole ---- */

/* Rank 0 looks at the folder for all. */
static lk_status look_at_run(const lk_training *t, const char *resume, bool *finished)
{
    const char *folder = t->config->run.dir;
    bool begun = false;
    *finished = false;
    if (t->group->rank != 0)
        return LK_OK;
    if (strcmp(resume, "auto") == 0)
        return lk_run_is_done(folder, finished);
    if (strcmp(resume, "never") == 0)
        LK_TRY(lk_run_is_begun(folder, &begun));
    if (begun)
        return lk_fail(LK_BAD_CONFIG, "%s: holds a run already and --resume never was given; choose another run.dir", folder);
    return LK_OK;
}

/* Not before the run's folder is ours. */
static lk_status watch_collectives(lk_training *t)
{
    char folder[LK_PATH_SIZE];
    LK_TRY(lk_path_join(folder, t->config->run.dir, "collectives"));
    lk_watchdog_watch(t->dog, lk_buckets_reducer(t->buckets), folder);
    return LK_OK;
}

/* For everyone to go on together: a rank that is through with its part is not the one that the others wait for. */
static lk_status agree(lk_training *t, lk_status status)
{
    lk_watchdog_report(t->dog, 0, LK_PHASE_WAIT);
    status = lk_group_agree(t->group, status);
    lk_watchdog_report(t->dog, 0, LK_PHASE_START);
    return status;
}

/* Handlers and watchdog come before all that can hang or take long: the run's folder and shards may lie on a disk that is
 * away. */
lk_status lk_training_open(lk_training *t, const lk_config *config, lk_process_group *group, const char *resume, bool *finished)
{
    *t = (lk_training){.config = config, .group = group, .saved_at = lk_clock()};
    t->state.best = t->state.gained = INFINITY;
    double until = config->train.max_minutes > 0 ? lk_clock() + 60 * config->train.max_minutes : INFINITY;
    LK_TRY(lk_group_agree(group, lk_stop_install(&config->run.signals, until)));
    LK_TRY(lk_watchdog_start(group, config->stall.warn_s, config->stall.abort_s, config->stall.interface, &t->dog));
    lk_deadline_clear();
    lk_watchdog_report(t->dog, 0, LK_PHASE_START);
    LK_TRY(agree(t, look_at_run(t, resume, finished)));
    lk_group_broadcast(group, finished, sizeof *finished, 0);
    if (*finished)
        return LK_OK;
    t->placement = lk_place(config, group);
    LK_TRY(agree(t, lk_training_start_device(config, group, t->placement.threads, t->device)));
    LK_TRY(agree(t, open_data(t)));
    remove_stage(t);
    LK_TRY(agree(t, plan_steps(t)));
    LK_TRY(agree(t, open_task(t)));
    LK_TRY(agree(t, open_buckets(t)));
    LK_TRY(agree(t, open_optimizer(t)));
    LK_TRY(agree(t, require_same(t)));
    LK_TRY(agree(t, lk_resume_load(t, resume)));
    LK_TRY(agree(t, lk_resume_share(t)));
    LK_TRY(agree(t, lk_resume_take_over(t)));
    LK_TRY(agree(t, watch_collectives(t)));
    LK_TRY(agree(t, lk_save_start(t)));
    malloc_trim(0); /* what opening freed: double copies of weights, files; a step's blocks would leave much of it unused */
    return agree(t, start_loader(t));
}

void lk_training_close(lk_training *t)
{
    lk_watchdog_stop(t->dog);
    if (t->group->size > 1 && lk_deadline_set("while the ranks end", t->config->stall.abort_s) != LK_OK)
        lk_warn("%s", lk_error_text());
    lk_loader_stop(t->loader);
    lk_saver_stop(t->saver);
    lk_buckets_free(t->buckets);
    lk_tree_accumulator_free(t->tree);
    lk_optimizer_free(&t->optimizer);
    lk_sums_free(t->sums);
    if (t->task)
        t->task->free(t->task);
    lk_run_close(t->run);
    lk_dataset_close(t->train_set);
    lk_dataset_close(t->validation_set);
    free(t->config_yaml);
}
