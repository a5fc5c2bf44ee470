#include "trainer/record/find_model.h"

#include "trainer/record/checkpoint.h"
#include "trainer/record/run.h"

#include <stdio.h>
#include <stdlib.h>

static lk_status take_checkpoint(const char *path, lk_checkpoint_info *info, lk_found_model *out)
{
    out->schema = info->schema;
    out->step = info->state.step;
    info->schema = NULL;
    lk_checkpoint_info_free(info);
    return lk_path_join(out->path, path, "model.safetensors");
}

/* config.yaml in `folder`, if it is there. */
static lk_status find_config(const char *folder, lk_found_model *out)
{
    lk_path_kind kind;
    LK_TRY(lk_path_join(out->config, folder, "config.yaml"));
    LK_TRY(lk_path_look(out->config, &kind));
    if (kind == LK_ABSENT)
        out->config[0] = '\0';
    return LK_OK;
}

lk_status lk_find_model(const char *path, lk_found_model *out)
{
    char found[LK_PATH_SIZE];
    lk_checkpoint_info info = {0};
    lk_path_kind kind;
    bool done;
    *out = (lk_found_model){.step = -1};
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA, "%s: there is no such file; give a run, a checkpoint or a .safetensors file", path);
    if (kind != LK_FOLDER) {
        if (snprintf(out->path, sizeof out->path, "%s", path) >= LK_PATH_SIZE)
            return lk_fail(LK_USAGE, "%.80s...: the path is too long", path);
        return LK_OK;
    }
    LK_TRY(lk_path_join(found, path, "state.json"));
    LK_TRY(lk_path_look(found, &kind));
    if (kind != LK_ABSENT) {
        LK_TRY(lk_checkpoint_verify(path, &info));
        LK_TRY(take_checkpoint(path, &info, out));
        LK_TRY(lk_path_join(found, path, "../..")); /* RUN/checkpoints/step-N, also by way of the link `best` */
        return find_config(found, out);
    }
    LK_TRY(find_config(path, out));
    LK_TRY(lk_run_is_done(path, &done));
    if (done)
        return lk_path_join(out->path, path, "model.safetensors");
    LK_TRY(lk_checkpoint_find(path, found, &info));
    if (found[0])
        return take_checkpoint(found, &info, out);
    LK_TRY(lk_path_join(out->path, path, "model.safetensors"));
    LK_TRY(lk_path_look(out->path, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA, "%s: is neither a checkpoint nor a run that has one", path);
    return LK_OK;
}

void lk_found_model_free(lk_found_model *model)
{
    free(model->schema);
    model->schema = NULL;
}
