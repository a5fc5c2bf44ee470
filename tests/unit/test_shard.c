/* Shards: what is written is read back; failed writes leave nothing behind. Damaged ones are test_shard_damage.c's. */
#include "base/file.h"
#include "base/thread.h"
#include "dataset/image.h"
#include "dataset/shard_format.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#include "tests/unit/small_shards.h"

enum { EDGE = 32, COUNT = 12 };

static int count_files(const char *folder)
{
    lk_names names;
    assert_int_equal(lk_list_folder(folder, "", &names), LK_OK);
    int count = (int)names.count;
    lk_names_free(&names);
    return count;
}

/* ---- round trips ---- */

static void raw_samples_come_back(void **state)
{
    (void)state;
    small_shard("raw.h5", EDGE, 0, COUNT, COUNT, 0);
    lk_dataset *set = open_set("raw.h5");
    assert_int_equal(lk_dataset_count(set), COUNT);
    assert_int_equal(lk_dataset_size(set), EDGE);
    assert_int_equal(lk_dataset_schema(set)->continuous_count, SMALL_NC);
    small_sample got;
    for (int i = COUNT - 1; i >= 0; i--) {
        char key[32];
        snprintf(key, sizeof key, "face-%d", i);
        assert_int_equal(lk_dataset_read(set, i, got.image, got.continuous, got.discrete, got.key), LK_OK);
        assert_true(small_sample_is(i, EDGE, got.image, got.continuous, got.discrete));
        assert_string_equal(got.key, key);
    }
    assert_int_equal(lk_dataset_read(set, 0, got.image, got.continuous, got.discrete, NULL), LK_OK);
    assert_int_equal(lk_dataset_read(set, COUNT, got.image, got.continuous, got.discrete, NULL), LK_INTERNAL);
    assert_int_equal(lk_dataset_read(set, -1, got.image, got.continuous, got.discrete, NULL), LK_INTERNAL);
    lk_dataset_close(set);
}

static void jpeg_samples_come_back_as_encoded(void **state)
{
    (void)state;
    small_shard("jpeg.h5", EDGE, 0, COUNT, COUNT, 95);
    lk_dataset *set = open_set("jpeg.h5");
    small_sample want, got;
    for (int i = 0; i < COUNT; i++) {
        small_sample_make(i, EDGE, &want);
        lk_image image = {EDGE, EDGE, want.image}, decoded;
        uint8_t *bytes;
        size_t size;
        assert_int_equal(lk_image_encode_jpeg(&image, 95, &bytes, &size), LK_OK);
        assert_int_equal(lk_image_decode(bytes, size, EDGE * EDGE, "reference", &decoded), LK_OK);
        assert_int_equal(lk_dataset_read(set, i, got.image, got.continuous, got.discrete, got.key), LK_OK);
        assert_memory_equal(got.image, decoded.pixels, EDGE * EDGE * 3);
        assert_memory_equal(got.continuous, want.continuous, sizeof want.continuous);
        assert_string_equal(got.key, want.key);
        free(bytes);
        lk_image_free(&decoded);
    }
    lk_dataset_close(set);
}

static void content_hash_ignores_how_shards_are_cut(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("one"), LK_OK);
    assert_int_equal(lk_make_folder("two"), LK_OK);
    small_shard("one/all.h5", EDGE, 0, COUNT, COUNT, 0);
    small_shard("two/part-0.h5", EDGE, 0, 5, 1000, 0);
    small_shard("two/part-1.h5", EDGE, 5, COUNT - 5, 1000, 0);
    lk_dataset *one = open_set("one"), *two = open_set("two");
    assert_int_equal(lk_dataset_count(two), COUNT);
    assert_true(lk_dataset_content_hash(one) == lk_dataset_content_hash(two));
    small_sample got;
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(lk_dataset_read(two, i, got.image, got.continuous, got.discrete, NULL), LK_OK);
        assert_true(small_sample_is(i, EDGE, got.image, got.continuous, got.discrete));
    }
    lk_dataset_close(two);

    const char *other_order[] = {"two/part-1.h5", "two/part-0.h5"};
    assert_int_equal(lk_dataset_open(other_order, 2, &two), LK_OK);
    assert_true(lk_dataset_content_hash(one) != lk_dataset_content_hash(two));
    assert_int_equal(lk_dataset_read(two, 0, got.image, got.continuous, got.discrete, NULL), LK_OK);
    assert_true(small_sample_is(5, EDGE, got.image, got.continuous, got.discrete));
    lk_dataset_close(two);
    lk_dataset_close(one);
}

