/* Packing end to end: the same shards out of every kind of source, pairing, tables, splits, reports. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/small_shards.h"

#include "tests/unit/pack_data.h"

#include <locale.h>

enum { FACES = 50, EDGE = 40 };

static void one_thread(lk_pack_options *o)
{
    o->threads = 1;
}

/* ---- sources ---- */

static void every_kind_of_source_gives_the_same_shards(void **state)
{
    (void)state;
    static const char *const kinds[] = {"a.tar", "a.tar.gz", "a.tar.zst", "a.tar.xz", "a.tar.bz2", "a.zip", "a.7z"};
    captures c = {0};
    capture_pairs(&c, FACES, EDGE);
    captures_folder(&c, "folder");
    assert_ok(pack_with("folder", "out", NULL));
    uint64_t hash = content_hash("out");
    assert_int_equal(report_number("out", "taken"), FACES);
    assert_ok(pack_with("folder", "out-one-thread", one_thread));
    assert_true(content_hash("out-one-thread") == hash);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char out[64];
        snprintf(out, sizeof out, "out-%s", kinds[i]);
        captures_archive(&c, kinds[i], NULL, NULL);
        assert_ok(pack_with(kinds[i], out, i % 2 ? one_thread : NULL));
        if (content_hash(out) != hash)
            fail_msg("%s: other content", kinds[i]);
    }
    captures_free(&c);
}

static void standard_input_is_a_source(void **state)
{
    (void)state;
    static const char *const kinds[] = {"in.tar", "in.tar.gz", "in.tar.zst", "in.zip"};
    captures c = {0};
    capture_pairs(&c, FACES, EDGE);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char out[64];
        snprintf(out, sizeof out, "out-%s", kinds[i]);
        captures_archive(&c, kinds[i], NULL, NULL);
        assert_ok(pack_standard_input(kinds[i], out));
        assert_int_equal(report_number(out, "taken"), FACES);
    }
    assert_true(content_hash("out-in.zip") == content_hash("out-in.tar.gz"));
    captures_free(&c);
}

/* cat a.tar b.tar >ab.tar, which many do; compressed too, from a file and from a pipe. */
static void joined_tars_are_read_to_the_end(void **state)
{
    (void)state;
    static const char *const endings[] = {"tar", "tar.gz", "tar.zst", "tar.xz", "tar.bz2"};
    captures c = {0};
    capture_pairs(&c, 6, EDGE);
    captures_folder(&c, "six");
    assert_ok(pack_with("six", "out-six", NULL));
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        char first[32], second[32], joined[32], out[32];
        snprintf(first, sizeof first, "first.%s", endings[i]);
        snprintf(second, sizeof second, "second.%s", endings[i]);
        snprintf(joined, sizeof joined, "joined.%s", endings[i]);
        captures_archive(&(captures){c.entries, 6}, first, NULL, NULL);
        captures_archive(&(captures){c.entries + 6, 6}, second, NULL, NULL);
        join_files(first, second, joined);
        snprintf(out, sizeof out, "out-joined-%zu", i);
        assert_ok(pack_with(joined, out, NULL));
        assert_true(content_hash(out) == content_hash("out-six"));
        snprintf(out, sizeof out, "out-piped-%zu", i);
        assert_ok(pack_standard_input(joined, out));
        assert_true(content_hash(out) == content_hash("out-six"));
    }
    captures_free(&c);
}

