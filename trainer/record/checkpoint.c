#include "trainer/record/checkpoint.h"

#include "base/hash.h"
#include "base/log.h"
#include "trainer/model/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LIMIT = 4 << 20 };

static const char *const one_buffer[] = {"momentum"};
static const char *const two_buffers[] = {"mean", "square"};

static const char *buffer_name(int count, int i)
{
    return count == 1 ? one_buffer[i] : two_buffers[i];
}

/* ---- names ---- */

lk_status lk_checkpoint_path(const char *run, int64_t step, char out[LK_PATH_SIZE])
{
    char name[64];
    snprintf(name, sizeof name, "checkpoints/step-%09" PRId64, step);
    return lk_path_join(out, run, name);
}

bool lk_checkpoint_step_of(const char *name, int64_t *step)
{
    char canonical[64], *end;
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9')
        return false;
    errno = 0;
    long long value = strtoll(name + 5, &end, 10);
    snprintf(canonical, sizeof canonical, "step-%09lld", value);
    if (errno != 0 || *end || strcmp(name, canonical) != 0)
        return false;
    *step = value;
    return true;
}

static int compare_steps(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

lk_status lk_checkpoint_list(const char *run, int64_t **steps, size_t *count)
{
    char folder[LK_PATH_SIZE];
    lk_names names;
    *steps = NULL;
    *count = 0;
    LK_TRY(lk_path_join(folder, run, "checkpoints"));
    lk_path_kind kind;
    LK_TRY(lk_path_look(folder, &kind));
    if (kind != LK_FOLDER)
        return LK_OK;
    LK_TRY(lk_list_folder(folder, "", &names));
    int64_t *found = calloc(names.count + 1, sizeof *found);
    lk_status status = found ? LK_OK : lk_fail(LK_INTERNAL, "out of memory listing %s", folder);
    for (size_t i = 0; status == LK_OK && i < names.count; i++) {
        char path[LK_PATH_SIZE];
        if (!lk_checkpoint_step_of(names.names[i], &found[*count]))
            continue;
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK)
            status = lk_path_look(path, &kind);
        *count += status == LK_OK && kind == LK_FOLDER;
    }
    lk_names_free(&names);
    if (status != LK_OK) {
        free(found);
        *count = 0;
        return status;
    }
    qsort(found, *count, sizeof *found, compare_steps);
    *steps = found;
    return LK_OK;
}

lk_status lk_checkpoint_remove(const char *run, int64_t step)
{
    char path[LK_PATH_SIZE], away[LK_PATH_SIZE];
    LK_TRY(lk_checkpoint_path(run, step, path));
    LK_TRY(lk_temporary_name(path, away));
    if (rename(path, away) != 0)
        return lk_fail_io("remove the checkpoint", path, errno, 0);
    return lk_remove_tree(away);
}

/* ---- writing ---- */

static lk_status write_tensors(const char *folder, const char *name, const lk_weights *layout, int buffer_count,
                               float *const *buffers, const char *const *prefixes, uint64_t *hash)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, name));
    size_t count = (size_t)layout->count * (size_t)buffer_count;
    lk_safetensor *tensors = calloc(count + 1, sizeof *tensors);
    char(*names)[LK_SAFETENSOR_NAME_SIZE] = calloc(count + 1, sizeof *names);
    float *scratch = malloc((lk_weights_largest(layout) + 1) * sizeof *scratch);
    lk_status status = tensors && names && scratch ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", path);
    for (size_t k = 0; status == LK_OK && k < count; k++) {
        const lk_weight *w = &layout->items[k % (size_t)layout->count];
        size_t b = k / (size_t)layout->count;
        snprintf(names[k], sizeof *names, "%s%s%s", prefixes ? prefixes[b] : "", prefixes ? "." : "", w->name);
        lk_weight_to_file_order(w, buffers[b] + w->offset, scratch);
        tensors[k] = (lk_safetensor){.name = names[k], .dtype = LK_DTYPE_F32, .dims = w->dims, .data = buffers[b] + w->offset};
        memcpy(tensors[k].shape, w->sizes, sizeof w->sizes);
    }
    if (status == LK_OK)
        status = lk_safetensors_write(path, tensors, count, NULL, 0, hash);
    free(scratch);
    free(names);
    free(tensors);
    return status;
}

static lk_status folder_bytes(const char *folder, int64_t *bytes)
{
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors", "state.json"};
    *bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[LK_PATH_SIZE];
        int fd;
        int64_t size;
        LK_TRY(lk_path_join(path, folder, names[i]));
        LK_TRY(lk_open_file(path, &fd, &size));
        close(fd);
        *bytes += size;
    }
    return LK_OK;
}

