#include "dataset/pack/output.h"

#include "base/file.h"
#include "base/hash.h"
#include "dataset/unfinished.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MAX_PACK_JSON = 256 << 20 };

const char *const lk_part_names[LK_MAX_PARTS] = {"train", "val", "test"};

typedef struct part {
    char folder[LK_PATH_SIZE];
    lk_shard_writer *writer; /* the shard being filled, NULL if none is begun */
    int64_t in_writer;
    int shards; /* committed */
} part;

struct lk_output {
    const lk_output_options *options;
    int lock;
    bool locked;
    part parts[LK_MAX_PARTS];
    char pack_json[LK_PATH_SIZE];
};

/* ---- opening ---- */

static lk_status take_lock(lk_output *o)
{
    const char *folder = o->options->folder;
    o->lock = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (o->lock < 0)
        return lk_fail_io("open the folder", folder, errno, 0);
    /* Network file systems may have no such lock; then nothing keeps two runs apart. */
    int failed = flock(o->lock, LOCK_EX | LOCK_NB);
    o->locked = !failed;
    if (failed && errno == EWOULDBLOCK)
        return lk_fail(LK_USAGE, "%s: another likeness pack is writing here; wait for it or choose another folder", folder);
    return LK_OK;
}

/* Removes what a run that was cut off left unfinished. */
static lk_status remove_temporaries(const lk_output *o, const char *folder)
{
    static const char *const ours[] = {"shard-", "pack.json", "rejected.jsonl"};
    return lk_sweep_temporaries(folder, ours, sizeof ours / sizeof *ours, o->locked);
}

static lk_status count_shards(part *p)
{
    lk_names names;
    LK_TRY(lk_list_folder(p->folder, ".h5", &names));
    p->shards = (int)names.count;
    lk_names_free(&names);
    return LK_OK;
}

static lk_status make_parts(lk_output *o)
{
    const lk_output_options *options = o->options;
    for (int i = 0; i < options->part_count; i++) {
        part *p = &o->parts[i];
        if (options->part_count == 1)
            LK_TRY(lk_path_join(p->folder, options->folder, ""));
        else
            LK_TRY(lk_path_join(p->folder, options->folder, lk_part_names[i]));
        LK_TRY(lk_make_folder(p->folder));
        LK_TRY(count_shards(p));
    }
    return LK_OK;
}

static lk_status load_pack_json(const char *path, json_t **out)
{
    char *text;
    size_t size;
    LK_TRY(lk_read_file(path, MAX_PACK_JSON, &text, &size));
    json_error_t error;
    *out = json_loadb(text, size, 0, &error);
    free(text);
    if (!*out)
        return lk_fail(LK_BAD_DATA, "%s:%d: not JSON: %s; the folder cannot be packed into further", path, error.line,
                       error.text);
    return LK_OK;
}

static lk_status compare_settings(const lk_output *o, json_t *earlier)
{
    const char *name;
    json_t *value;
    json_object_foreach(o->options->settings, name, value)
    {
        json_t *before = json_object_get(earlier, name);
        if (json_equal(before, value))
            continue;
        char *now = json_dumps(value, JSON_ENCODE_ANY), *then = before ? json_dumps(before, JSON_ENCODE_ANY) : NULL;
        lk_status status =
            lk_fail(LK_USAGE, "%s was begun with %s = %.100s, not %.100s; go on with the same settings, or choose another folder",
                    o->options->folder, name, then ? then : "nothing", now ? now : "?");
        free(now);
        free(then);
        return status;
    }
    return LK_OK;
}

/* The shards that are there, of a part that may be unfinished. */
static lk_status open_part(const part *p, lk_dataset **out)
{
    lk_names names;
    LK_TRY(lk_list_folder(p->folder, ".h5", &names));
    char(*paths)[LK_PATH_SIZE] = malloc((names.count + 1) * sizeof *paths);
    const char **list = malloc((names.count + 1) * sizeof *list);
    lk_status status = paths && list ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory for its shards", p->folder);
    for (size_t i = 0; i < names.count && status == LK_OK; i++) {
        list[i] = paths[i];
        status = lk_path_join(paths[i], p->folder, names.names[i]);
    }
    if (status == LK_OK)
        status = lk_dataset_open(list, (int)names.count, out);
    lk_names_free(&names);
    free(list);
    free(paths);
    return status;
}