static void names_in_other_scripts_are_keys_everywhere(void **state)
{
    (void)state;
    static const char *const kinds[] = {"jp.tar", "jp.zip", "jp.7z"};
    captures c = {0};
    setlocale(LC_CTYPE, "C.UTF-8"); /* for the writer alone */
    capture_picture(&c, "顔/写真一.jpg", 1, EDGE);
    char *json = capture_json(1, NULL, NULL);
    capture_text(&c, "顔/写真一.json", json);
    free(json);
    for (int i = 0; i < 3; i++)
        captures_archive(&c, kinds[i], NULL, NULL);
    setlocale(LC_CTYPE, "C");
    for (int i = 0; i < 3; i++) {
        char out[32], key[LK_KEY_SIZE];
        const char *folder = out;
        snprintf(out, sizeof out, "out-%s", kinds[i]);
        assert_ok(pack_with(kinds[i], out, NULL));
        lk_dataset *set;
        static small_sample s;
        assert_int_equal(lk_dataset_open(&folder, 1, &set), LK_OK);
        assert_int_equal(lk_dataset_read(set, 0, s.image, s.continuous, s.discrete, key), LK_OK);
        assert_string_equal(key, "顔/写真一");
        lk_dataset_close(set);
    }
    captures_free(&c);
}

/* ---- what is stored ---- */

static void jpeg_of_the_size_is_stored_as_it_is(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 3, 32);
    captures_folder(&c, "same");
    lk_pack_options o = lk_pack_defaults;
    const char *source = "same", *folder = "out-same";
    o.sources = &source;
    o.source_count = 1;
    o.folder = folder;
    o.schema = "schema.yaml";
    o.alignment.size = 32;
    o.jpeg_quality = 30; /* encoding anew would lose much */
    o.quiet = true;
    assert_ok(lk_pack(&o));
    lk_dataset *set;
    static small_sample s;
    lk_image original;
    assert_int_equal(lk_dataset_open(&folder, 1, &set), LK_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(lk_dataset_read(set, i, s.image, s.continuous, s.discrete, NULL), LK_OK);
        assert_int_equal(lk_image_decode(c.entries[2 * i].data, c.entries[2 * i].size, 1 << 20, "original", &original), LK_OK);
        assert_memory_equal(s.image, original.pixels, 32 * 32 * 3);
        lk_image_free(&original);
    }
    lk_dataset_close(set);
    captures_free(&c);
}

static void labels_come_through(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 20, EDGE);
    captures_archive(&c, "labels.zip", NULL, NULL);
    assert_ok(pack_with("labels.zip", "out-labels", NULL));
    lk_dataset *set;
    const char *folder = "out-labels";
    static small_sample want, got;
    char key[LK_KEY_SIZE], expected[LK_KEY_SIZE];
    assert_int_equal(lk_dataset_open(&folder, 1, &set), LK_OK);
    assert_int_equal(lk_dataset_count(set), 20);
    for (int i = 0; i < 20; i++) {
        small_sample_make(i, EDGE, &want);
        assert_int_equal(lk_dataset_read(set, i, got.image, got.continuous, got.discrete, key), LK_OK);
        snprintf(expected, sizeof expected, "faces/%04d", i);
        assert_string_equal(key, expected);
        for (int k = 0; k < SMALL_NC; k++)
            assert_float_equal(got.continuous[k], want.continuous[k], 1e-6);
        assert_memory_equal(got.discrete, want.discrete, SMALL_GROUPS);
    }
    lk_dataset_close(set);
    captures_free(&c);
}

/* ---- pairing and tables ---- */

/* Pictures in one order, parameters in another, in two archives. */
static void halves_meet_in_any_order(void **state)
{
    (void)state;
    captures pictures = {0}, labels = {0};
    char name[64];
    for (int i = 0; i < FACES; i++) {
        snprintf(name, sizeof name, "x/%d.jpg", i);
        capture_picture(&pictures, name, i, EDGE);
        int k = (i * 7 + 3) % FACES;
        snprintf(name, sizeof name, "x/%d.json", k);
        char *json = capture_json(k, NULL, NULL);
        capture_text(&labels, name, json);
        free(json);
    }
    captures_archive(&pictures, "pictures.tar.gz", NULL, NULL);
    captures_archive(&labels, "labels.tar.zst", NULL, NULL);
    const char *sources[] = {"pictures.tar.gz", "labels.tar.zst"};
    lk_pack_options o = lk_pack_defaults;
    o.sources = sources;
    o.source_count = 2;
    o.folder = "out-two";
    o.schema = "schema.yaml";
    o.alignment.size = 32;
    o.quiet = true;
    assert_ok(lk_pack(&o));
    assert_int_equal(report_number("out-two", "taken"), FACES);
    captures_free(&pictures);
    captures_free(&labels);
}

