#include "trainer/resume.h"

#include "base/log.h"
#include "trainer/record/retention.h"

#include <inttypes.h>
#include <string.h>

static lk_status check_same_run(const lk_training *t, const char *path, const lk_checkpoint_info *info)
{
    lk_config *saved = NULL;
    LK_TRY(lk_config_parse(info->config, path, &saved));
    lk_status status = lk_config_compare(saved, t->config);
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

lk_status lk_resume_load(lk_training *t, const char *resume)
{
    char path[LK_PATH_SIZE] = "";
    lk_checkpoint_info info = {0};
    if (t->group->rank != 0)
        return LK_OK;
    if (strcmp(resume, "auto") == 0) {
        LK_TRY(lk_checkpoint_find(t->config->run.dir, path, &info));
    } else if (strcmp(resume, "never") != 0) {
        snprintf(path, sizeof path, "%s", resume);
        LK_TRY(lk_checkpoint_verify(path, &info));
    }
    if (!path[0])
        return strcmp(resume, "auto") == 0 ? lk_retention_require_unbegun(t->config->run.dir) : LK_OK;
    t->resumed = true;
    lk_training_buffers live = lk_training_live(t);
    lk_status status = check_same_run(t, path, &info);
    if (status == LK_OK)
        status = take_kernels(t, path, &info);
    if (status == LK_OK)
        status = lk_checkpoint_load(path, &live);
    if (status == LK_OK) {
        t->state = info.state;
        t->state.restarts++;
        lk_info("resumed from %s (written by %d rank%s), restart %" PRId64, path, info.world, info.world == 1 ? "" : "s",
                t->state.restarts);
    }
    lk_checkpoint_info_free(&info);
    return status;
}

lk_status lk_resume_take_over(lk_training *t)
{
    return lk_run_open(t->config, t->group->rank == 0, t->resumed, t->state.step, lk_training_validation_due(t), &t->run);
}

void lk_resume_share(lk_training *t)
{
    lk_weights *w = t->task->weights;
    lk_group_broadcast(t->group, &t->state, sizeof t->state, 0);
    lk_group_broadcast(t->group, &w->own_kernels, sizeof w->own_kernels, 0);
    lk_group_broadcast(t->group, w->values, w->total * sizeof(float), 0);
    for (int i = 0; i < t->optimizer.buffer_count; i++)
        lk_group_broadcast(t->group, t->optimizer.buffers[i], w->total * sizeof(float), 0);
    t->optimizer.step = t->state.updates;
    lk_weights_refresh(w);
}
