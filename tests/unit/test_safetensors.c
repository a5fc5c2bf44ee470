/* Files of our own writer come back; a file of Python's safetensors is read; every damage is found and named.
 * written.safetensors is left in the current folder for tests/run/safetensors.sh, which loads it in Python. */
#include "trainer/model/safetensors.h"

#include "base/file.h"
#include "base/hash.h"
#include "base/random.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static const float floats[6] = {0.0f, -0.0f, 1.5f, -2.25f, 3e38f, 1e-40f};
static const double doubles[2] = {0.1, -1e300};
static const uint16_t halves[3] = {0x3f80, 0xc000, 0x4049}; /* 1, -2, 3.140625 */
static const int64_t number = -1234567890123;
static const uint8_t bytes[5] = {0, 1, 127, 128, 255};

static const lk_safetensor written[] = {
    {.name = "f32", .dtype = LK_DTYPE_F32, .dims = 2, .shape = {2, 3}, .data = floats},
    {.name = "bf16", .dtype = LK_DTYPE_BF16, .dims = 1, .shape = {3}, .data = halves},
    {.name = "u8", .dtype = LK_DTYPE_U8, .dims = 1, .shape = {5}, .data = bytes},
    {.name = "f64 \"quoted\" \xc3\xa9", .dtype = LK_DTYPE_F64, .dims = 1, .shape = {2}, .data = doubles},
    {.name = "i64", .dtype = LK_DTYPE_I64, .dims = 0, .data = &number},
    {.name = "empty", .dtype = LK_DTYPE_F32, .dims = 2, .shape = {0, 4}, .data = NULL},
};
enum { WRITTEN = sizeof written / sizeof *written };
static const lk_safetensors_note notes[] = {{"format", "pt"}, {"schema", "{\"a\": 1}\n"}};

static void assert_holds(const lk_safetensors *file, const lk_safetensor *want)
{
    const lk_safetensor *have = lk_safetensors_find(file, want->name);
    assert_non_null(have);
    assert_int_equal(have->dtype, want->dtype);
    assert_int_equal(have->dims, want->dims);
    assert_memory_equal(have->shape, want->shape, sizeof want->shape);
    char data[64] = {0};
    assert_in_range(lk_safetensor_bytes(have), 0, sizeof data);
    assert_ok(lk_safetensors_read(file, have, data));
    if (want->data)
        assert_memory_equal(data, want->data, lk_safetensor_bytes(have));
}

static void tensors_and_notes_come_back(void **state)
{
    (void)state;
    uint64_t hash = 0, again = 1;
    assert_ok(lk_safetensors_write("written.safetensors", written, WRITTEN, notes, 2, &hash));
    lk_safetensors *file;
    assert_ok(lk_safetensors_open("written.safetensors", &file));
    assert_int_equal(lk_safetensors_count(file), WRITTEN);
    for (int i = 0; i < WRITTEN; i++)
        assert_holds(file, &written[i]);
    /* wide elements first, so that all are aligned; the order given otherwise */
    assert_string_equal(lk_safetensors_at(file, 0)->name, written[3].name);
    assert_string_equal(lk_safetensors_at(file, 1)->name, "i64");
    assert_string_equal(lk_safetensors_at(file, WRITTEN - 1)->name, "u8");
    assert_string_equal(lk_safetensors_note_of(file, "schema"), notes[1].value);
    assert_null(lk_safetensors_note_of(file, "none"));
    assert_null(lk_safetensors_find(file, "none"));
    assert_null(lk_safetensors_find(file, "__metadata__"));

    char *data;
    size_t size;
    assert_ok(lk_read_file("written.safetensors", 1 << 20, &data, &size));
    assert_ok(lk_safetensors_hash(file, &again));
    assert_int_equal(hash, again);
    assert_int_equal(hash, lk_hash(data, size));
    uint64_t header;
    memcpy(&header, data, 8);
    assert_int_equal(header % 8, 0);
    free(data);
    lk_safetensors_close(file);
}

static void a_file_cut_after_opening_is_an_error(void **state)
{
    (void)state;
    enum { ELEMENTS = 3 << 20 }; /* more than one block of the hash */
    float *values = malloc(ELEMENTS * sizeof *values), *back = calloc(ELEMENTS, sizeof *back);
    for (int i = 0; i < ELEMENTS; i++)
        values[i] = (float)i;
    lk_safetensor tensor = {.name = "x", .dtype = LK_DTYPE_F32, .dims = 3, .shape = {3, 1024, 1024}, .data = values};
    uint64_t hash, again;
    assert_ok(lk_safetensors_write("large.safetensors", &tensor, 1, NULL, 0, &hash));
    lk_safetensors *file;
    assert_ok(lk_safetensors_open("large.safetensors", &file));
    assert_ok(lk_safetensors_read(file, lk_safetensors_find(file, "x"), back));
    assert_memory_equal(values, back, ELEMENTS * sizeof *values);
    assert_ok(lk_safetensors_hash(file, &again));
    assert_int_equal(hash, again);
    assert_int_equal(truncate("large.safetensors", 1 << 20), 0);
    assert_int_equal(lk_safetensors_read(file, lk_safetensors_at(file, 0), back), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "tensor \"x\""));
    lk_safetensors_close(file);
    free(values);
    free(back);
}

