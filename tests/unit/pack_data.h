/* Captures for the tests of the packer: entries in memory, written as archives of every kind or as folders. Include after
 * <cmocka.h> and tests/unit/small_shards.h, whose schema and samples they are made of. */
#ifndef LK_TESTS_UNIT_PACK_DATA_H
#define LK_TESTS_UNIT_PACK_DATA_H

#include "base/file.h"
#include "dataset/image.h"
#include "dataset/pack/pack.h"
#include "tests/unit/check.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct capture_entry {
    char *name;
    uint8_t *data;
    size_t size;
    int type;         /* AE_IFREG, AE_IFLNK ...; hard links: AE_IFREG with a target */
    const char *link; /* target */
} capture_entry;

typedef struct captures {
    capture_entry *entries;
    int count;
} captures;

static inline capture_entry *capture_add(captures *c, const char *name, const void *data, size_t size)
{
    c->entries = realloc(c->entries, (size_t)(c->count + 1) * sizeof *c->entries);
    assert_non_null(c->entries);
    capture_entry *e = &c->entries[c->count++];
    *e = (capture_entry){.name = strdup(name), .data = malloc(size + 1), .size = size, .type = AE_IFREG};
    memcpy(e->data, data, size);
    return e;
}

static inline capture_entry *capture_text(captures *c, const char *name, const char *text)
{
    return capture_add(c, name, text, strlen(text));
}

static inline void captures_free(captures *c)
{
    for (int i = 0; i < c->count; i++) {
        free(c->entries[i].name);
        free(c->entries[i].data);
    }
    free(c->entries);
    *c = (captures){0};
}

/* The parameters of sample `number` as a JSON file; with a key and perhaps an identity as a row of a table. */
static inline char *capture_json(int64_t number, const char *key, const char *identity)
{
    static small_sample sample;
    static lk_schema *schema;
    if (!schema)
        schema = small_schema();
    small_sample_make(number, 8, &sample);
    json_t *values = json_object(), *choices = json_object();
    for (int i = 0; i < SMALL_NC; i++) {
        const lk_continuous *p = &schema->continuous[i];
        json_object_set_new(values, p->name, json_real(p->min + (double)sample.continuous[i] * ((double)p->max - p->min)));
    }
    for (int g = 0; g < SMALL_GROUPS; g++)
        json_object_set_new(choices, schema->groups[g].name, json_string(schema->groups[g].choices[sample.discrete[g]]));
    json_t *root = json_pack("{s:o, s:o}", "continuous", values, "discrete", choices);
    if (key)
        json_object_set_new(root, "key", json_string(key));
    if (identity)
        json_object_set_new(root, "identity", json_string(identity));
    char *text = json_dumps(root, JSON_COMPACT);
    json_decref(root);
    assert_non_null(text);
    return text;
}

static inline void capture_picture(captures *c, const char *name, int64_t number, int edge)
{
    static small_sample sample;
    uint8_t *jpeg;
    size_t size;
    small_sample_make(number, edge, &sample);
    assert_int_equal(lk_image_encode_jpeg(&(lk_image){edge, edge, sample.image}, 90, &jpeg, &size), LK_OK);
    capture_add(c, name, jpeg, size);
    free(jpeg);
}

/* faces/0000.jpg, faces/0000.json, ... */
static inline void capture_pairs(captures *c, int count, int edge)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        snprintf(name, sizeof name, "faces/%04d.jpg", i);
        capture_picture(c, name, i, edge);
        snprintf(name, sizeof name, "faces/%04d.json", i);
        char *json = capture_json(i, NULL, NULL);
        capture_text(c, name, json);
        free(json);
    }
}

/* Writes an archive; the kind follows from the ending of `path`: .tar .tar.gz .tar.zst .tar.xz .tar.bz2 .zip .7z. `options` for
 * libarchive or NULL; with a passphrase the entries are encrypted. */