static void same_samples_give_the_same_bytes(void **state)
{
    (void)state;
    char *a, *b;
    size_t a_size, b_size;
    small_shard("first.h5", EDGE, 0, COUNT, COUNT, 0);
    sleep(1); /* a time stamp inside would differ now */
    small_shard("second.h5", EDGE, 0, COUNT, 5 * COUNT, 0);
    assert_int_equal(lk_read_file("first.h5", 1 << 24, &a, &a_size), LK_OK);
    assert_int_equal(lk_read_file("second.h5", 1 << 24, &b, &b_size), LK_OK);
    assert_int_equal(a_size, b_size);
    assert_memory_equal(a, b, a_size);
    free(a);
    free(b);
}

/* Any HDF5 program reads the arrays by name. */
static void arrays_are_plain_hdf5(void **state)
{
    (void)state;
    small_shard("plain.h5", EDGE, 0, COUNT, COUNT, 0);
    static uint8_t images[COUNT][EDGE * EDGE * 3], discrete[COUNT][SMALL_GROUPS];
    float continuous[COUNT][SMALL_NC];
    hid_t file = H5Fopen("plain.h5", H5F_ACC_RDONLY, H5P_DEFAULT);
    struct {
        const char *name;
        hid_t type;
        void *to;
    } arrays[] = {{"images", H5T_NATIVE_UINT8, images},
                  {"continuous", H5T_NATIVE_FLOAT, continuous},
                  {"discrete", H5T_NATIVE_UINT8, discrete}};
    for (int k = 0; k < 3; k++) {
        hid_t array = H5Dopen2(file, arrays[k].name, H5P_DEFAULT);
        assert_true(array >= 0);
        assert_true(H5Dread(array, arrays[k].type, H5S_ALL, H5S_ALL, H5P_DEFAULT, arrays[k].to) >= 0);
        H5Dclose(array);
    }
    H5Fclose(file);
    for (int i = 0; i < COUNT; i++)
        assert_true(small_sample_is(i, EDGE, images[i], continuous[i], discrete[i]));
}

/* The largest schema allowed: its text exceeds the 64 KB of a compact HDF5 attribute. */
static void large_schema_fits(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    fputs("name: large\ncontinuous:\n", out);
    for (int i = 0; i < LK_MAX_CONTINUOUS; i++)
        fprintf(out, "  - {name: some-rather-long-modifier-name/for-a-part-of-the-face-%d, min: -1, max: 1, default: 0}\n", i);
    fputs("discrete:\n", out);
    for (int i = 0; i < LK_MAX_GROUPS; i++)
        fprintf(out, "  - {name: g%d, choices: [x, y]}\n", i);
    fclose(out);
    lk_schema *schema;
    assert_int_equal(lk_schema_parse(text, "large", &schema), LK_OK);
    assert_true(strlen(schema->text) > 65536);
    static float continuous[LK_MAX_CONTINUOUS];
    static uint8_t discrete[LK_MAX_GROUPS], image[8 * 8 * 3];
    continuous[LK_MAX_CONTINUOUS - 1] = 0.75f;
    discrete[LK_MAX_GROUPS - 1] = 1;
    const lk_sample sample = {image, continuous, discrete, "one"};
    lk_shard_writer *writer;
    assert_int_equal(lk_shard_create("large.h5", schema, 8, 1, 0, "", &writer), LK_OK);
    assert_int_equal(lk_shard_append(writer, &sample), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_OK);
    lk_dataset *set = open_set("large.h5");
    static float got[LK_MAX_CONTINUOUS];
    static uint8_t choices[LK_MAX_GROUPS];
    assert_int_equal(lk_dataset_read(set, 0, image, got, choices, NULL), LK_OK);
    assert_true(got[LK_MAX_CONTINUOUS - 1] == 0.75f && choices[LK_MAX_GROUPS - 1] == 1);
    assert_string_equal(lk_dataset_schema(set)->text, schema->text);
    lk_dataset_close(set);
    lk_schema_free(schema);
    free(text);
}