static lk_status read_existing(const lk_output *o, int number, lk_existing_function *existing, void *context)
{
    const part *p = &o->parts[number];
    const lk_schema *schema = o->options->schema;
    const char *path = p->folder;
    lk_dataset *set = NULL;
    if (p->shards == 0)
        return LK_OK;
    LK_TRY(open_part(p, &set));
    int size = lk_dataset_size(set);
    uint8_t *image = malloc((size_t)size * (size_t)size * 3), *discrete = malloc((size_t)schema->group_count);
    float *continuous = malloc((size_t)schema->continuous_count * sizeof *continuous);
    char key[LK_KEY_SIZE];
    lk_status status = lk_schema_require_equal(lk_dataset_schema(set), path, schema, "the schema given");
    if (status == LK_OK && size != o->options->size)
        status = lk_fail(LK_USAGE, "%s has pictures of %d pixels a side, not %d", path, size, o->options->size);
    if (status == LK_OK && (!image || !discrete || !continuous))
        status = lk_fail(LK_INTERNAL, "%s: out of memory", path);
    for (int64_t i = 0; status == LK_OK && i < lk_dataset_count(set); i++) {
        status = lk_dataset_read(set, i, image, continuous, discrete, key);
        if (status == LK_OK)
            status = existing(context, number, key, continuous, discrete);
    }
    free(image);
    free(discrete);
    free(continuous);
    lk_dataset_close(set);
    return status;
}

/* pack.json is there from before the first shard, so shards without it are not ours. */
static lk_status go_on(lk_output *o, lk_existing_function *existing, void *context, bool *complete)
{
    json_t *earlier;
    LK_TRY(load_pack_json(o->pack_json, &earlier));
    lk_status status = compare_settings(o, json_object_get(earlier, "settings"));
    *complete = json_is_true(json_object_get(earlier, "complete"));
    json_decref(earlier);
    for (int i = 0; i < o->options->part_count && status == LK_OK; i++)
        status = read_existing(o, i, existing, context);
    return status;
}

