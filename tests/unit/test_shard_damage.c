/* Damaged, foreign and contradictory shards: every kind is found, and told in one sentence. */
#include "base/file.h"
#include "base/hash.h"
#include "base/version.h"
#include "dataset/shard_format.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/small_shards.h"

enum { EDGE = 32, COUNT = 12 };

static lk_shard_checker checker; /* one for the thousands of files that are opened here */

/* ---- damage ---- */

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

static void put_at(int fd, const void *data, size_t size, off_t at)
{
    assert_int_equal(pwrite(fd, data, size, at), size);
}

/* Opens and reads everything: LK_OK only if all of it is what was written. */
static lk_status read_all(const char *path, const small_sample *want)
{
    lk_dataset *set;
    LK_TRY(lk_dataset_open_through(&checker, &path, 1, &set));
    static small_sample got;
    lk_status status = LK_OK;
    assert_int_equal(lk_dataset_count(set), COUNT);
    for (int i = 0; i < COUNT && status == LK_OK; i++) {
        memset(&got, 0, sizeof got);
        status = lk_dataset_read(set, i, got.image, got.continuous, got.discrete, got.key);
        if (status == LK_OK)
            assert_memory_equal(&got, &want[i], sizeof got);
    }
    lk_dataset_close(set);
    return status;
}

static small_sample *read_reference(const char *path)
{
    small_sample *want = calloc(COUNT, sizeof *want);
    lk_dataset *set = open_set(path);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(lk_dataset_read(set, i, want[i].image, want[i].continuous, want[i].discrete, want[i].key), LK_OK);
    lk_dataset_close(set);
    return want;
}

/* Turns one bit of flipped.h5, which holds `file`, reads everything, and turns it back. */
static void flip(const bytes *file, size_t at, unsigned bit, const small_sample *want, bool must_fail)
{
    char damaged = (char)(file->data[at] ^ (1 << bit));
    int fd = open("flipped.h5", O_WRONLY);
    put_at(fd, &damaged, 1, (off_t)at);
    lk_status status = read_all("flipped.h5", want);
    put_at(fd, &file->data[at], 1, (off_t)at);
    close(fd);
    if (status != LK_BAD_DATA && (must_fail || status != LK_OK))
        fail_msg("bit %u of byte %zu of %zu: status %d (%s)", bit, at, file->size, (int)status, lk_error_text());
}

/* Flips in every array and in the first bytes must be found, and wherever a byte is not zero. Other flips may hit the zeros that
 * HDF5 leaves between its metadata and the arrays, which carry nothing: then everything still reads as it was written. */
static void check_flips(int jpeg_quality)
{
    small_shard("whole.h5", EDGE, 0, COUNT, COUNT, jpeg_quality);
    small_sample *want = read_reference("whole.h5");
    bytes file;
    assert_int_equal(lk_read_file("whole.h5", 1 << 24, &file.data, &file.size), LK_OK);

    put_bytes("flipped.h5", file.data, file.size);

    lk_schema *schema = NULL;
    lk_shard shard;
    assert_int_equal(lk_shard_open(&checker, "whole.h5", &schema, "", &shard), LK_OK);
    size_t pictures = jpeg_quality ? (size_t)shard.jpeg_offsets[COUNT] : (size_t)COUNT * EDGE * EDGE * 3;
    size_t keys = (size_t)COUNT * (size_t)shard.key_width;
    struct {
        size_t at, size;
        int flips;
    } regions[] = {
        {0, 48, 48},
        {(size_t)shard.picture_at, pictures, 80},
        {(size_t)shard.continuous_at, COUNT * SMALL_NC * sizeof(float), 60},
        {(size_t)shard.discrete_at, COUNT * SMALL_GROUPS, 60},
        {(size_t)shard.key_at, keys, 60},
        /* the checksums follow the keys */
        {(size_t)shard.key_at + keys, COUNT * sizeof(uint64_t), 60},
        /* JPEG offsets follow the pictures */
        {(size_t)shard.picture_at + pictures, (COUNT + 1) * sizeof(uint64_t), jpeg_quality ? 60 : 0},
    };
    lk_random random = lk_random_make(7, (uint64_t)jpeg_quality);
    for (size_t r = 0; r < sizeof regions / sizeof *regions; r++)
        for (int i = 0; i < regions[r].flips; i++) {
            size_t at = regions[r].at + (r == 0 ? (size_t)i : lk_random_below(&random, (uint32_t)regions[r].size));
            flip(&file, at, lk_random_below(&random, 8), want, true);
        }
    for (int i = 0; i < 200; i++) {
        size_t at = lk_random_below(&random, (uint32_t)file.size);
        flip(&file, at, lk_random_below(&random, 8), want, file.data[at] != 0);
    }
    /* All of the metadata before the arrays. */
    for (size_t at = 48; at < (size_t)shard.picture_at; at += file.data[at] != 0 ? 1 : 3)
        flip(&file, at, lk_random_below(&random, 8), want, file.data[at] != 0);
    lk_shard_close(&shard);
    lk_schema_free(schema);
    free(file.data);
    free(want);
}