/* A Mac writes e and the accent behind it, other systems one letter: the same name, in which order the halves come. Keys stay as
 * the picture has them, and a face does not change sides because another system packed it. */
static void names_in_either_form_of_unicode_meet(void **state)
{
    (void)state;
    static const char apart[] = "faces/Zoe\xcc\x88", together[] = "faces/Zo\xc3\xab";
    uint64_t hashes[2];
    assert_int_equal(lk_name_hash(apart, &hashes[0]), LK_OK);
    assert_int_equal(lk_name_hash(together, &hashes[1]), LK_OK);
    assert_true(hashes[0] == hashes[1]);
    assert_int_equal(lk_name_hash("faces/Zoe", &hashes[1]), LK_OK);
    assert_true(hashes[0] != hashes[1]);
    char *json = capture_json(1, NULL, NULL);
    for (int i = 0; i < 4; i++) {
        const char *key = i % 2 ? apart : together, *out = "out-forms";
        bool labels_first = i >= 2;
        char name[64], got[LK_KEY_SIZE];
        captures c = {0};
        for (int half = 0; half < 2; half++) {
            bool picture = (half == 0) != labels_first;
            snprintf(name, sizeof name, "%s%s", picture ? key : i % 2 ? together : apart, picture ? ".jpg" : ".json");
            if (picture)
                capture_picture(&c, name, 1, EDGE);
            else
                capture_text(&c, name, json);
        }
        captures_archive(&c, "forms.tar", "hdrcharset=BINARY", NULL);
        assert_ok(pack_with("forms.tar", out, NULL));
        lk_dataset *set;
        static small_sample s;
        assert_int_equal(lk_dataset_open(&out, 1, &set), LK_OK);
        assert_int_equal(lk_dataset_read(set, 0, s.image, s.continuous, s.discrete, got), LK_OK);
        assert_string_equal(got, key);
        lk_dataset_close(set);
        assert_int_equal(lk_remove_tree("out-forms"), LK_OK);
        captures_free(&c);
    }
    /* Both forms in one source are one face twice. */
    captures c = {0};
    capture_picture(&c, "faces/Zoe\xcc\x88.jpg", 1, EDGE);
    capture_picture(&c, "faces/Zo\xc3\xab.jpg", 1, EDGE);
    capture_text(&c, "faces/Zo\xc3\xab.json", json);
    captures_archive(&c, "forms.tar", "hdrcharset=BINARY", NULL);
    assert_ok(pack_with("forms.tar", "out-forms", NULL));
    assert_int_equal(report_reason("out-forms", "duplicate picture"), 1);
    captures_free(&c);
    free(json);
}

static void too_much_waiting_is_an_error(void **state)
{
    (void)state;
    captures c = {0};
    char name[64];
    for (int i = 0; i < FACES; i++) {
        snprintf(name, sizeof name, "x/%d.jpg", i);
        capture_picture(&c, name, i, 128);
    }
    captures_archive(&c, "waiting.tar", NULL, NULL);
    lk_pack_options o = lk_pack_defaults;
    const char *source = "waiting.tar";
    o.sources = &source;
    o.source_count = 1;
    o.folder = "out-waiting";
    o.schema = "schema.yaml";
    o.max_memory = 200000; /* three eighths of it may wait */
    o.quiet = true;
    assert_fails(lk_pack(&o), LK_BAD_DATA, "wait for the picture or the parameters");
    captures_free(&c);
}

