/* Packing archives that are damaged, cut short, encrypted, nested or none: a clear error or a named refusal, never a part in
 * silence, and nothing is written outside the output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#include "tests/unit/small_shards.h"

#include "base/random.h"
#include "dataset/parameters.h"
#include "tests/unit/pack_data.h"

enum { EDGE = 40 };

static void archives_cut_short(void **state)
{
    (void)state;
    static const char *const kinds[] = {"cut.tar", "cut.tar.gz", "cut.tar.zst", "cut.tar.xz", "cut.zip", "cut.7z", "cut.tar.bz2"};
    enum { KINDS = sizeof kinds / sizeof *kinds };
    captures c = {0};
    capture_pairs(&c, 30, EDGE);
    for (int kind = 0; kind < KINDS; kind++) {
        char *data;
        size_t size;
        captures_archive(&c, kinds[kind], NULL, NULL);
        assert_int_equal(lk_read_file(kinds[kind], 64 << 20, &data, &size), LK_OK);
        for (int part = 0; part < 20; part++) {
            char out[64];
            snprintf(out, sizeof out, "out-cut-%d-%d", kind, part);
            assert_int_equal(lk_write_file(kinds[kind], data, size * (size_t)part / 20), LK_OK);
            lk_status status = pack_with(kinds[kind], out, NULL);
            /* A zip whose directory at the end is cut off may still give all its entries. */
            bool all = status == LK_OK && report_number(out, "taken") == 30;
            if (!all && (status != LK_BAD_DATA || !strstr(lk_error_text(), kinds[kind])))
                fail_msg("%s cut to %d/20: status %d, %s", kinds[kind], part, status, lk_error_text());
            if (all)
                assert_string_equal(kinds[kind], "cut.zip");
        }
        free(data);
    }
    captures_free(&c);
}

/* A tar that ends where an entry ends looks whole to libarchive. */
static void a_tar_cut_between_entries(void **state)
{
    (void)state;
    captures c = {0};
    char *data;
    size_t size;
    capture_pairs(&c, 10, EDGE);
    captures_archive(&c, "whole.tar", NULL, NULL);
    assert_int_equal(lk_read_file("whole.tar", 64 << 20, &data, &size), LK_OK);
    while (size >= 512 && data[size - 1] == '\0' && memcmp(data + size - 512, (char[512]){0}, 512) == 0)
        size -= 512;
    assert_int_equal(lk_write_file("between.tar", data, size), LK_OK);
    expect_error("between.tar", "end marker", NULL);
    free(data);
    captures_free(&c);
}

/* What stands behind an archive is not lost in silence: zeros are padding, all else is an error. */
static void what_follows_an_archive(void **state)
{
    (void)state;
    static const char *const endings[] = {"tar", "tar.gz", "tar.zst", "tar.xz", "tar.bz2", "zip", "7z"};
    static const uint8_t zeros[20480];
    captures c = {0};
    char one[32], other[32], joined[32];
    capture_pairs(&c, 2, EDGE);
    assert_int_equal(lk_write_file("zeros", zeros, sizeof zeros), LK_OK);
    assert_int_equal(lk_write_file("words", "these words were not there\n", 27), LK_OK);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        snprintf(one, sizeof one, "one.%s", endings[i]);
        snprintf(joined, sizeof joined, "behind.%s", endings[i]);
        captures_archive(&c, one, NULL, NULL);
        if (strcmp(endings[i], "zip") != 0) { /* text behind a zip is its comment */
            join_files(one, "words", joined);
            expect_error(joined, "other bytes", NULL);
        }
        snprintf(other, sizeof other, "out-padded-%zu", i);
        join_files(one, "zeros", joined);
        lk_status status = pack_with(joined, other, NULL);
        if (strcmp(endings[i], "tar.zst") == 0)
            assert_int_equal(status, LK_BAD_DATA); /* where zstd itself refuses them */
        else if (status != LK_OK)
            fail_msg("%s: %s", joined, lk_error_text());
    }
    static const char *const pairs[][2] = {{"one.tar.gz", "one.tar"},  {"one.tar.bz2", "one.tar"}, {"one.tar.zst", "one.tar"},
                                           {"one.tar", "one.tar.gz"},  {"one.zip", "one.zip"},     {"one.7z", "one.7z"},
                                           {"one.tar.bz2", "one.zip"}, {"one.tar", "one.zip"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        join_files(pairs[i][0], pairs[i][1], "pair");
        expect_error("pair", strstr(pairs[i][1], "zip") && i == 4 ? "does not list its first entries" : "other bytes", NULL);
    }
    join_files("one.zip", "one.zip", "pair");
    assert_int_equal(pack_standard_input("pair", "out-pair"), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "other bytes follow the archive"));
    captures_free(&c);
}