lk_status lk_checkpoint_write(const char *folder, lk_training_buffers *b, const lk_train_state *state,
                              const lk_checkpoint_texts *texts, int64_t *bytes)
{
    uint64_t model = 0;
    uint64_t optimizer = 0;
    const char *const *prefixes = b->buffer_count == 1 ? one_buffer : two_buffers;
    LK_TRY(lk_remove_tree(folder));
    lk_status status = lk_make_folder(folder);
    if (status == LK_OK)
        status = write_tensors(folder, "model.safetensors", b->layout, 1, &b->values, NULL, &model);
    if (status == LK_OK)
        status = write_tensors(folder, "optimizer.safetensors", b->layout, b->buffer_count, b->buffers, prefixes, &optimizer);
    if (status == LK_OK)
        status = lk_checkpoint_write_state(folder, state, texts, model, optimizer);
    if (status == LK_OK)
        status = lk_sync_folder(folder);
    if (status == LK_OK)
        status = folder_bytes(folder, bytes);
    if (status == LK_OK)
        return LK_OK;
    lk_error error;
    lk_error_take(&error, status);
    lk_remove_tree(folder);
    return lk_error_put(&error);
}

/* ---- reading ---- */

static lk_status verify_file(const char *folder, const char *name, uint64_t expected)
{
    char path[LK_PATH_SIZE];
    lk_safetensors *file = NULL;
    uint64_t hash = 0;
    LK_TRY(lk_path_join(path, folder, name));
    LK_TRY(lk_safetensors_open(path, &file));
    lk_status status = lk_safetensors_hash(file, &hash);
    lk_safetensors_close(file);
    LK_TRY(status);
    if (hash != expected)
        return lk_fail(LK_BAD_DATA, "%s: does not match the hash in state.json; the file is damaged", path);
    return LK_OK;
}

lk_status lk_checkpoint_verify(const char *folder, lk_checkpoint_info *out)
{
    char path[LK_PATH_SIZE];
    char *text = NULL;
    size_t size = 0;
    *out = (lk_checkpoint_info){0};
    LK_TRY(lk_path_join(path, folder, "state.json"));
    LK_TRY(lk_read_file(path, STATE_LIMIT, &text, &size));
    lk_status status = lk_checkpoint_parse_state(text, size, path, out);
    free(text);
    LK_TRY(status);
    status = verify_file(folder, "model.safetensors", out->model_hash);
    if (status == LK_OK)
        status = verify_file(folder, "optimizer.safetensors", out->optimizer_hash);
    if (status != LK_OK)
        lk_checkpoint_info_free(out);
    return status;
}

static lk_status load_tensor(const lk_safetensors *file, const char *name, const lk_weight *w, float *scratch, float *out)
{
    const lk_safetensor *t = lk_safetensors_find(file, name);
    bool fits = t && t->dtype == LK_DTYPE_F32 && t->dims == w->dims;
    for (int i = 0; fits && i < w->dims; i++)
        fits = t->shape[i] == w->sizes[i];
    if (!fits)
        return lk_fail(LK_BAD_DATA, "%s: the tensor %s is missing or of another shape; the checkpoint is of another model",
                       lk_safetensors_path(file), name);
    LK_TRY(lk_safetensors_read(file, t, out));
    lk_weight_from_file_order(w, out, scratch);
    return LK_OK;
}

static lk_status load_buffer(const lk_safetensors *file, const lk_weights *layout, const char *prefix, float *scratch, float *out)
{
    for (int i = 0; i < layout->count; i++) {
        char name[LK_SAFETENSOR_NAME_SIZE];
        const lk_weight *w = &layout->items[i];
        snprintf(name, sizeof name, "%s%s%s", prefix ? prefix : "", prefix ? "." : "", w->name);
        LK_TRY(load_tensor(file, name, w, scratch, out + w->offset));
    }
    return LK_OK;
}

lk_status lk_checkpoint_load(const char *folder, lk_training_buffers *b)
{
    char path[LK_PATH_SIZE];
    lk_safetensors *file = NULL;
    float *scratch = malloc((lk_weights_largest(b->layout) + 1) * sizeof *scratch);
    lk_status status = scratch ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    LK_TRY_OR(done, status);
    LK_TRY_OR(done, lk_path_join(path, folder, "model.safetensors"));
    LK_TRY_OR(done, lk_safetensors_open(path, &file));
    LK_TRY_OR(done, load_buffer(file, b->layout, NULL, scratch, b->values));
    lk_safetensors_close(file);
    file = NULL;
    LK_TRY_OR(done, lk_path_join(path, folder, "optimizer.safetensors"));
    LK_TRY_OR(done, lk_safetensors_open(path, &file));
    for (int i = 0; i < b->buffer_count; i++)
        LK_TRY_OR(done, load_buffer(file, b->layout, buffer_name(b->buffer_count, i), scratch, b->buffers[i]));
done:
    lk_safetensors_close(file);
    free(scratch);
    return status;
}

lk_status lk_checkpoint_find(const char *run, char out[LK_PATH_SIZE], lk_checkpoint_info *info)
{
    int64_t *steps = NULL;
    size_t count = 0;
    out[0] = '\0';
    LK_TRY(lk_checkpoint_list(run, &steps, &count));
    lk_status status = LK_OK;
    while (count > 0) {
        LK_TRY_OR(done, lk_checkpoint_path(run, steps[--count], out));
        status = lk_checkpoint_verify(out, info);
        if (status != LK_BAD_DATA || info->later_format)
            break; /* whole; or it cannot be read just now or by this program, which says nothing about it */
        status = LK_OK;
        lk_warn("skipped a damaged checkpoint: %s", lk_error_text());
        out[0] = '\0';
    }
done:
    free(steps);
    return status;
}