static void a_file_of_python_is_read(void **state)
{
    (void)state;
    const char *root = getenv("LIKENESS_ROOT");
    char path[LK_PATH_SIZE];
    assert_ok(lk_path_join(path, root ? root : ".", "tests/oracle/fixtures/python.safetensors"));
    lk_safetensors *file;
    assert_ok(lk_safetensors_open(path, &file));
    assert_int_equal(lk_safetensors_count(file), WRITTEN);
    for (int i = 0; i < WRITTEN; i++)
        assert_holds(file, &written[i]);
    assert_string_equal(lk_safetensors_note_of(file, "format"), "pt");
    lk_safetensors_close(file);
}

static void write_raw(const char *path, const char *header, size_t data)
{
    char block[4096] = {0};
    uint64_t length = strlen(header);
    assert_true(8 + length + data <= sizeof block);
    memcpy(block, &length, 8);
    memcpy(block + 8, header, length);
    assert_ok(lk_write_file(path, block, 8 + length + data));
}

/* Headers that must be refused, the bytes of data behind them, and a word of the sentence. */
static const struct refused {
    const char *header;
    size_t data;
    const char *word;
} refused[] = {
    {"", 0, "header"},
    {"[]", 0, "header"},
    {" {}", 0, "header"},
    {"{", 0, "header"},
    {"{} x", 0, "header"},
    {"{}", 4, "after its last tensor"},
    {"{\"a\":1}", 0, "\"a\""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "\"a\""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", 4, "\"a\""},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
    {"{\"a\":{\"dtype\":32,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}", 4, "header"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "agree"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,4611686018427387904,4],\"data_offsets\":[0,0]}}", 0, "agree"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, "agree"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, "agree"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, "offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[-4,0]}}", 4, "offsets"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, "truncated"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 5, "after its last tensor"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, "hole"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}",
     12, "\"b\""},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},"
     "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "overlap"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "duplicate key"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
     "\"\\u0061\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
     8, "duplicate key"},
    {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "duplicate key"},
    {"{\"\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name"},
    {"{\"a\\nb\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "name"},
    {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "header"},
    {"{\"\xff\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, "header"},
    {"{\"__metadata__\":1}", 0, "__metadata__"},
    {"{\"__metadata__\":{\"a\":1}}", 0, "__metadata__"},
};

static void git_lfs_pointers_are_told(void **state)
{
    (void)state;
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13245\n";
    lk_safetensors *file;
    assert_int_equal(lk_write_file("lfs.safetensors", pointer, sizeof pointer - 1), LK_OK);
    assert_int_equal(lk_safetensors_open("lfs.safetensors", &file), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "lfs.safetensors: is a Git LFS pointer"));
}

static void hostile_headers_are_refused(void **state)
{
    (void)state;
    lk_safetensors *file;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        write_raw("bad.safetensors", refused[i].header, refused[i].data);
        if (lk_safetensors_open("bad.safetensors", &file) != LK_BAD_DATA)
            fail_msg("accepted: %s", refused[i].header);
        assert_null(file);
        if (!strstr(lk_error_text(), refused[i].word) || !strstr(lk_error_text(), "bad.safetensors"))
            fail_msg("%s: says \"%s\"", refused[i].header, lk_error_text());
    }
    write_raw("good.safetensors",
              "{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]},"
              "\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},\"__metadata__\":{}}   ",
              8);
    assert_ok(lk_safetensors_open("good.safetensors", &file));
    assert_string_equal(lk_safetensors_at(file, 0)->name, "a");
    lk_safetensors_close(file);
}

static void hostile_lengths_are_refused(void **state)
{
    (void)state;
    lk_safetensors *file;
    static const uint64_t lengths[] = {3, 100, LK_SAFETENSORS_HEADER_LIMIT + 1, (uint64_t)1 << 62, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char block[10];
        memcpy(block, &lengths[i], 8);
        memcpy(block + 8, "{}", 2);
        assert_ok(lk_write_file("length.safetensors", block, sizeof block));
        assert_int_equal(lk_safetensors_open("length.safetensors", &file), LK_BAD_DATA);
    }
    assert_int_equal(lk_safetensors_open("missing.safetensors", &file), LK_BAD_DATA);
    assert_int_equal(lk_safetensors_open(".", &file), LK_BAD_DATA);
    assert_ok(lk_write_file("length.safetensors", "", 0));
    assert_int_equal(lk_safetensors_open("length.safetensors", &file), LK_BAD_DATA);
}