static char *csv_table(int count)
{
    lk_schema *schema = small_schema();
    static small_sample s;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("\xef\xbb\xbfkey,hair,a,b,\"c\",d,e,skin,identity\r\n", out);
    for (int i = 0; i < count; i++) {
        small_sample_make(i, 8, &s);
        double v[SMALL_NC];
        for (int k = 0; k < SMALL_NC; k++)
            v[k] = schema->continuous[k].min +
                   (double)s.continuous[k] * ((double)schema->continuous[k].max - schema->continuous[k].min);
        fprintf(out, "faces/%04d.jpg,%s,%.9g,%.9g,\"%.9g\",%.9g,%.9g,%s,person %d\r\n", i,
                schema->groups[0].choices[s.discrete[0]], v[0], v[1], v[2], v[3], v[4], schema->groups[1].choices[s.discrete[1]],
                i / 5);
    }
    fclose(out);
    lk_schema_free(schema);
    return text;
}

static char *jsonl_table(int count, bool with_identity)
{
    char *text, key[32], who[32];
    size_t size;
    FILE *out = open_memstream(&text, &size);
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "faces/%04d", i);
        snprintf(who, sizeof who, "person %d", i / 5);
        char *line = capture_json(i, key, with_identity ? who : NULL);
        fprintf(out, "%s\n", line);
        free(line);
    }
    fclose(out);
    return text;
}

/* The table in front, in the middle, at the end, beside the archive: the same shards as from pairs. */
static void a_table_may_stand_anywhere(void **state)
{
    (void)state;
    captures pairs = {0};
    enum { PADDING = 8192, MAX_MEMORY = 320000 };
    capture_pairs(&pairs, FACES, EDGE);
    /* Three eighths of the memory are room for the rows to wait, but not for all pictures with what stands behind their ends. */
    assert_true(FACES * PADDING > MAX_MEMORY / 8 * 3);
    for (int i = 0; i < FACES; i++) {
        capture_entry *picture = &pairs.entries[2 * i];
        picture->data = realloc(picture->data, picture->size + PADDING);
        memset(picture->data + picture->size, 0, PADDING);
        picture->size += PADDING;
    }
    captures_archive(&pairs, "pairs.tar", NULL, NULL);
    assert_ok(pack_with("pairs.tar", "out-pairs", NULL));
    char *tables[] = {csv_table(FACES), jsonl_table(FACES, false)};
    for (int kind = 0; kind < 2; kind++) {
        for (int where = 0; where < 4; where++) {
            captures c = {0};
            const char *name = kind == 0 ? "params.csv" : "params.jsonl";
            for (int i = 0; i < FACES; i++) {
                if (where < 3 && i == where * 25 - (where == 2))
                    capture_text(&c, name, tables[kind]);
                capture_add(&c, pairs.entries[2 * i].name, pairs.entries[2 * i].data, pairs.entries[2 * i].size);
            }
            captures_archive(&c, "table.tar.gz", NULL, NULL);
            char out[64], table[64];
            snprintf(out, sizeof out, "out-table-%d-%d", kind, where);
            snprintf(table, sizeof table, "labels%s", kind == 0 ? ".csv" : ".jsonl");
            assert_int_equal(lk_write_file(table, tables[kind], strlen(tables[kind])), LK_OK);
            const char *sources[] = {"table.tar.gz", table};
            lk_pack_options o = lk_pack_defaults;
            o.sources = sources;
            o.source_count = where == 3 ? 2 : 1;
            o.folder = out;
            o.schema = "schema.yaml";
            o.alignment.size = 32;
            o.shard_size = 16;
            o.max_memory = MAX_MEMORY;
            o.quiet = true;
            assert_ok(lk_pack(&o));
            if (kind == 1)
                assert_true(content_hash(out) == content_hash("out-pairs"));
            assert_int_equal(report_number(out, "taken"), FACES);
            captures_free(&c);
        }
    }
    free(tables[0]);
    free(tables[1]);
    captures_free(&pairs);
}

