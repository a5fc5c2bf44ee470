#include "trainer/resume.h"

#include "base/log.h"
#include "trainer/record/retention.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static lk_status check_same_run(lk_training *t, const char *path, const lk_checkpoint_info *info)
{
    lk_config *saved = NULL;
    LK_TRY(lk_config_parse(info->config, path, &saved));
    lk_status status = lk_config_compare(saved, t->config);
    if (lk_training_length(saved, &t->order) == info->state.step)
        t->ended_at = info->state.step;
    lk_config_free(saved);
    if (status != LK_OK)
        return lk_fail_in(status, "%s cannot be resumed", path);
    if (strcmp(info->schema, lk_dataset_schema(t->train_set)->text) != 0)
        return lk_fail(LK_BAD_DATA, "%s: was trained on data of another schema than %s", path,
                       t->config->data.train.paths.items[0]);
    if (info->sample_count != lk_dataset_count(t->train_set))
        return lk_fail(LK_BAD_DATA, "%s: was trained on %" PRId64 " samples, %s now has %" PRId64, path, info->sample_count,
                       t->config->data.train.paths.items[0], lk_dataset_count(t->train_set));
    for (int i = 0; info->has_data_hashes && i < 2; i++)
        if (info->data_hashes[i] != t->data_hashes[i])
            return lk_fail(
                LK_BAD_DATA,
                "%s: %s now holds other faces than the run was trained with; bring them back, or start another run.dir", path,
                i == 0 ? t->config->data.train.paths.items[0] : t->config->data.val.items[0]);
    return LK_OK;
}

/* With auto a run goes on as it was computed so far: checkpoints from before our kernels, and those of kernels: torch, with
 * libtorch's. */
static lk_status take_kernels(const lk_training *t, const char *path, const lk_checkpoint_info *info)
{
    lk_weights *w = t->task->weights;
    const char *before = info->kernels ? info->kernels : "torch";
    if (t->config->train.kernels == LK_KERNELS_AUTO && strcmp(before, "torch") == 0)
        w->own_kernels = false;
    if (strcmp(before, lk_weights_kernels(w)) == 0)
        return LK_OK;
    if (t->config->train.reproducible)
        return lk_fail(LK_BAD_CONFIG,
                       "%s: was computed with kernels %s, this would go on with %s and other digits, against "
                       "train.reproducible; resume with the program that began (%s)",
                       path, before, lk_weights_kernels(w), info->program ? info->program : "an older likeness");
    lk_warn("%s was computed with kernels %s and goes on with %s: the last digits change", path, before, lk_weights_kernels(w));
    return LK_OK;
}

/* By way of the host's memory, which is zero between the weights as the device's is. */
static lk_status load_buffers(lk_training *t, const char *path)
{
    lk_training_buffers live = lk_training_live(t), host = live;
    size_t total = live.layout->total;
    bool good = (host.values = calloc(total, sizeof(float))) != NULL;
    for (int b = 0; b < live.buffer_count; b++)
        good = (host.buffers[b] = calloc(total, sizeof(float))) != NULL && good;
    lk_status status = good ? lk_checkpoint_load(path, &host) : lk_fail(LK_INTERNAL, "%s: out of memory", path);
    if (status == LK_OK)
        status = lk_device_from_host(live.layout->device, live.values, host.values, total * sizeof(float));
    for (int b = 0; status == LK_OK && b < live.buffer_count; b++)
        status = lk_device_from_host(live.layout->device, live.buffers[b], host.buffers[b], total * sizeof(float));
    free(host.values);
    for (int b = 0; b < live.buffer_count; b++)
        free(host.buffers[b]);
    return status;
}

/* A run, its folder of checkpoints or a file of one are near, and none. */
static lk_status require_checkpoint(const char *path)
{
    char state[LK_PATH_SIZE];
    lk_path_kind kind;
    LK_TRY(lk_path_join(state, path, "state.json"));
    LK_TRY(lk_path_look(state, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA,
                       "--resume %s: there is no state.json in it, so it is no checkpoint; name one, as "
                       "RUN/checkpoints/step-000000100",
                       path);
    return LK_OK;
}

/* One of that step that stands in the run's folder may be another, a damaged one, say, whose copy is resumed from. */
static lk_status note_whose(lk_training *t, const char *path)
{
    char own[LK_PATH_SIZE];
    LK_TRY(lk_checkpoint_path(t->config->run.dir, t->state.step, own));
    return lk_path_same(own, path, &t->own_checkpoint);
}

lk_status lk_resume_load(lk_training *t, const char *resume)
{
    char path[LK_PATH_SIZE] = "";
    lk_checkpoint_info info = {0};
    if (t->group->rank != 0)
        return LK_OK;
    if (strcmp(resume, "auto") == 0) {
        LK_TRY(lk_checkpoint_find(t->config->run.dir, path, &info));
    } else if (strcmp(resume, "never") != 0) {
        LK_TRY(require_checkpoint(resume));
        snprintf(path, sizeof path, "%s", resume);
        LK_TRY(lk_checkpoint_verify(path, &info));
    }
    if (!path[0])
        return strcmp(resume, "auto") == 0 ? lk_retention_require_unbegun(t->config->run.dir) : LK_OK;
    t->resumed = true;
    lk_status status = check_same_run(t, path, &info);
    if (status == LK_OK)
        status = take_kernels(t, path, &info);
    if (status == LK_OK)
        status = load_buffers(t, path);
    if (status == LK_OK) {
        t->state = info.state;
        t->state.restarts++;
        status = note_whose(t, path);
    }
    if (status == LK_OK)
        lk_info("resumed from %s (written by %d rank%s), restart %" PRId64, path, info.world, info.world == 1 ? "" : "s",
                t->state.restarts);
    lk_checkpoint_info_free(&info);
    return status;
}

lk_status lk_resume_take_over(lk_training *t)
{
    return lk_run_open(t->config, t->group->rank == 0, t->resumed, t->state.step, lk_training_validation_due(t), &t->run);
}

/* Rank 0's numbers to everyone's device. */
static lk_status share(lk_training *t, float *numbers)
{
    lk_device *device = t->task->weights->device;
    size_t bytes = t->task->weights->total * sizeof *numbers;
    void *host = malloc(bytes);
    if (!host)
        lk_group_abort(t->group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    lk_status status = t->group->rank == 0 ? lk_device_to_host(device, host, numbers, bytes) : LK_OK;
    lk_group_broadcast(t->group, host, bytes, 0);
    if (status == LK_OK && t->group->rank != 0)
        status = lk_device_from_host(device, numbers, host, bytes);
    free(host);
    return status;
}

lk_status lk_resume_share(lk_training *t)
{
    lk_status status = LK_OK;
    lk_weights *w = t->task->weights;
    lk_group_broadcast(t->group, &t->state, sizeof t->state, 0);
    lk_group_broadcast(t->group, &t->ended_at, sizeof t->ended_at, 0);
    lk_group_broadcast(t->group, &w->own_kernels, sizeof w->own_kernels, 0);
    lk_training_buffers live = lk_training_live(t);
    for (int i = -1; t->group->size > 1 && i < live.buffer_count; i++) {
        lk_status shared = share(t, i < 0 ? live.values : live.buffers[i]);
        status = status == LK_OK ? shared : status;
    }
    if (t->task->frozen)
        t->task->frozen->own_kernels = w->own_kernels;
    t->optimizer.step = t->state.updates;
    lk_weights_refresh(w);
    lk_status asked = lk_tensor_check();
    return status == LK_OK ? asked : status;
}