static void flipped_bits_are_found_raw(void **state)
{
    (void)state;
    check_flips(0);
}

static void flipped_bits_are_found_jpeg(void **state)
{
    (void)state;
    check_flips(90);
}

/* Another program may write labels that fit no schema, with a checksum that is right. */
static void impossible_labels_are_refused(void **state)
{
    (void)state;
    const struct {
        float continuous;
        uint8_t discrete;
        const char *sentence;
    } cases[] = {
        {1.5f, 0, "labels.h5: sample 3: 'e' is 1.5, outside 0 to 1"},
        {0.0f / 0.0f, 0, "outside 0 to 1"},
        {0.5f, 2, "labels.h5: sample 3: group 'skin' has choice 2, but only 2 choices"},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        small_shard("labels.h5", EDGE, 0, COUNT, COUNT, 0);
        lk_schema *schema = NULL;
        lk_shard shard;
        assert_int_equal(lk_shard_open(&checker, "labels.h5", &schema, "", &shard), LK_OK);
        static small_sample s;
        small_sample_make(3, EDGE, &s);
        s.continuous[SMALL_NC - 1] = cases[k].continuous;
        s.discrete[SMALL_GROUPS - 1] = cases[k].discrete;
        uint64_t checksum = lk_sample_checksum(s.image, EDGE * EDGE * 3, s.continuous, SMALL_NC, s.discrete, SMALL_GROUPS, s.key);
        off_t checksums_at = shard.key_at + (off_t)COUNT * shard.key_width;
        int fd = open("labels.h5", O_WRONLY);
        put_at(fd, s.continuous, sizeof s.continuous, shard.continuous_at + 3 * (off_t)sizeof s.continuous);
        put_at(fd, s.discrete, sizeof s.discrete, shard.discrete_at + 3 * (off_t)sizeof s.discrete);
        put_at(fd, &checksum, sizeof checksum, checksums_at + 3 * (off_t)sizeof checksum);
        close(fd);
        lk_shard_close(&shard);
        lk_schema_free(schema);
        lk_dataset *set = open_set("labels.h5");
        assert_int_equal(lk_dataset_read(set, 3, s.image, s.continuous, s.discrete, NULL), LK_BAD_DATA);
        assert_non_null(strstr(lk_error_text(), cases[k].sentence));
        assert_int_equal(lk_dataset_read(set, 2, s.image, s.continuous, s.discrete, NULL), LK_OK);
        lk_dataset_close(set);
    }
}

static void shards_cut_short_are_refused(void **state)
{
    (void)state;
    small_shard("long.h5", EDGE, 0, COUNT, COUNT, 0);
    bytes file;
    assert_int_equal(lk_read_file("long.h5", 1 << 24, &file.data, &file.size), LK_OK);
    for (int i = 0; i <= 20; i++) {
        size_t size = file.size * (size_t)i / 20;
        size -= size == file.size;
        put_bytes("cut.h5", file.data, size);
        assert_refused("cut.h5", "cut.h5: cannot open the shard, which is damaged or not one: HDF5: ");
    }
    free(file.data);
}

static void a_shard_cut_after_opening_is_an_error(void **state)
{
    (void)state;
    small_shard("shrinks.h5", EDGE, 0, COUNT, COUNT, 0);
    lk_dataset *set = open_set("shrinks.h5");
    assert_int_equal(truncate("shrinks.h5", 3000), 0);
    static small_sample got;
    assert_int_equal(lk_dataset_read(set, COUNT - 1, got.image, got.continuous, got.discrete, NULL), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "shrinks.h5: the shard was cut short"));
    lk_dataset_close(set);
}

/* ---- foreign and contradictory files ---- */