static inline void captures_archive(const captures *c, const char *path, const char *options, const char *passphrase)
{
    struct archive *a = archive_write_new();
    const char *dot = strrchr(path, '.');
    if (strcmp(dot, ".zip") == 0)
        archive_write_set_format_zip(a);
    else if (strcmp(dot, ".7z") == 0)
        archive_write_set_format_7zip(a);
    else
        archive_write_set_format_pax_restricted(a);
    if (strcmp(dot, ".gz") == 0)
        archive_write_add_filter_gzip(a);
    else if (strcmp(dot, ".zst") == 0)
        archive_write_add_filter_zstd(a);
    else if (strcmp(dot, ".xz") == 0)
        archive_write_add_filter_xz(a);
    else if (strcmp(dot, ".bz2") == 0)
        archive_write_add_filter_bzip2(a);
    archive_write_set_bytes_in_last_block(a, 1);
    if (options)
        assert_int_equal(archive_write_set_options(a, options), ARCHIVE_OK);
    if (passphrase)
        assert_int_equal(archive_write_set_passphrase(a, passphrase), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    for (int i = 0; i < c->count; i++) {
        const capture_entry *from = &c->entries[i];
        struct archive_entry *e = archive_entry_new();
        archive_entry_copy_pathname(e, from->name);
        archive_entry_set_filetype(e, (unsigned)from->type);
        archive_entry_set_perm(e, 0644);
        archive_entry_set_size(e, from->type == AE_IFREG && !from->link ? (la_int64_t)from->size : 0);
        if (from->link && from->type == AE_IFLNK)
            archive_entry_copy_symlink(e, from->link);
        else if (from->link)
            archive_entry_copy_hardlink(e, from->link);
        if (from->type == AE_IFCHR)
            archive_entry_set_rdev(e, 0x103);
        if (archive_write_header(a, e) < ARCHIVE_WARN)
            fail_msg("%s: %s", from->name, archive_error_string(a));
        if (from->type == AE_IFREG && !from->link)
            assert_int_equal(archive_write_data(a, from->data, from->size), from->size);
        archive_entry_free(e);
    }
    assert_int_equal(archive_write_close(a), ARCHIVE_OK);
    archive_write_free(a);
}

/* cat FIRST SECOND >JOINED */
static inline void join_files(const char *first, const char *second, const char *joined)
{
    char *data[2];
    size_t sizes[2];
    assert_int_equal(lk_read_file(first, 64 << 20, &data[0], &sizes[0]), LK_OK);
    assert_int_equal(lk_read_file(second, 64 << 20, &data[1], &sizes[1]), LK_OK);
    data[0] = realloc(data[0], sizes[0] + sizes[1]);
    memcpy(data[0] + sizes[0], data[1], sizes[1]);
    assert_int_equal(lk_write_file(joined, data[0], sizes[0] + sizes[1]), LK_OK);
    free(data[0]);
    free(data[1]);
}

static inline void captures_folder(const captures *c, const char *folder)
{
    for (int i = 0; i < c->count; i++) {
        char path[LK_PATH_SIZE], parent[LK_PATH_SIZE];
        assert_int_equal(lk_path_join(path, folder, c->entries[i].name), LK_OK);
        snprintf(parent, sizeof parent, "%s", path);
        *strrchr(parent, '/') = '\0';
        assert_int_equal(lk_make_folder(parent), LK_OK);
        assert_int_equal(lk_write_file(path, c->entries[i].data, c->entries[i].size), LK_OK);
    }
}

static inline void write_schema(void)
{
    assert_int_equal(lk_write_file("schema.yaml", small_schema_text, strlen(small_schema_text)), LK_OK);
}

/* Packs one source into `folder`, quietly, with the schema of schema.yaml. `change` may alter the options. */
static inline lk_status pack_with(const char *source, const char *folder, void (*change)(lk_pack_options *))
{
    lk_pack_options options = lk_pack_defaults;
    options.sources = &source;
    options.source_count = 1;
    options.folder = folder;
    options.schema = "schema.yaml";
    options.alignment.size = 32;
    options.shard_size = 16;
    options.threads = 2;
    options.quiet = true;
    if (change)
        change(&options);
    return lk_pack(&options);
}

static inline json_t *load_report(const char *folder)
{
    char path[LK_PATH_SIZE];
    json_error_t error;
    assert_int_equal(lk_path_join(path, folder, "pack.json"), LK_OK);
    json_t *root = json_load_file(path, 0, &error);
    assert_non_null(root);
    return root;
}

static inline int64_t report_number(const char *folder, const char *name)
{
    json_t *root = load_report(folder);
    int64_t value = json_integer_value(json_object_get(root, name));
    json_decref(root);
    return value;
}

/* How many were refused for a reason; 0 if none. */
static inline int64_t report_reason(const char *folder, const char *reason)
{
    json_t *root = load_report(folder);
    int64_t value = json_integer_value(json_object_get(json_object_get(json_object_get(root, "reasons"), reason), "count"));
    json_decref(root);
    return value;
}

static inline uint64_t content_hash(const char *folder)
{
    lk_dataset *set;
    assert_ok(lk_dataset_open(&folder, 1, &set));
    uint64_t hash = lk_dataset_content_hash(set);
    lk_dataset_close(set);
    return hash;
}

/* Packs a file through standard input. */
static inline lk_status pack_standard_input(const char *path, const char *folder)
{
    int kept = dup(STDIN_FILENO), pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    if (child == 0) {
        char *data;
        size_t size;
        close(pipe_ends[0]);
        bool good = lk_read_file(path, 64 << 20, &data, &size) == LK_OK;
        for (size_t done = 0; good && done < size;) {
            ssize_t put = write(pipe_ends[1], data + done, size - done);
            if (put <= 0)
                break;
            done += (size_t)put;
        }
        _exit(0);
    }
    close(pipe_ends[1]);
    dup2(pipe_ends[0], STDIN_FILENO);
    close(pipe_ends[0]);
    lk_status status = pack_with("-", folder, NULL);
    dup2(kept, STDIN_FILENO);
    close(kept);
    waitpid(child, NULL, 0);
    return status;
}

static inline void split_in_two(lk_pack_options *o)
{
    o->part_count = 2;
    o->shares[0] = 0.7;
    o->shares[1] = 0.3;
}

/* ---- tricks ---- */

enum { TRICK_EDGE = 40 };

static int outputs;

/* Packs one good face and what `add` adds; the good face must be taken and the trick refused `count` times for `reason`. */
static inline void expect_refusal(captures *c, const char *archive, const char *reason, int count)
{
    char out[32];
    snprintf(out, sizeof out, "out-%d", outputs++);
    capture_pairs(c, 1, TRICK_EDGE);
    captures_archive(c, archive, NULL, NULL);
    if (pack_with(archive, out, NULL) != LK_OK)
        fail_msg("%s: %s", reason, lk_error_text());
    assert_int_equal(report_number(out, "taken"), 1);
    if (report_reason(out, reason) != count) {
        json_t *report = load_report(out);
        json_dumpf(json_object_get(report, "reasons"), stderr, JSON_INDENT(1));
        fail_msg("'%s' was told %d times, not %d", reason, (int)report_reason(out, reason), count);
    }
    captures_free(c);
}

static inline void expect_error(const char *source, const char *sentence, void (*change)(lk_pack_options *))
{
    char out[32];
    snprintf(out, sizeof out, "out-%d", outputs++);
    lk_status status = pack_with(source, out, change);
    if (status != LK_BAD_DATA || !strstr(lk_error_text(), sentence))
        fail_msg("%s: status %d, '%s' instead of '%s'", source, status, lk_error_text(), sentence);
}

/* In memory where that can be: shards are fsynced, which on a busy disk takes most of the time. */
static char in_memory[] = "/dev/shm/likeness-test-pack-XXXXXX";

static inline int prepare(void **state)
{
    (void)state;
    if (mkdtemp(in_memory) && chdir(in_memory) == 0)
        print_message("in %s\n", in_memory);
    write_schema();
    return 0;
}

static inline int clean(void **state)
{
    (void)state;
    lk_remove_tree(in_memory);
    return 0;
}

#endif