static lk_status read_one(void *context, int64_t i, int worker)
{
    (void)worker;
    small_sample *got = malloc(sizeof *got);
    int64_t number = i % COUNT;
    lk_status status = lk_dataset_read(context, number, got->image, got->continuous, got->discrete, got->key);
    char key[32];
    snprintf(key, sizeof key, "face-%lld", (long long)number);
    if (status == LK_OK && strcmp(got->key, key) != 0)
        status = lk_fail(LK_INTERNAL, "sample %lld came back as %s", (long long)number, got->key);
    free(got);
    return status;
}

static void many_threads_read_at_once(void **state)
{
    (void)state;
    small_shard("threads.h5", EDGE, 0, COUNT, COUNT, 90);
    lk_dataset *set = open_set("threads.h5");
    assert_int_equal(lk_parallel_for(4, 400, read_one, set), LK_OK);
    lk_dataset_close(set);
}

/* ---- writing ---- */

static void bad_samples_are_refused(void **state)
{
    (void)state;
    lk_schema *schema = small_schema();
    lk_shard_writer *writer;
    static small_sample s;
    char long_key[LK_KEY_SIZE + 1];
    memset(long_key, 'k', LK_KEY_SIZE);
    long_key[LK_KEY_SIZE] = '\0';
    assert_int_equal(lk_shard_create("refuse.h5", schema, EDGE, 1, 0, "", &writer), LK_OK);
    small_sample_make(0, EDGE, &s);
    lk_sample sample = {s.image, s.continuous, s.discrete, s.key};
    const char *keys[] = {"", "a\nb", long_key};
    for (int i = 0; i < 3; i++) {
        sample.key = keys[i];
        assert_int_equal(lk_shard_append(writer, &sample), LK_BAD_DATA);
    }
    sample.key = s.key;
    const float values[] = {-0.01f, 1.01f, 0.0f / 0.0f, 1.0f / 0.0f};
    for (int i = 0; i < 4; i++) {
        s.continuous[2] = values[i];
        assert_int_equal(lk_shard_append(writer, &sample), LK_BAD_DATA);
        assert_non_null(strstr(lk_error_text(), "'c' is"));
    }
    s.continuous[2] = 0.5f;
    s.discrete[0] = 3;
    assert_int_equal(lk_shard_append(writer, &sample), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "group 'hair' has choice 3, but only 3 choices"));
    s.discrete[0] = 2;
    assert_int_equal(lk_shard_append(writer, &sample), LK_OK);
    assert_int_equal(lk_shard_append(writer, &sample), LK_USAGE);
    lk_shard_abort(writer);
    assert_false(exists("refuse.h5"));

    assert_int_equal(lk_shard_create("none.h5", schema, EDGE, 5, 0, "", &writer), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_BAD_DATA);
    assert_false(exists("none.h5"));
    assert_int_equal(lk_shard_create("bad.h5", schema, 0, 5, 0, "", &writer), LK_USAGE);
    assert_int_equal(lk_shard_create("bad.h5", schema, EDGE, 0, 0, "", &writer), LK_USAGE);
    assert_int_equal(lk_shard_create("bad.h5", schema, EDGE, 5, 101, "", &writer), LK_USAGE);
    assert_int_equal(lk_shard_create("no/folder/bad.h5", schema, EDGE, 5, 0, "", &writer), LK_IO);
    assert_null(writer);
    lk_schema_free(schema);
}