/* ---- splits ---- */

static char *part_of(const char *folder, const char *wanted)
{
    static const char *const parts[] = {"train", "val"};
    static small_sample s;
    char key[LK_KEY_SIZE];
    for (int p = 0; p < 2; p++) {
        char path[LK_PATH_SIZE];
        const char *one = path;
        lk_dataset *set;
        assert_int_equal(lk_path_join(path, folder, parts[p]), LK_OK);
        assert_int_equal(lk_dataset_open(&one, 1, &set), LK_OK);
        for (int64_t i = 0; i < lk_dataset_count(set); i++) {
            assert_int_equal(lk_dataset_read(set, i, s.image, s.continuous, s.discrete, key), LK_OK);
            if (strcmp(key, wanted) == 0) {
                lk_dataset_close(set);
                return (char *)parts[p];
            }
        }
        lk_dataset_close(set);
    }
    return "nowhere";
}

static void a_split_stays_when_data_is_added(void **state)
{
    (void)state;
    captures few = {0}, many = {0};
    capture_pairs(&few, FACES, EDGE);
    capture_pairs(&many, 4 * FACES, EDGE);
    captures_folder(&few, "few");
    captures_folder(&many, "many");
    assert_ok(pack_with("few", "out-few", split_in_two));
    assert_ok(pack_with("many", "out-many", split_in_two));
    char key[32];
    for (int i = 0; i < FACES; i++) {
        snprintf(key, sizeof key, "faces/%04d", i);
        assert_string_equal(part_of("out-few", key), part_of("out-many", key));
    }
    lk_dataset *train;
    const char *path = "out-many/train";
    assert_int_equal(lk_dataset_open(&path, 1, &train), LK_OK);
    double share = (double)lk_dataset_count(train) / (4 * FACES);
    lk_dataset_close(train);
    assert_true(share > 0.6 && share < 0.8);
    captures_free(&few);
    captures_free(&many);
}

static void an_identity_is_never_split(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 0, EDGE);
    char name[64], key[32];
    for (int i = 0; i < FACES; i++) {
        snprintf(name, sizeof name, "faces/%04d.jpg", i);
        capture_picture(&c, name, i, EDGE);
    }
    char *table = jsonl_table(FACES, true);
    capture_text(&c, "params.jsonl", table);
    captures_archive(&c, "who.zip", NULL, NULL);
    assert_ok(pack_with("who.zip", "out-who", split_in_two));
    for (int person = 0; person < FACES / 5; person++) {
        snprintf(key, sizeof key, "faces/%04d", 5 * person);
        const char *first = part_of("out-who", key);
        for (int i = 1; i < 5; i++) {
            snprintf(key, sizeof key, "faces/%04d", 5 * person + i);
            assert_string_equal(part_of("out-who", key), first);
        }
    }
    free(table);
    captures_free(&c);
}

/* ---- reports ---- */