static void missing_empty_and_foreign_are_refused(void **state)
{
    (void)state;
    assert_refused("no/such/place", "no/such/place: there is no such data set");
    assert_int_equal(lk_make_folder("empty"), LK_OK);
    assert_refused("empty", "empty: the folder has no shards (*.h5)");
    assert_int_equal(lk_write_file("text.h5", "hello", 5), LK_OK);
    assert_refused("text.h5", "text.h5: cannot open the shard");
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13245\n";
    assert_int_equal(lk_write_file("lfs.h5", pointer, sizeof pointer - 1), LK_OK);
    assert_refused("lfs.h5", "lfs.h5: is a Git LFS pointer");
    assert_int_equal(mkfifo("pipe.h5", 0666), 0);
    assert_refused("pipe.h5", "pipe.h5: is not a regular file");
    hid_t file = H5Fcreate("foreign.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_refused("foreign.h5", "foreign.h5: has no attribute 'format'; it is not a shard");
}

/* Opens a fresh shard for a change through HDF5. */
static hid_t open_for_change(const char *path)
{
    small_shard(path, EDGE, 0, COUNT, COUNT, 0);
    hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    assert_true(file >= 0);
    return file;
}

static void set_number(hid_t file, const char *name, uint64_t value)
{
    assert_true(H5Adelete(file, name) >= 0);
    assert_true(lk_h5_put_number(file, name, H5T_STD_U64LE, value) >= 0);
}

static void wrong_attributes_are_refused(void **state)
{
    (void)state;
    const struct {
        const char *name;
        uint64_t value;
        const char *sentence;
    } cases[] = {
        {"version", 2, "format version 2; this program reads version 1"},
        {"count", 0, "claims 0 samples"},
        {"count", UINT64_MAX, "claims 18446744073709551615 samples"},
        {"count", COUNT + 1, "/images does not have the type and shape"},
        {"size", 0, "claims pictures of 0 pixels"},
        {"size", 1u << 20, "claims pictures of 1048576 pixels"},
        {"size", 64, "/images does not have the type and shape"},
        {"schema_hash", 1, "the schema does not fit its hash"},
        {"format", 1, "attribute 'format' has the wrong type"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        hid_t file = open_for_change("changed.h5");
        set_number(file, cases[i].name, cases[i].value);
        H5Fclose(file);
        assert_refused("changed.h5", cases[i].sentence);
    }
    hid_t file = open_for_change("changed.h5");
    H5Adelete(file, "format");
    assert_true(lk_h5_put_text(file, "format", "other-shard") >= 0);
    H5Fclose(file);
    assert_refused("changed.h5", "not a shard of likeness");

    file = open_for_change("changed.h5");
    H5Adelete(file, "schema");
    H5Adelete(file, "schema_hash");
    const char *bad_schema = "name: x\ncontinuous: 7\ndiscrete: []\n";
    assert_true(lk_h5_put_text(file, "schema", bad_schema) >= 0);
    assert_true(lk_h5_put_number(file, "schema_hash", H5T_STD_U64LE, lk_hash(bad_schema, strlen(bad_schema))) >= 0);
    H5Fclose(file);
    assert_refused("changed.h5", "changed.h5: schema:2: continuous must be a list");
}

static const char *provenance_of(const char *path)
{
    static char text[LK_MAX_PROVENANCE];
    lk_dataset *set;
    assert_int_equal(lk_dataset_open(&path, 1, &set), LK_OK);
    snprintf(text, sizeof text, "%s", lk_dataset_provenance(set));
    lk_dataset_close(set);
    return text;
}

/* It says how the shard came to be and which build wrote it; a shard that says neither is as good as any. */
static void provenance_is_told_and_not_needed(void **state)
{
    (void)state;
    char expected[256];
    hid_t file = open_for_change("changed.h5");
    H5Fclose(file);
    snprintf(expected, sizeof expected, "a test; %s", lk_program());
    assert_string_equal(provenance_of("changed.h5"), expected);
    file = open_for_change("changed.h5");
    assert_true(H5Adelete(file, "provenance") >= 0);
    H5Fclose(file);
    assert_string_equal(provenance_of("changed.h5"), "");
    file = open_for_change("changed.h5");
    set_number(file, "provenance", 7);
    H5Fclose(file);
    assert_string_equal(provenance_of("changed.h5"), "");
}

/* Puts another array in the place of `name`. */
static void replace_array(hid_t file, const char *name, hid_t type, int rank, const hsize_t *dims, const hsize_t *chunk)
{
    assert_true(H5Ldelete(file, name, H5P_DEFAULT) >= 0);
    hid_t how = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, dims, NULL);
    if (chunk)
        H5Pset_chunk(how, rank, chunk);
    hid_t array = H5Dcreate2(file, name, type, space, H5P_DEFAULT, how, H5P_DEFAULT);
    assert_true(array >= 0);
    H5Dclose(array);
    H5Sclose(space);
    H5Pclose(how);
}

static void wrong_arrays_are_refused(void **state)
{
    (void)state;
    const hsize_t continuous[] = {COUNT, SMALL_NC}, wide[] = {COUNT, SMALL_NC + 1}, row[] = {COUNT};
    hid_t file = open_for_change("arrays.h5");
    replace_array(file, "continuous", H5T_IEEE_F32LE, 2, wide, NULL);
    H5Fclose(file);
    assert_refused("arrays.h5", "/continuous does not have the type and shape");

    file = open_for_change("arrays.h5");
    replace_array(file, "continuous", H5T_IEEE_F64LE, 2, continuous, NULL);
    H5Fclose(file);
    assert_refused("arrays.h5", "/continuous does not have the type and shape");

    file = open_for_change("arrays.h5");
    replace_array(file, "continuous", H5T_IEEE_F32LE, 2, continuous, continuous);
    H5Fclose(file);
    assert_refused("arrays.h5", "/continuous is not contiguous");

    file = open_for_change("arrays.h5");
    replace_array(file, "continuous", H5T_IEEE_F32LE, 2, continuous, NULL); /* never written: it has no place */
    H5Fclose(file);
    assert_refused("arrays.h5", "/continuous does not lie inside the file");

    hid_t text = H5Tcopy(H5T_C_S1);
    H5Tset_size(text, LK_KEY_SIZE + 1);
    file = open_for_change("arrays.h5");
    replace_array(file, "key", text, 1, row, NULL);
    H5Fclose(file);
    assert_refused("arrays.h5", "/key does not have the type and shape");
    H5Tset_size(text, H5T_VARIABLE);
    file = open_for_change("arrays.h5");
    replace_array(file, "key", text, 1, row, NULL);
    H5Fclose(file);
    assert_refused("arrays.h5", "/key does not have the type and shape");
    H5Tclose(text);

    file = open_for_change("arrays.h5");
    H5Ldelete(file, "images", H5P_DEFAULT);
    H5Lcreate_external("raw.h5", "images", file, "images", H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_refused("arrays.h5", "has no array /images");
}

static void two_schemas_or_sizes_in_one_set_are_refused(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("schemas"), LK_OK);
    small_shard("schemas/a.h5", EDGE, 0, COUNT, COUNT, 0);
    lk_schema *other;
    char *text = strdup(small_schema_text);
    *strstr(text, "bob") = 'm';
    assert_int_equal(lk_schema_parse(text, "other", &other), LK_OK);
    free(text);
    lk_shard_writer *writer;
    assert_int_equal(lk_shard_create("schemas/b.h5", other, EDGE, 1, 0, "", &writer), LK_OK);
    assert_int_equal(small_append(writer, 0, EDGE), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_OK);
    lk_schema_free(other);
    assert_refused("schemas",
                   "the schemas of schemas/a.h5 and schemas/b.h5 differ: choice 2 of group 'hair' is 'bob' against 'mob'");

    assert_int_equal(lk_make_folder("sizes"), LK_OK);
    small_shard("sizes/a.h5", EDGE, 0, COUNT, COUNT, 0);
    small_shard("sizes/b.h5", 64, 0, 1, 1, 0);
    assert_refused("sizes", "sizes/a.h5 has pictures of 32 pixels a side and sizes/b.h5 of 64");
}

static void too_many_shards_for_the_limit_say_so(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("many"), LK_OK);
    for (int i = 0; i < 30; i++) {
        char path[64];
        snprintf(path, sizeof path, "many/%02d.h5", i);
        small_shard(path, 8, i, 1, 1, 0);
    }
    struct rlimit before, low;
    getrlimit(RLIMIT_NOFILE, &before);
    low = before;
    low.rlim_cur = 24;
    setrlimit(RLIMIT_NOFILE, &low);
    const char *path = "many";
    lk_dataset *set;
    lk_status status = lk_dataset_open(&path, 1, &set);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(status, LK_IO);
    assert_non_null(strstr(lk_error_text(), "too many open files"));
    set = open_set("many");
    assert_int_equal(lk_dataset_count(set), 30);
    lk_dataset_close(set);
}

int main(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* the tests' own calls */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flipped_bits_are_found_raw),
        cmocka_unit_test(flipped_bits_are_found_jpeg),
        cmocka_unit_test(impossible_labels_are_refused),
        cmocka_unit_test(shards_cut_short_are_refused),
        cmocka_unit_test(a_shard_cut_after_opening_is_an_error),
        cmocka_unit_test(missing_empty_and_foreign_are_refused),
        cmocka_unit_test(wrong_attributes_are_refused),
        cmocka_unit_test(provenance_is_told_and_not_needed),
        cmocka_unit_test(wrong_arrays_are_refused),
        cmocka_unit_test(two_schemas_or_sizes_in_one_set_are_refused),
        cmocka_unit_test(too_many_shards_for_the_limit_say_so),
    };
    checker = LK_SHARD_CHECKER;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    lk_shard_checker_end(&checker);
    return failed;
}