static lk_status write_pack_json(const lk_output *o, bool complete, json_t *report)
{
    json_t *root = json_pack("{s:s, s:i, s:b, s:O}", "format", "likeness-pack", "version", 1, "complete", complete, "settings",
                             o->options->settings);
    if (root && report && json_object_update(root, report) != 0) {
        json_decref(root);
        root = NULL;
    }
    char *text = root ? json_dumps(root, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(root);
    if (!text)
        return lk_fail(LK_INTERNAL, "%s: out of memory", o->pack_json);
    lk_atomic_file file;
    lk_status status = lk_atomic_open(&file, o->pack_json);
    if (status == LK_OK) {
        fprintf(file.stream, "%s\n", text);
        status = lk_atomic_commit(&file);
    }
    free(text);
    return status;
}

static lk_status open_folder(lk_output *o, lk_existing_function *existing, void *context, bool *complete)
{
    const lk_output_options *options = o->options;
    LK_TRY(lk_make_folder(options->folder));
    LK_TRY(take_lock(o));
    LK_TRY(lk_path_join(o->pack_json, options->folder, "pack.json"));
    LK_TRY(make_parts(o));
    int shards = 0;
    for (int i = 0; i < options->part_count; i++)
        shards += o->parts[i].shards;
    lk_path_kind kind;
    LK_TRY(lk_path_look(o->pack_json, &kind));
    bool begun = kind != LK_ABSENT;
    if (begun && !options->resume)
        return lk_fail(LK_USAGE, "%s was packed into already; --resume goes on with it, or choose another folder",
                       options->folder);
    if (shards > 0 && !begun)
        return lk_fail(LK_USAGE, "%s holds shards that likeness pack has not begun; choose another folder", options->folder);
    LK_TRY(remove_temporaries(o, options->folder));
    for (int i = 0; options->part_count > 1 && i < options->part_count; i++)
        LK_TRY(remove_temporaries(o, o->parts[i].folder));
    LK_TRY(begun ? go_on(o, existing, context, complete) : write_pack_json(o, false, NULL));
    for (int i = 0; i < options->part_count && !*complete; i++)
        LK_TRY(lk_unfinished_begin(o->parts[i].folder));
    return LK_OK;
}

lk_status lk_output_open(const lk_output_options *options, lk_existing_function *existing, void *context, lk_output **out,
                         bool *complete)
{
    *out = NULL;
    *complete = false;
    lk_output *o = calloc(1, sizeof *o);
    if (!o)
        return lk_fail(LK_INTERNAL, "out of memory for the output");
    o->options = options;
    o->lock = -1;
    lk_status status = open_folder(o, existing, context, complete);
    if (status != LK_OK) {
        lk_output_close(o);
        return status;
    }
    *out = o;
    return LK_OK;
}

void lk_output_close(lk_output *o)
{
    if (!o)
        return;
    for (int i = 0; i < LK_MAX_PARTS; i++)
        lk_shard_abort(o->parts[i].writer);
    if (o->lock >= 0)
        close(o->lock);
    free(o);
}

/* ---- adding ---- */

int lk_output_part(const lk_output *o, uint64_t hash)
{
    double at = (double)(hash >> 11) * 0x1p-53, sum = 0; /* uniform in [0,1) */
    for (int i = 0; i < o->options->part_count - 1; i++) {
        sum += o->options->shares[i];
        if (at < sum)
            return i;
    }
    return o->options->part_count - 1;
}

static lk_status commit(part *p)
{
    lk_shard_writer *writer = p->writer;
    p->writer = NULL;
    p->in_writer = 0;
    if (!writer)
        return LK_OK;
    LK_TRY(lk_shard_commit(writer));
    p->shards++;
    return LK_OK;
}

lk_status lk_output_add(lk_output *o, int number, const lk_sample *sample, const uint8_t *jpeg, size_t jpeg_size)
{
    const lk_output_options *options = o->options;
    part *p = &o->parts[number];
    if (!p->writer) {
        char name[32], path[LK_PATH_SIZE];
        snprintf(name, sizeof name, "shard-%05d.h5", p->shards);
        LK_TRY(lk_path_join(path, p->folder, name));
        LK_TRY(lk_shard_create(path, options->schema, options->size, options->shard_size, options->jpeg_quality,
                               options->provenance, &p->writer));
    }
    LK_TRY(jpeg ? lk_shard_append_jpeg(p->writer, sample, jpeg, jpeg_size) : lk_shard_append(p->writer, sample));
    return ++p->in_writer == options->shard_size ? commit(p) : LK_OK;
}

static lk_status describe_part(const lk_output *o, int number, json_t *parts)
{
    const part *p = &o->parts[number];
    const char *path = p->folder;
    json_int_t count = 0;
    char hash[LK_HEX_SIZE] = "";
    if (p->shards > 0) {
        lk_dataset *set;
        LK_TRY(lk_dataset_open(&path, 1, &set));
        count = lk_dataset_count(set);
        lk_hash_hex(lk_dataset_content_hash(set), hash);
        lk_dataset_close(set);
    }
    json_t *part_json = json_pack("{s:I, s:i, s:s}", "samples", count, "shards", p->shards, "content_hash", hash);
    if (json_object_set_new(parts, o->options->part_count == 1 ? "all" : lk_part_names[number], part_json) != 0)
        return lk_fail(LK_INTERNAL, "out of memory for the report");
    return LK_OK;
}

lk_status lk_output_finish(lk_output *o, json_t *report)
{
    for (int i = 0; i < o->options->part_count; i++) {
        LK_TRY(commit(&o->parts[i]));
        LK_TRY(lk_unfinished_end(o->parts[i].folder));
    }
    json_t *parts = json_object();
    lk_status status = parts ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the report");
    for (int i = 0; i < o->options->part_count && status == LK_OK; i++)
        status = describe_part(o, i, parts);
    if (status == LK_OK && json_object_set(report, "parts", parts) != 0)
        status = lk_fail(LK_INTERNAL, "out of memory for the report");
    json_decref(parts);
    return status == LK_OK ? write_pack_json(o, true, report) : status;
}