/* A method that libarchive has no decoder for is no damage; and when nothing could be taken, the list of why stays. */
static void unsupported_methods_are_called_so(void **state)
{
    (void)state;
    captures c = {0};
    char *zip, *log;
    size_t size;
    capture_pairs(&c, 1, EDGE);
    captures_archive(&c, "method.zip", "zip:compression=store", NULL);
    captures_free(&c);
    assert_int_equal(lk_read_file("method.zip", 1 << 20, &zip, &size), LK_OK);
    for (size_t i = 0; i + 12 < size; i++) /* Deflate64, as Windows' explorer writes large files */
        if (memcmp(zip + i, "PK\3\4", 4) == 0)
            zip[i + 8] = 9;
        else if (memcmp(zip + i, "PK\1\2", 4) == 0)
            zip[i + 10] = 9;
    assert_int_equal(lk_write_file("method.zip", zip, size), LK_OK);
    free(zip);
    assert_int_equal(pack_with("method.zip", "out-method", NULL), LK_BAD_DATA);
    assert_non_null(strstr(lk_error_text(), "out-method/rejected.jsonl says why"));
    assert_int_equal(lk_read_file("out-method/rejected.jsonl", 1 << 20, &log, &size), LK_OK);
    assert_non_null(strstr(log,
                           "{\"reason\":\"unsupported\",\"name\":\"faces/0000.jpg\",\"detail\":\"Unsupported ZIP compression "
                           "method (9: deflation-64-bit)\"}"));
    assert_null(strstr(log, "damaged"));
    free(log);
}

/* Damage anywhere in an archive with checksums: no crash, and what is taken is what was put in or is told. (Plain tar has none,
 * zstd only where its writer chose so.) */
static void flipped_bits(void **state)
{
    (void)state;
    static const char *const kinds[] = {"flip.tar.gz", "flip.tar.xz", "flip.tar.bz2", "flip.zip", "flip.7z"};
    captures c = {0};
    lk_random random = lk_random_make(4, 0);
    capture_pairs(&c, 6, EDGE);
    for (int kind = 0; kind < 5; kind++) {
        char *data;
        size_t size;
        captures_archive(&c, kinds[kind], NULL, NULL);
        assert_int_equal(lk_read_file(kinds[kind], 64 << 20, &data, &size), LK_OK);
        pack_with(kinds[kind], "out-flip", NULL);
        uint64_t hash = content_hash("out-flip");
        for (int i = 0; i < 40; i++) {
            uint32_t at = lk_random_below(&random, (uint32_t)size), bit = 1u << lk_random_below(&random, 8);
            data[at] ^= (char)bit;
            assert_int_equal(lk_write_file(kinds[kind], data, size), LK_OK);
            data[at] ^= (char)bit;
            assert_int_equal(lk_remove_tree("out-flip"), LK_OK);
            lk_status status = pack_with(kinds[kind], "out-flip", NULL);
            bool told = status == LK_BAD_DATA || (status == LK_OK && report_number("out-flip", "refused") > 0);
            if (!told && (status != LK_OK || content_hash("out-flip") != hash))
                fail_msg("%s, bit %u of byte %u: status %d, nothing told", kinds[kind], bit, at, status);
        }
        assert_int_equal(lk_remove_tree("out-flip"), LK_OK);
        free(data);
    }
    captures_free(&c);
}

