#include "launch/command/inspect_checkpoint.h"

#include "base/file.h"
#include "base/hash.h"
#include "dataset/schema.h"
#include "trainer/record/checkpoint.h"
#include "trainer/model/safetensors.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static lk_status holds(const char *folder, const char *name, bool *held)
{
    char path[LK_PATH_SIZE];
    lk_path_kind kind;
    *held = false;
    LK_TRY(lk_path_join(path, folder, name));
    LK_TRY(lk_path_look(path, &kind));
    *held = kind != LK_ABSENT;
    return LK_OK;
}

static lk_status is_checkpoint(const char *path, bool *is)
{
    bool model;
    LK_TRY(holds(path, "state.json", is));
    LK_TRY(holds(path, "model.safetensors", &model));
    return *is || !model ? LK_OK : holds(path, "optimizer.safetensors", is);
}

lk_status lk_inspects_checkpoints(const char *path, bool *so)
{
    LK_TRY(is_checkpoint(path, so));
    return *so ? LK_OK : holds(path, "checkpoints", so);
}

static lk_status print_file(const char *folder, const char *name, uint64_t hash)
{
    char path[LK_PATH_SIZE], hex[LK_HEX_SIZE];
    lk_safetensors *file = NULL;
    LK_TRY(lk_path_join(path, folder, name));
    LK_TRY(lk_safetensors_open(path, &file));
    size_t count = lk_safetensors_count(file), bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += lk_safetensor_bytes(lk_safetensors_at(file, i));
    lk_safetensors_close(file);
    lk_hash_hex(hash, hex);
    printf("%s: %zu tensors, %zu numbers, hash %s\n", name, count, bytes / sizeof(float), hex);
    return LK_OK;
}

static lk_status print_schema(const char *text, const char *origin)
{
    lk_schema *schema = NULL;
    char hex[LK_HEX_SIZE];
    LK_TRY(lk_schema_parse(text, origin, &schema));
    lk_hash_hex(schema->hash, hex);
    printf("schema: %s (%d continuous, %d groups with %d choices), hash %s\n", schema->name, schema->continuous_count,
           schema->group_count, schema->choice_count, hex);
    lk_schema_free(schema);
    return LK_OK;
}

static lk_status print_checkpoint(const char *path, const lk_checkpoint_info *info, bool config)
{
    const lk_train_state *s = &info->state;
    printf("checkpoint: %s, whole\nstep: %" PRId64 " (%" PRId64 " updates, %" PRId64 " skipped), restarts: %" PRId64 "\n", path,
           s->step, s->updates, s->skipped, s->restarts);
    if (isfinite(s->best))
        printf("best validation: %.9g at step %" PRId64 ", %" PRId64 " validations without gain\n", s->best, s->best_step,
               s->epochs_without_gain);
    printf("written by: %s, %d rank%s, kernels %s\ndata: %" PRId64 " samples, seed %" PRId64 "\n",
           info->program ? info->program : "an older likeness", info->world, info->world == 1 ? "" : "s",
           info->kernels ? info->kernels : "torch", info->sample_count, info->seed);
    LK_TRY(print_schema(info->schema, path));
    LK_TRY(print_file(path, "model.safetensors", info->model_hash));
    LK_TRY(print_file(path, "optimizer.safetensors", info->optimizer_hash));
    if (config)
        printf("config:\n%s", info->config);
    return LK_OK;
}

static lk_status inspect_one(const char *path, bool config)
{
    lk_checkpoint_info info;
    LK_TRY(lk_checkpoint_verify(path, &info));
    lk_status status = print_checkpoint(path, &info, config);
    lk_checkpoint_info_free(&info);
    return status;
}

/* One line each; goes on after a damaged one and fails at the end. */
static lk_status list_checkpoints(const char *run)
{
    int64_t *steps = NULL;
    size_t count = 0, damaged = 0;
    LK_TRY(lk_checkpoint_list(run, &steps, &count));
    lk_status status = count > 0 ? LK_OK : lk_fail(LK_BAD_DATA, "%s: has no checkpoint yet", run);
    for (size_t i = 0; status == LK_OK && i < count; i++) {
        char path[LK_PATH_SIZE];
        lk_checkpoint_info info;
        LK_TRY_OR(done, lk_checkpoint_path(run, steps[i], path));
        status = lk_checkpoint_verify(path, &info);
        if (status != LK_OK && status != LK_BAD_DATA)
            goto done;
        if (status == LK_BAD_DATA) {
            status = LK_OK;
            printf("%s: damaged: %s\n", path, lk_error_text());
            damaged++;
            continue;
        }
        printf("%s: whole, by %d rank%s, restarts %" PRId64 "\n", path, info.world, info.world == 1 ? "" : "s",
               info.state.restarts);
        lk_checkpoint_info_free(&info);
    }
    if (damaged > 0)
        status = lk_fail(LK_BAD_DATA, "%s: %zu of %zu checkpoints are damaged", run, damaged, count);
done:
    free(steps);
    return status;
}

lk_status lk_inspect_checkpoints(const char *path, bool config)
{
    bool one;
    LK_TRY(is_checkpoint(path, &one));
    return one ? inspect_one(path, config) : list_checkpoints(path);
}
