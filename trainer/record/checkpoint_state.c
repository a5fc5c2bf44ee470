/* state.json of a checkpoint: what a training knows besides weights and optimizer. Declared in checkpoint.h. */
#include "base/hash.h"
#include "base/version.h"
#include "trainer/record/checkpoint.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* How state.json ends; %s is the hash of the bytes before. */
#define STATE_TAIL ",\n \"state_hash\": \"%s\"\n}\n"

enum { FORMAT = 1, TAIL_SIZE = sizeof STATE_TAIL - sizeof "%s" + LK_HEX_SIZE - 1 };

/* ---- writing ---- */

static json_t *state_object(const lk_train_state *s, const lk_checkpoint_texts *texts, const char *model, const char *optimizer)
{
    json_t *root =
        json_pack("{s:i, s:I, s:I, s:I, s:I, s:I, s:I}", "format", FORMAT, "step", (json_int_t)s->step, "updates",
                  (json_int_t)s->updates, "best_step", (json_int_t)s->best_step, "epochs_without_gain",
                  (json_int_t)s->epochs_without_gain, "skipped", (json_int_t)s->skipped, "restarts", (json_int_t)s->restarts);
    if (!root)
        return NULL;
    /* JSON has no infinity: no validation yet is null. */
    json_object_set_new(root, "best", isfinite(s->best) ? json_real(s->best) : json_null());
    json_object_set_new(root, "gained", isfinite(s->gained) ? json_real(s->gained) : json_null());
    json_object_set_new(root, "validated", json_integer(s->validated));
    json_object_set_new(root, "sampler",
                        json_pack("{s:I, s:I}", "seed", (json_int_t)texts->seed, "count", (json_int_t)texts->sample_count));
    char hex[2][LK_HEX_SIZE];
    lk_hash_hex(texts->data_hashes[0], hex[0]);
    lk_hash_hex(texts->data_hashes[1], hex[1]);
    json_object_set_new(root, "data", json_pack("{s:s, s:s}", "train", hex[0], "val", hex[1]));
    json_object_set_new(root, "program", json_string(lk_program()));
    json_object_set_new(root, "world", json_integer(texts->world));
    json_object_set_new(root, "kernels", json_string(texts->kernels));
    json_object_set_new(root, "model_hash", json_string(model));
    json_object_set_new(root, "optimizer_hash", json_string(optimizer));
    json_object_set_new(root, "schema", json_string(texts->schema));
    json_object_set_new(root, "config", json_string(texts->config));
    return root;
}

/* state.json ends with a hash of its own bytes: a flipped digit in it would otherwise read as another state. */
lk_status lk_checkpoint_write_state(const char *folder, const lk_train_state *state, const lk_checkpoint_texts *texts,
                                    uint64_t model, uint64_t optimizer)
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

/* Of a checkpoint from before these keys: it was written after the validation of its step, and best moved with every gain. */
static lk_status read_validation(const json_t *root, const char *origin, lk_train_state *s)
{
    const json_t *best = json_object_get(root, "best");
    const json_t *gained = json_object_get(root, "gained");
    const json_t *validated = json_object_get(root, "validated");
    if (!gained)
        gained = best;
    if ((!json_is_null(best) && !json_is_number(best)) || (!json_is_null(gained) && !json_is_number(gained)))
        return lk_fail(LK_BAD_DATA, "%s: best or gained is neither a number nor null", origin);
    if (validated && (!json_is_integer(validated) || json_integer_value(validated) < 0))
        return lk_fail(LK_BAD_DATA, "%s: validated is not a step", origin);
    s->best = json_is_null(best) ? INFINITY : json_number_value(best);
    s->gained = json_is_null(gained) ? INFINITY : json_number_value(gained);
    s->validated = validated ? json_integer_value(validated) : s->step;
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
    } counts[] = {{root, "step", &s->step, 0},           {root, "updates", &s->updates, 0},
                  {root, "best_step", &s->best_step, 0}, {root, "epochs_without_gain", &s->epochs_without_gain, 0},
                  {root, "skipped", &s->skipped, 0},     {root, "restarts", &s->restarts, 0},
                  {sampler, "seed", &out->seed, 0},      {sampler, "count", &out->sample_count, 1}};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const json_t *value = json_object_get(counts[i].object, counts[i].key);
        if (!json_is_integer(value) || json_integer_value(value) < counts[i].least)
            return lk_fail(LK_BAD_DATA, "%s: %s is missing or not a whole number of %" PRId64 " or more", origin, counts[i].key,
                           counts[i].least);
        *counts[i].value = json_integer_value(value);
    }
    const json_t *world = json_object_get(root, "world");
    if (!json_is_integer(world) || json_integer_value(world) < 1 || json_integer_value(world) > INT32_MAX)
        return lk_fail(LK_BAD_DATA, "%s: world is not a number of ranks", origin);
    out->world = (int)json_integer_value(world);
    return read_validation(root, origin, s);
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
    LK_TRY(check_own_hash(text, size, origin)); /* of every format: a flipped bit in the number would make it another one */
    json_int_t format = json_integer_value(json_object_get(root, "format"));
    out->later_format = format > FORMAT;
    if (out->later_format)
        return lk_fail(
            LK_BAD_DATA,
            "%s: was written by a newer likeness, format %lld; this one reads %d: go on with the newer one, or name an "
            "earlier checkpoint with --resume",
            origin, (long long)format, FORMAT);
    if (format != FORMAT)
        return lk_fail(LK_BAD_DATA, "%s: is not a checkpoint of format %d", origin, FORMAT);
    LK_TRY(read_counts(root, origin, out));
    if (json_object_get(root, "program")) /* older builds did not say */
        LK_TRY(copy_text(root, "program", origin, &out->program));
    if (json_object_get(root, "kernels"))
        LK_TRY(copy_text(root, "kernels", origin, &out->kernels));
    const json_t *data = json_object_get(root, "data");
    out->has_data_hashes = data != NULL;
    if (data) {
        LK_TRY(parse_hash(data, "train", origin, &out->data_hashes[0]));
        LK_TRY(parse_hash(data, "val", origin, &out->data_hashes[1]));
    }
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
    bool later = out->later_format;
    if (status != LK_OK)
        lk_checkpoint_info_free(out);
    out->later_format = later;
    return status;
}

void lk_checkpoint_info_free(lk_checkpoint_info *info)
{
    free(info->program);
    free(info->kernels);
    free(info->config);
    free(info->schema);
    *info = (lk_checkpoint_info){0};
}
