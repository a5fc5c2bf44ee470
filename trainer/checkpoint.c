#include "trainer/checkpoint.h"

#include "base/hash.h"
#include "base/log.h"
#include "trainer/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* How state.json ends; %s is the hash of the bytes before. */
#define STATE_TAIL ",\n \"state_hash\": \"%s\"\n}\n"

enum { FORMAT = 1, STATE_LIMIT = 4 << 20, TAIL_SIZE = sizeof STATE_TAIL - sizeof "%s" + LK_HEX_SIZE - 1 };

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
    if (!lk_is_folder(folder))
        return LK_OK;
    LK_TRY(lk_list_folder(folder, "", &names));
    int64_t *found = calloc(names.count + 1, sizeof *found);
    for (size_t i = 0; found && i < names.count; i++) {
        int64_t step = 0;
        int used = 0;
        if (sscanf(names.names[i], "step-%9" SCNd64 "%n", &step, &used) == 1 && names.names[i][used] == '\0')
            found[(*count)++] = step;
    }
    lk_names_free(&names);
    if (!found)
        return lk_fail(LK_INTERNAL, "out of memory listing %s", folder);
    qsort(found, *count, sizeof *found, compare_steps);
    *steps = found;
    return LK_OK;
}

lk_status lk_checkpoint_remove(const char *run, int64_t step)
{
    char path[LK_PATH_SIZE], away[LK_PATH_SIZE + 8];
    LK_TRY(lk_checkpoint_path(run, step, path));
    snprintf(away, sizeof away, "%s.tmp", path);
    LK_TRY(lk_remove_tree(away));
    if (rename(path, away) != 0)
        return lk_fail_io("remove the checkpoint", path, errno, 0);
    return lk_remove_tree(away);
}

/* ---- writing ---- */

static json_t *state_object(const lk_train_state *s, const lk_checkpoint_texts *texts, const char *model, const char *optimizer)
{
    json_t *root = json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "format", FORMAT, "step", (json_int_t)s->step, "updates",
                             (json_int_t)s->updates, "best_step", (json_int_t)s->best_step, "epochs_without_gain",
                             (json_int_t)s->epochs_without_gain, "skipped", (json_int_t)s->skipped, "restarts",
                             (json_int_t)s->restarts);
    if (!root)
        return NULL;
    /* JSON has no infinity: no validation yet is null. */
    json_object_set_new(root, "best", isfinite(s->best) ? json_real(s->best) : json_null());
    json_object_set_new(root, "sampler",
                        json_pack("{s:I, s:I}", "seed", (json_int_t)texts->seed, "count", (json_int_t)texts->sample_count));
    json_object_set_new(root, "world", json_integer(texts->world));
    json_object_set_new(root, "model_hash", json_string(model));
    json_object_set_new(root, "optimizer_hash", json_string(optimizer));
    json_object_set_new(root, "schema", json_string(texts->schema));
    json_object_set_new(root, "config", json_string(texts->config));
    return root;
}

/* state.json ends with a hash of its own bytes: a flipped digit in it would otherwise read as another state. */
static lk_status write_state(const char *folder, const lk_train_state *state, const lk_checkpoint_texts *texts, uint64_t model,
                             uint64_t optimizer)
{
    char path[LK_PATH_SIZE], hashes[2][LK_HEX_SIZE], own[LK_HEX_SIZE];
    LK_TRY(lk_path_join(path, folder, "state.json"));
    lk_hash_hex(model, hashes[0]);
    lk_hash_hex(optimizer, hashes[1]);
    json_t *root = state_object(state, texts, hashes[0], hashes[1]);
    char *body = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(17)) : NULL;
    json_decref(root);
    if (!body)
        return lk_fail(LK_INTERNAL, "%s: cannot write the state as JSON", path);
    size_t length = strlen(body) - 2; /* without "\n}" */
    lk_hash_hex(lk_hash(body, length), own);
    lk_atomic_file file;
    lk_status status = lk_atomic_open(&file, path);
    if (status == LK_OK) {
        fprintf(file.stream, "%.*s" STATE_TAIL, (int)length, body, own);
        status = lk_atomic_commit(&file);
    }
    free(body);
    return status;
}

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

static int64_t folder_bytes(const char *folder)
{
    static const char *const names[] = {"model.safetensors", "optimizer.safetensors", "state.json"};
    int64_t bytes = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[LK_PATH_SIZE];
        struct stat info;
        if (lk_path_join(path, folder, names[i]) == LK_OK && stat(path, &info) == 0)
            bytes += info.st_size;
    }
    return bytes;
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
        status = write_state(folder, state, texts, model, optimizer);
    if (status == LK_OK)
        status = lk_sync_folder(folder);
    if (status == LK_OK) {
        *bytes = folder_bytes(folder);
        return LK_OK;
    }
    lk_error error;
    lk_error_take(&error, status);
    lk_remove_tree(folder);
    return lk_error_put(&error);
}

