/* Shards: what is written is read back; every kind of damage is found; failures leave nothing behind. */
#include "base/file.h"
#include "base/hash.h"
#include "base/thread.h"
#include "dataset/image.h"
#include "dataset/shard_format.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/small_shards.h"

enum { EDGE = 32, COUNT = 12 };

static lk_dataset *open_set(const char *path)
{
    lk_dataset *set;
    lk_status status = lk_dataset_open(&path, 1, &set);
    if (status != LK_OK)
        fail_msg("%s", lk_error_text());
    return set;
}

/* Opening fails with LK_BAD_DATA and a sentence that holds `part`. */
static void assert_refused(const char *path, const char *part)
{
    lk_dataset *set;
    assert_int_equal(lk_dataset_open(&path, 1, &set), LK_BAD_DATA);
    assert_null(set);
    if (!strstr(lk_error_text(), part))
        fail_msg("'%s' does not hold '%s'", lk_error_text(), part);
    assert_null(strchr(lk_error_text(), '\n'));
}

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

/* ---- damage ---- */

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

static void put_bytes(const char *path, const char *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void put_at(int fd, const void *data, size_t size, off_t at)
{
    assert_int_equal(pwrite(fd, data, size, at), size);
}

/* Opens and reads everything: LK_OK only if all of it is what was written. */
static lk_status read_all(const char *path, const small_sample *want)
{
    lk_dataset *set;
    LK_TRY(lk_dataset_open(&path, 1, &set));
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
    assert_int_equal(lk_shard_open("whole.h5", &schema, "", &shard), LK_OK);
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
        assert_int_equal(lk_shard_open("labels.h5", &schema, "", &shard), LK_OK);
        static small_sample s;
        small_sample_make(3, EDGE, &s);
        s.continuous[SMALL_NC - 1] = cases[k].continuous;
        s.discrete[SMALL_GROUPS - 1] = cases[k].discrete;
        uint64_t checksum =
            lk_sample_checksum(s.image, EDGE * EDGE * 3, s.continuous, SMALL_NC, s.discrete, SMALL_GROUPS, s.key);
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
    assert_refused("no/such/place", "no/such/place: cannot open the data set: No such file");
    assert_int_equal(lk_make_folder("empty"), LK_OK);
    assert_refused("empty", "empty: the folder has no shards (*.h5)");
    assert_int_equal(lk_write_file("text.h5", "hello", 5), LK_OK);
    assert_refused("text.h5", "text.h5: cannot open the shard");
    assert_int_equal(mkfifo("pipe.h5", 0666), 0);
    assert_refused("pipe.h5", "pipe.h5: is not a regular file");
    hid_t file = H5Fcreate("foreign.h5", H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    H5Fclose(file);
    assert_refused("foreign.h5", "foreign.h5: has no readable attribute 'format'");
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
    assert_false(lk_path_exists("refuse.h5"));

    assert_int_equal(lk_shard_create("none.h5", schema, EDGE, 5, 0, "", &writer), LK_OK);
    assert_int_equal(lk_shard_commit(writer), LK_BAD_DATA);
    assert_false(lk_path_exists("none.h5"));
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
        cmocka_unit_test(flipped_bits_are_found_raw),
        cmocka_unit_test(flipped_bits_are_found_jpeg),
        cmocka_unit_test(impossible_labels_are_refused),
        cmocka_unit_test(shards_cut_short_are_refused),
        cmocka_unit_test(a_shard_cut_after_opening_is_an_error),
        cmocka_unit_test(missing_empty_and_foreign_are_refused),
        cmocka_unit_test(wrong_attributes_are_refused),
        cmocka_unit_test(wrong_arrays_are_refused),
        cmocka_unit_test(two_schemas_or_sizes_in_one_set_are_refused),
        cmocka_unit_test(too_many_shards_for_the_limit_say_so),
        cmocka_unit_test(bad_samples_are_refused),
        cmocka_unit_test(nothing_is_visible_before_the_commit),
        cmocka_unit_test(a_full_disk_is_told_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