static void nothing_is_visible_before_the_commit(void **state)
{
    (void)state;
    lk_schema *schema = small_schema();
    assert_int_equal(lk_make_folder("quiet"), LK_OK);
    lk_shard_writer *writer;
    assert_int_equal(lk_shard_create("quiet/a.h5", schema, EDGE, COUNT, 0, "", &writer), LK_OK);
    assert_int_equal(small_append(writer, 0, EDGE), LK_OK);
    assert_int_equal(count_files("quiet"), 0);
    assert_int_equal(lk_shard_commit(writer), LK_OK);
    assert_int_equal(count_files("quiet"), 1);
    lk_schema_free(schema);
}

/* A file system of 300 KB under ./full, visible to this process alone. */
static bool mount_small_disk(void)
{
    return lk_make_folder("full") == LK_OK && (unshare(CLONE_NEWNS) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("none", "full", "tmpfs", 0, "size=300k") == 0;
}

static void a_full_disk_is_told_and_leaves_nothing(void **state)
{
    (void)state;
    if (!mount_small_disk())
        skip(); /* needs root or user namespaces */
    lk_schema *schema = small_schema();
    lk_shard_writer *writer;
    enum { SAMPLE = EDGE * EDGE * 3 }; /* 3 KB: 100 of them fill the disk */

    /* While samples come. */
    assert_int_equal(lk_shard_create("full/a.h5", schema, EDGE, 200, 0, "", &writer), LK_OK);
    lk_status status = LK_OK;
    int appended = 0;
    while (status == LK_OK && appended < 200)
        status = small_append(writer, appended++, EDGE);
    assert_int_equal(status, LK_IO);
    assert_in_range(appended, 90, 101);
    assert_non_null(strstr(lk_error_text(), "full/a.h5: cannot write: the disk is full, "));
    assert_non_null(strstr(lk_error_text(), " bytes are missing"));
    lk_shard_abort(writer);
    assert_int_equal(count_files("full"), 0);

    /* While the shard is filled: its pictures fit once, not twice. */
    assert_int_equal(lk_shard_create("full/b.h5", schema, EDGE, 200, 0, "", &writer), LK_OK);
    for (int i = 0; i < 60; i++)
        assert_int_equal(small_append(writer, i, EDGE), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_IO);
    assert_non_null(strstr(lk_error_text(), "full/b.h5: cannot write: the disk is full, "));
    assert_int_equal(count_files("full"), 0);

    /* While HDF5 writes the structure: hardly a page is left. */
    assert_int_equal(lk_shard_create("full/c.h5", schema, EDGE, 200, 0, "", &writer), LK_OK);
    for (int i = 0; i < 98; i++)
        assert_int_equal(small_append(writer, i, EDGE), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_IO);
    assert_non_null(strstr(lk_error_text(), "full/c.h5: cannot write: the disk is full, "));
    assert_int_equal(count_files("full"), 0);

    /* The disk serves again. */
    small_shard("full/d.h5", EDGE, 0, 20, 20, 0);
    assert_int_equal(count_files("full"), 1);
    assert_int_equal(umount2("full", MNT_DETACH), 0);
    lk_schema_free(schema);
}

int main(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* the tests' own calls */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(raw_samples_come_back),
        cmocka_unit_test(jpeg_samples_come_back_as_encoded),
        cmocka_unit_test(content_hash_ignores_how_shards_are_cut),
        cmocka_unit_test(same_samples_give_the_same_bytes),
        cmocka_unit_test(arrays_are_plain_hdf5),
        cmocka_unit_test(large_schema_fits),
        cmocka_unit_test(many_threads_read_at_once),
        cmocka_unit_test(bad_samples_are_refused),
        cmocka_unit_test(nothing_is_visible_before_the_commit),
        cmocka_unit_test(a_full_disk_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