/* ---- reading ---- */

static lk_status parse_hash(const json_t *root, const char *key, const char *origin, uint64_t *out)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (!text || strlen(text) != LK_HEX_SIZE - 1 || strspn(text, "0123456789abcdef") != LK_HEX_SIZE - 1)
        return lk_fail(LK_BAD_DATA, "%s: %s is not a hash of 16 hex digits", origin, key);
    *out = strtoull(text, NULL, 16);
    return LK_OK;
}

/* The end of the file is the hash of what is before, and nothing else: not one byte may differ or be missing. */
static lk_status check_own_hash(const char *text, size_t size, const char *origin)
{
    char hex[LK_HEX_SIZE], expected[TAIL_SIZE + 1];
    size_t body = size > TAIL_SIZE ? size - TAIL_SIZE : 0;
    lk_hash_hex(lk_hash(text, body), hex);
    snprintf(expected, sizeof expected, STATE_TAIL, hex);
    if (body == 0 || memcmp(text + body, expected, TAIL_SIZE) != 0)
        return lk_fail(LK_BAD_DATA, "%s: does not match its own hash; the file is damaged", origin);
    return LK_OK;
}

static lk_status read_counts(const json_t *root, const char *origin, lk_checkpoint_info *out)
{
    lk_train_state *s = &out->state;
    const json_t *sampler = json_object_get(root, "sampler");
    const struct {
        const json_t *object;
        const char *key;
        int64_t *value;
        int64_t least;
    } counts[] = {{root, "step", &s->step, 0},
                  {root, "updates", &s->updates, 0},
                  {root, "best_step", &s->best_step, 0},
                  {root, "epochs_without_gain", &s->epochs_without_gain, 0},
                  {root, "skipped", &s->skipped, 0},
                  {root, "restarts", &s->restarts, 0},
                  {sampler, "seed", &out->seed, 0},
                  {sampler, "count", &out->sample_count, 1}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const json_t *value = json_object_get(counts[i].object, counts[i].key);
        if (!json_is_integer(value) || json_integer_value(value) < counts[i].least)
            return lk_fail(LK_BAD_DATA, "%s: %s is missing or not a whole number of %" PRId64 " or more", origin, counts[i].key,
                           counts[i].least);
        *counts[i].value = json_integer_value(value);
    }
    const json_t *world = json_object_get(root, "world");
    const json_t *best = json_object_get(root, "best");
    if (!json_is_integer(world) || json_integer_value(world) < 1 || json_integer_value(world) > INT32_MAX)
        return lk_fail(LK_BAD_DATA, "%s: world is not a number of ranks", origin);
    if (!json_is_null(best) && !json_is_number(best))
        return lk_fail(LK_BAD_DATA, "%s: best is neither a number nor null", origin);
    out->world = (int)json_integer_value(world);
    s->best = json_is_null(best) ? INFINITY : json_number_value(best);
    return LK_OK;
}

static lk_status copy_text(const json_t *root, const char *key, const char *origin, char **out)
{
    const char *text = json_string_value(json_object_get(root, key));
    if (!text)
        return lk_fail(LK_BAD_DATA, "%s: %s is missing or not a text", origin, key);
    *out = strdup(text);
    return *out ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", origin);
}

static lk_status read_state(const json_t *root, const char *text, size_t size, const char *origin, lk_checkpoint_info *out)
{
    if (json_integer_value(json_object_get(root, "format")) != FORMAT)
        return lk_fail(LK_BAD_DATA, "%s: is not a checkpoint of format %d", origin, FORMAT);
    LK_TRY(check_own_hash(text, size, origin));
    LK_TRY(read_counts(root, origin, out));
    LK_TRY(parse_hash(root, "model_hash", origin, &out->model_hash));
    LK_TRY(parse_hash(root, "optimizer_hash", origin, &out->optimizer_hash));
    LK_TRY(copy_text(root, "schema", origin, &out->schema));
    return copy_text(root, "config", origin, &out->config);
}

lk_status lk_checkpoint_parse_state(const char *text, size_t size, const char *origin, lk_checkpoint_info *out)
{
    *out = (lk_checkpoint_info){0};
    json_error_t reason;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &reason);
    if (!root)
        return lk_fail(LK_BAD_DATA, "%s:%d: is not JSON: %s", origin, reason.line, reason.text);
    lk_status status = read_state(root, text, size, origin, out);
    json_decref(root);
    if (status != LK_OK)
        lk_checkpoint_info_free(out);
    return status;
}

void lk_checkpoint_info_free(lk_checkpoint_info *info)
{
    free(info->config);
    free(info->schema);
    *info = (lk_checkpoint_info){0};
}

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
        if (status != LK_BAD_DATA)
            break; /* whole; or it cannot be read just now, which says nothing about it */
        status = LK_OK;
        lk_warn("skipped a damaged checkpoint: %s", lk_error_text());
        out[0] = '\0';
    }
done:
    free(steps);
    return status;
}