/* Truncation anywhere is found by opening; a flipped bit anywhere by opening or by the hash. */
static void all_damage_is_found(void **state)
{
    (void)state;
    uint64_t hash, damaged;
    char *data;
    size_t size;
    lk_safetensors *file;
    assert_ok(lk_safetensors_write("whole.safetensors", written, WRITTEN, notes, 2, &hash));
    assert_ok(lk_read_file("whole.safetensors", 1 << 20, &data, &size));
    for (size_t cut = 0; cut < size; cut++) {
        put_bytes("cut.safetensors", data, cut);
        assert_int_equal(lk_safetensors_open("cut.safetensors", &file), LK_BAD_DATA);
    }
    int opened = 0;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        data[bit / 8] ^= (char)(1 << bit % 8);
        put_bytes("flip.safetensors", data, size);
        data[bit / 8] ^= (char)(1 << bit % 8);
        lk_status status = lk_safetensors_open("flip.safetensors", &file);
        if (status != LK_OK) {
            assert_int_equal(status, LK_BAD_DATA);
            continue;
        }
        assert_ok(lk_safetensors_hash(file, &damaged));
        assert_int_not_equal(hash, damaged);
        lk_safetensors_close(file);
        opened++;
    }
    assert_true(opened > 0);
    free(data);
}

/* Random edits of a good header: nothing but LK_OK and LK_BAD_DATA, and no crash under the sanitizers. */
static void edited_headers_do_no_harm(void **state)
{
    (void)state;
    lk_random random = lk_random_make(7, 0);
    static const char alphabet[] = "{}[]\",:0129-.eF36a\\u";
    char *data;
    size_t size;
    assert_ok(lk_safetensors_write("whole.safetensors", written, WRITTEN, notes, 2, NULL));
    assert_ok(lk_read_file("whole.safetensors", 1 << 20, &data, &size));
    for (int round = 0; round < 3000; round++) {
        char *edited = malloc(size);
        memcpy(edited, data, size);
        for (uint32_t edits = 1 + lk_random_below(&random, 4); edits > 0; edits--)
            edited[8 + lk_random_below(&random, (uint32_t)size - 8)] = alphabet[lk_random_below(&random, sizeof alphabet - 1)];
        put_bytes("edit.safetensors", edited, size);
        lk_safetensors *file;
        lk_status status = lk_safetensors_open("edit.safetensors", &file);
        assert_true(status == LK_OK || status == LK_BAD_DATA);
        lk_safetensors_close(file);
        free(edited);
    }
    free(data);
}

static void the_writer_refuses_what_no_reader_takes(void **state)
{
    (void)state;
    lk_safetensor bad[2] = {written[0], written[0]};
    assert_int_equal(lk_safetensors_write("no.safetensors", bad, 2, NULL, 0, NULL), LK_INTERNAL); /* one name twice */
    bad[0].name = "__metadata__";
    assert_int_equal(lk_safetensors_write("no.safetensors", bad, 1, NULL, 0, NULL), LK_INTERNAL);
    bad[0].name = "\xff";
    assert_int_equal(lk_safetensors_write("no.safetensors", bad, 1, NULL, 0, NULL), LK_INTERNAL);
    bad[0] = written[0];
    bad[0].shape[0] = -1;
    assert_int_equal(lk_safetensors_write("no.safetensors", bad, 1, NULL, 0, NULL), LK_INTERNAL);
    assert_int_equal(lk_safetensors_write("no/such/folder.safetensors", written, 1, NULL, 0, NULL), LK_IO);
    assert_false(exists("no.safetensors"));
}

/* A file size limit stands for the full disk: the old file stays, no part of the new one is left. */
static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    enum { ELEMENTS = 1 << 18 };
    float *values = calloc(ELEMENTS, sizeof *values);
    lk_safetensor tensor = {.name = "x", .dtype = LK_DTYPE_F32, .dims = 1, .shape = {ELEMENTS}, .data = values};
    assert_ok(lk_safetensors_write("kept.safetensors", written, 1, NULL, 0, NULL));
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 1 << 16;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    lk_status status = lk_safetensors_write("kept.safetensors", &tensor, 1, NULL, 0, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(status, LK_IO);
    assert_non_null(strstr(lk_error_text(), "File too large"));
    lk_safetensors *file;
    assert_ok(lk_safetensors_open("kept.safetensors", &file));
    assert_holds(file, &written[0]);
    lk_safetensors_close(file);
    lk_names names;
    assert_ok(lk_list_folder(".", "", &names));
    for (size_t i = 0; i < names.count; i++)
        assert_null(strstr(names.names[i], ".tmp-"));
    lk_names_free(&names);
    free(values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_and_notes_come_back),
        cmocka_unit_test(a_file_cut_after_opening_is_an_error),
        cmocka_unit_test(a_file_of_python_is_read),
        cmocka_unit_test(hostile_headers_are_refused),
        cmocka_unit_test(git_lfs_pointers_are_told),
        cmocka_unit_test(hostile_lengths_are_refused),
        cmocka_unit_test(all_damage_is_found),
        cmocka_unit_test(edited_headers_do_no_harm),
        cmocka_unit_test(the_writer_refuses_what_no_reader_takes),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