static void encrypted_and_nested(void **state)
{
    (void)state;
    captures c = {0}, inner = {0};
    capture_pairs(&c, 2, EDGE);
    captures_archive(&c, "secret.zip", "zip:encryption=zipcrypt", "password");
    captures_archive(&c, "aes.zip", "zip:encryption=aes256", "password");
    captures_free(&c);
    capture_pairs(&inner, 1, EDGE);
    captures_archive(&inner, "open.zip", NULL, NULL);
    captures_free(&inner);
    const char *sources[] = {"secret.zip", "aes.zip", "open.zip"};
    lk_pack_options o = lk_pack_defaults;
    o.sources = sources;
    o.source_count = 3;
    o.folder = "out-secret";
    o.schema = "schema.yaml";
    o.alignment.size = 32;
    o.quiet = true;
    assert_ok(lk_pack(&o));
    assert_int_equal(report_reason("out-secret", "encrypted"), 8);
    assert_int_equal(report_number("out-secret", "taken"), 1);

    capture_pairs(&inner, 2, EDGE);
    captures_archive(&inner, "inner.tar.gz", NULL, NULL);
    char *data;
    size_t size;
    assert_int_equal(lk_read_file("inner.tar.gz", 1 << 20, &data, &size), LK_OK);
    capture_add(&c, "inner.tar.gz", data, size);
    capture_add(&c, "inner.zip", data, size);
    expect_refusal(&c, "nested.tar", "archive inside an archive", 2);
    free(data);

    /* xz in zstd in gzip, made by libarchive's filter chain. */
    struct archive *a = archive_write_new();
    archive_write_set_format_pax_restricted(a);
    archive_write_add_filter_xz(a);
    archive_write_add_filter_zstd(a);
    assert_int_equal(archive_write_open_filename(a, "onion.tar.zst"), ARCHIVE_OK);
    struct archive_entry *e = archive_entry_new();
    archive_entry_copy_pathname(e, "a.jpg");
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_size(e, 1);
    archive_write_header(a, e);
    archive_write_data(a, "x", 1);
    archive_entry_free(e);
    archive_write_close(a);
    archive_write_free(a);
    expect_error("onion.tar.zst", "compressed 2 times over", NULL);
    captures_free(&inner);
}

static void what_is_no_archive(void **state)
{
    (void)state;
    assert_int_equal(lk_write_file("text.zip", "hello, world\n", 13), LK_OK);
    assert_int_equal(lk_write_file("empty.tar", "", 0), LK_OK);
    assert_int_equal(lk_make_folder("nothing"), LK_OK);
    expect_error("text.zip", "text.zip", NULL);
    expect_error("empty.tar", "", NULL);
    expect_error("nothing", "there is no picture", NULL);
    expect_error("is-not-there.zip", "is-not-there.zip: cannot open", NULL);
    expect_error("/dev/null", "", NULL);
}

/* The current folder has nothing but what the tests named. */
static void nothing_was_written_elsewhere(void **state)
{
    (void)state;
    static const char *const wrong[] = {"faces", "a", "inner", "lonely"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(exists(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archives_cut_short),
        cmocka_unit_test(a_tar_cut_between_entries),
        cmocka_unit_test(what_follows_an_archive),
        cmocka_unit_test(unsupported_methods_are_called_so),
        cmocka_unit_test(flipped_bits),
        cmocka_unit_test(encrypted_and_nested),
        cmocka_unit_test(what_is_no_archive),
        cmocka_unit_test(nothing_was_written_elsewhere),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