static void the_report_has_everything(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 10, EDGE);
    capture_picture(&c, "faces/0003.jpg", 77, EDGE); /* duplicate picture */
    char *json = capture_json(5, NULL, NULL);
    capture_text(&c, "faces/0005.json", json);          /* duplicate parameters */
    capture_picture(&c, "lonely/picture.jpg", 1, EDGE); /* orphan */
    capture_text(&c, "lonely/parameters.json", json);   /* orphan */
    capture_text(&c, "README.txt", "hello");
    capture_text(&c, "more.zip", "PK");
    capture_text(&c, "faces/wrong.json", "{\"continuous\": {}, \"discrete\": {}}");
    capture_picture(&c, "faces/wrong.jpg", 1, EDGE);
    capture_text(&c, "faces/noise.json", json);
    capture_text(&c, "faces/noise.jpg", "this is not a picture");
    free(json);
    captures_archive(&c, "mixed.tar", NULL, NULL);
    assert_ok(pack_with("mixed.tar", "out-mixed", NULL));
    assert_int_equal(report_number("out-mixed", "taken"), 10);
    assert_int_equal(report_number("out-mixed", "refused"), 8);
    assert_int_equal(report_number("out-mixed", "pictures"), 14);
    static const char *const reasons[] = {"duplicate picture",
                                          "duplicate parameters",
                                          "picture without parameters",
                                          "parameters without picture",
                                          "neither picture nor parameters",
                                          "archive inside an archive",
                                          "bad parameters",
                                          "unreadable picture"};
    for (int i = 0; i < 8; i++)
        if (report_reason("out-mixed", reasons[i]) != 1)
            fail_msg("%s: not told", reasons[i]);
    json_t *root = load_report("out-mixed");
    assert_true(json_is_true(json_object_get(root, "complete")));
    json_t *hair = json_object_get(json_object_get(root, "discrete"), "hair");
    assert_int_equal(json_integer_value(json_object_get(hair, "bald")) + json_integer_value(json_object_get(hair, "short")) +
                         json_integer_value(json_object_get(hair, "bob")),
                     10);
    json_t *a = json_array_get(json_object_get(root, "continuous"), 0);
    assert_string_equal(json_string_value(json_object_get(a, "name")), "a");
    assert_float_equal(json_number_value(json_object_get(a, "max")), 0.0, 1e-9); /* sample a is 0 always */
    json_decref(root);
    char *log;
    size_t size;
    int lines = 0;
    assert_int_equal(lk_read_file("out-mixed/rejected.jsonl", 1 << 20, &log, &size), LK_OK);
    for (size_t i = 0; i < size; i++)
        lines += log[i] == '\n';
    assert_int_equal(lines, 8);
    free(log);
    captures_free(&c);
}

static void expect_eleven(lk_pack_options *o)
{
    o->expect = 11;
}

static void expect_ten(lk_pack_options *o)
{
    o->expect = 10;
}

static void a_wrong_count_is_an_error(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 10, EDGE);
    captures_archive(&c, "ten.tar", NULL, NULL);
    assert_int_equal(pack_with("ten.tar", "out-eleven", expect_eleven), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "10 pictures came, 11 were expected"));
    assert_ok(pack_with("ten.tar", "out-ten", expect_ten));
    captures_free(&c);
}

static void a_used_folder_is_refused(void **state)
{
    (void)state;
    captures c = {0};
    capture_pairs(&c, 10, EDGE);
    captures_archive(&c, "used.tar", NULL, NULL);
    assert_ok(pack_with("used.tar", "out-used", NULL));
    assert_int_equal(pack_with("used.tar", "out-used", NULL), LK_USAGE);
    assert_non_null(strstr(lk_error_text(), "--resume"));
    assert_int_equal(lk_make_folder("out-foreign"), LK_OK);
    small_shard("out-foreign/x.h5", 32, 0, 3, 3, 0);
    assert_int_equal(pack_with("used.tar", "out-foreign", NULL), LK_USAGE);
    captures_free(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_source_gives_the_same_shards),
        cmocka_unit_test(standard_input_is_a_source),
        cmocka_unit_test(joined_tars_are_read_to_the_end),
        cmocka_unit_test(names_in_other_scripts_are_keys_everywhere),
        cmocka_unit_test(jpeg_of_the_size_is_stored_as_it_is),
        cmocka_unit_test(labels_come_through),
        cmocka_unit_test(halves_meet_in_any_order),
        cmocka_unit_test(names_in_either_form_of_unicode_meet),
        cmocka_unit_test(too_much_waiting_is_an_error),
        cmocka_unit_test(a_table_may_stand_anywhere),
        cmocka_unit_test(a_split_stays_when_data_is_added),
        cmocka_unit_test(an_identity_is_never_split),
        cmocka_unit_test(the_report_has_everything),
        cmocka_unit_test(a_wrong_count_is_an_error),
        cmocka_unit_test(a_used_folder_is_refused),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
