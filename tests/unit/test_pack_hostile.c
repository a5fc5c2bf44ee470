/* Packing what strangers put into an archive, names, links, sizes, pictures, parameters: each trick gives a named refusal, and
 * nothing is written outside the output. */
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

/* ---- names ---- */

static void names_that_leave_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"../evil.jpg", "/tmp/likeness-evil.jpg", "a/../../evil.jpg", "..", "a/.."};
    static const char *const archives[] = {"leave.tar", "leave.zip"};
    for (int kind = 0; kind < 2; kind++) {
        captures c = {0};
        for (int i = 0; i < 5; i++)
            capture_picture(&c, names[i], i, EDGE);
        expect_refusal(&c, archives[kind], "name that leaves the folder", 5);
        assert_false(exists("../evil.jpg"));
        assert_false(exists("/tmp/likeness-evil.jpg"));
    }
}

static void names_with_control_characters_and_long_ones(void **state)
{
    (void)state;
    captures c = {0};
    capture_picture(&c, "a\nlikeness: error: all is lost.jpg", 1, EDGE);
    capture_picture(&c, "\x1b[2J.jpg", 1, EDGE);
    capture_picture(&c,
                    "\xc2\x9b"
                    "1m.jpg",
                    1, EDGE);
    expect_refusal(&c, "control.tar", "name with control characters", 3);
    char *log;
    size_t size;
    assert_int_equal(lk_read_file("out-2/rejected.jsonl", 1 << 20, &log, &size), LK_OK);
    for (size_t i = 0; i < size; i++)
        assert_true((unsigned char)log[i] >= 0x20 || log[i] == '\n');
    free(log);

    char *name = malloc((64 << 10) + 5);
    memset(name, 'x', 64 << 10);
    strcpy(name + (64 << 10), ".jpg");
    capture_picture(&c, name, 1, EDGE);
    free(name);
    expect_refusal(&c, "long.tar", "name too long", 1);

    capture_picture(&c, "caf\xe9.jpg", 1, EDGE);
    expect_refusal(&c, "latin.zip", "name that is not UTF-8", 1);
}

static void duplicate_names(void **state)
{
    (void)state;
    captures c = {0};
    capture_picture(&c, "faces/0000.png", 5, EDGE);
    capture_picture(&c, "./faces//0000.jpg", 5, EDGE);
    expect_refusal(&c, "twice.tar", "duplicate picture", 2);
}

/* ---- what is no regular file ---- */

static void links_and_devices(void **state)
{
    (void)state;
    captures c = {0};
    capture_entry *e = capture_text(&c, "link.jpg", "");
    e->type = AE_IFLNK;
    e->link = "/etc/passwd";
    e = capture_text(&c, "hard.jpg", "");
    e->link = "faces/0000.jpg";
    expect_refusal(&c, "links.tar", "link", 2);
    capture_text(&c, "tty.jpg", "")->type = AE_IFCHR;
    capture_text(&c, "pipe.jpg", "")->type = AE_IFIFO;
    capture_text(&c, "folder.jpg", "")->type = AE_IFDIR; /* folders are passed over */
    expect_refusal(&c, "devices.tar", "not a regular file", 2);

    capture_pairs(&c, 1, EDGE);
    captures_folder(&c, "odd");
    assert_int_equal(symlink("/etc/passwd", "odd/link.jpg"), 0);
    assert_int_equal(symlink("..", "odd/loop"), 0);
    assert_int_equal(mkfifo("odd/pipe.jpg", 0600), 0);
    assert_ok(pack_with("odd", "out-odd", NULL));
    assert_int_equal(report_reason("out-odd", "link"), 2);
    assert_int_equal(report_reason("out-odd", "not a regular file"), 1);
    captures_free(&c);
}

/* ---- sizes ---- */

static void zeros_in_a_small_zip(void **state)
{
    (void)state;
    captures c = {0};
    size_t size = (size_t)200 << 20;
    uint8_t *zeros = calloc(1, size);
    capture_add(&c, "faces/bomb.jpg", zeros, size);
    free(zeros);
    capture_pairs(&c, 1, EDGE);
    captures_archive(&c, "bomb.zip", "zip:compression=deflate", NULL);
    captures_archive(&c, "bomb.tar.zst", NULL, NULL);
    captures_free(&c);
    struct stat info;
    assert_int_equal(stat("bomb.zip", &info), 0);
    assert_true(info.st_size < 1 << 20);
    static const char *const archives[] = {"bomb.zip", "bomb.tar.zst"};
    for (int i = 0; i < 2; i++) {
        char out[32];
        snprintf(out, sizeof out, "out-bomb-%d", i);
        assert_ok(pack_with(archives[i], out, NULL));
        assert_int_equal(report_number(out, "taken"), 1);
        assert_int_equal(report_reason(out, "too large"), 1);
    }
}

static void little_in_all(lk_pack_options *o)
{
    o->limits.total_bytes = 10 << 20;
}

static void few_entries(lk_pack_options *o)
{
    o->limits.entries = 10;
}

static void the_total_and_the_count_are_limited(void **state)
{
    (void)state;
    expect_error("bomb.zip", "more than 10485760", little_in_all);
    expect_error("bomb.tar.zst", "more than 10485760", little_in_all);
    captures c = {0};
    capture_pairs(&c, 6, EDGE);
    captures_archive(&c, "twelve.tar", NULL, NULL);
    expect_error("twelve.tar", "more than 10 entries", few_entries);
    captures_free(&c);
    char deep[LK_PATH_SIZE] = "deep";
    for (int i = 0; i < 40; i++)
        strcat(deep, "/d");
    assert_int_equal(lk_make_folder(deep), LK_OK);
    expect_error("deep", "deeper than 32", NULL);
}

/* A tar header by hand: a regular file that claims 2^62 bytes (the size in base 256). */
static void a_header_that_claims_everything(void **state)
{
    (void)state;
    uint8_t tar[4096] = {0};
    strcpy((char *)tar, "faces/0000.jpg");
    memcpy(tar + 100,
           "0000644\0"
           "0000000\0"
           "0000000\0",
           24);
    tar[124] = 0x80;
    tar[128] = 0x40; /* 2^62 in the last eight of twelve bytes */
    memcpy(tar + 136, "00000000000\0", 12);
    memset(tar + 148, ' ', 8);
    tar[156] = '0';
    memcpy(tar + 257,
           "ustar\0"
           "00",
           8);
    unsigned sum = 0;
    for (int i = 0; i < 512; i++)
        sum += tar[i];
    snprintf((char *)tar + 148, 8, "%06o", sum);
    tar[155] = ' ';
    assert_int_equal(lk_write_file("claims.tar", tar, sizeof tar), LK_OK);
    expect_error("claims.tar", "claims 4611686018427387904 bytes", NULL);
}

/* ---- pictures ---- */

/* A baseline JPEG up to its frame header, of any size. */
static void capture_huge_jpeg(captures *c, const char *name, unsigned edge)
{
    uint8_t *jpeg;
    size_t size;
    static small_sample s;
    small_sample_make(1, 16, &s);
    assert_int_equal(lk_image_encode_jpeg(&(lk_image){16, 16, s.image}, 90, &jpeg, &size), LK_OK);
    for (size_t i = 0; i + 9 < size; i++)
        if (jpeg[i] == 0xff && jpeg[i + 1] == 0xc0) {
            jpeg[i + 5] = jpeg[i + 7] = (uint8_t)(edge >> 8);
            jpeg[i + 6] = jpeg[i + 8] = (uint8_t)edge;
            break;
        }
    capture_add(c, name, jpeg, size);
    free(jpeg);
}

static void pictures_that_are_none(void **state)
{
    (void)state;
    captures c = {0}, whole = {0};
    char *json = capture_json(1, NULL, NULL);
    capture_huge_jpeg(&c, "p/huge.jpg", 65500);
    capture_text(&c, "p/huge.json", json);
    capture_picture(&whole, "x", 1, EDGE);
    capture_add(&c, "p/cut.jpg", whole.entries[0].data, whole.entries[0].size * 2 / 3);
    capture_text(&c, "p/cut.json", json);
    static small_sample s;
    small_sample_make(2, EDGE, &s);
    assert_int_equal(lk_image_save_png("cut.png", &(lk_image){EDGE, EDGE, s.image}), LK_OK);
    char *png;
    size_t size;
    assert_int_equal(lk_read_file("cut.png", 1 << 20, &png, &size), LK_OK);
    capture_add(&c, "p/cut2.png", png, size * 2 / 3);
    capture_text(&c, "p/cut2.json", json);
    capture_text(&c, "p/empty.jpg", "");
    capture_text(&c, "p/empty.json", json);
    capture_text(&c, "p/text.png", "GIF89a");
    capture_text(&c, "p/text.json", json);
    free(png);
    free(json);
    captures_free(&whole);
    expect_refusal(&c, "pictures.zip", "unreadable picture", 5);

    json = capture_json(1, NULL, NULL);
    uint8_t *jpeg;
    assert_int_equal(lk_image_encode_jpeg(&(lk_image){EDGE, EDGE / 2, s.image}, 90, &jpeg, &size), LK_OK);
    capture_add(&c, "p/wide.jpg", jpeg, size);
    capture_text(&c, "p/wide.json", json);
    free(jpeg);
    free(json);
    expect_refusal(&c, "wide.zip", "not square", 1);
}

/* ---- parameter files ---- */

static void parameter_files(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"continuous\":{\"a\":NaN,\"b\":0,\"c\":1,\"d\":0,\"e\":0},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"a\":1e999,\"b\":0,\"c\":1,\"d\":0,\"e\":0},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"a\":-Infinity,\"b\":0,\"c\":1,\"d\":0,\"e\":0},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"A\":0,\"b\":0,\"c\":1,\"d\":0,\"e\":0},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"a\":0,\"b\":0,\"c\":1,\"d\":0},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"a\":0,\"b\":0,\"c\":1,\"d\":0,\"e\":0,\"f\":0},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"a\":0,\"b\":0,\"c\":1,\"d\":0,\"e\":0},\"discrete\":{\"hair\":\"mohawk\",\"skin\":\"dark\"}}",
        "{\"continuous\":{\"a\":0,\"b\":0,\"c\":1,\"d\":0,\"e\":5},\"discrete\":{\"hair\":\"bob\",\"skin\":\"dark\"}}",
        "",
        "\xff\xfe{",
    };
    enum { BAD = sizeof bad / sizeof *bad };
    captures c = {0};
    char name[32];
    for (int i = 0; i < BAD; i++) {
        snprintf(name, sizeof name, "bad/%d.jpg", i);
        capture_picture(&c, name, i, EDGE);
        snprintf(name, sizeof name, "bad/%d.json", i);
        capture_text(&c, name, bad[i]);
    }
    size_t size = 10000000;
    char *brackets = malloc(size);
    memset(brackets, '[', size);
    capture_picture(&c, "bad/deep.jpg", 1, EDGE);
    capture_add(&c, "bad/deep.json", brackets, LK_PARAMETERS_BYTES);
    capture_picture(&c, "bad/hair.jpg", 1, EDGE);
    capture_text(&c, "bad/hair.mhm", "modifier a nan\nlikeness hair bob\nlikeness skin dark\n");
    expect_refusal(&c, "parameters.tar.gz", "bad parameters", BAD + 2);

    capture_picture(&c, "large/a.jpg", 1, EDGE);
    capture_add(&c, "large/a.json", brackets, size);
    free(brackets);
    expect_refusal(&c, "large.tar.gz", "too large", 1);
}

static void rows_of_tables(void **state)
{
    (void)state;
    captures c = {0};
    capture_text(&c, "t/params.csv",
                 "key,a,b,c,d,e,hair,skin\n"
                 "one,0,0,1,0,0,bob,dark\n"
                 "two,inf,0,1,0,0,bob,dark\n"
                 "three,0,0,1,0,0,bob\n"
                 "four,0,0,1,0,0,bob,dark,more\n"
                 "../five,0,0,1,0,0,bob,dark\n"
                 "six,0,0,1,0,0,\"bob,dark\n"
                 "seven,0,0,1,0,0x,bob,dark\n"
                 "eight,0,0,1,0,0,mohawk,dark\n"
                 "one,0,0,1,0,0,bob,dark\n");
    capture_entry *table = &c.entries[c.count - 1];
    memcpy(strstr((char *)table->data, "six"), "si\0", 3); /* a row is not cut where it holds a zero */
    capture_picture(&c, "t/one.jpg", 1, EDGE);
    captures_archive(&c, "rows.tar", NULL, NULL);
    assert_ok(pack_with("rows.tar", "out-rows", NULL));
    assert_int_equal(report_number("out-rows", "taken"), 1);
    assert_int_equal(report_reason("out-rows", "bad parameters"), 7);
    assert_int_equal(report_reason("out-rows", "duplicate parameters"), 1);
    captures_free(&c);

    static const char *const headers[][2] = {{"a,b\n", "has no column 'key'"},
                                             {"key,a,a\n", "stands there twice"},
                                             {"key,nose\n", "nothing for the column 'nose'"},
                                             {"key,\"a\n", "quote is not closed"},
                                             {"\xef\xbb\xbfkey;a;b\r\nx.jpg;0,5;1\r\n", "columns are separated by semicolons"},
                                             {"sep=;\nkey;a;b\n", "columns are separated by semicolons"},
                                             {"key\ta\tb\n", "columns are separated by tabs"},
                                             {"key,a,b\rx.jpg,0,1\r", "carriage returns alone"}};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_int_equal(lk_write_file("bad.csv", headers[i][0], strlen(headers[i][0])), LK_OK);
        expect_error("bad.csv", headers[i][1], NULL);
    }
    assert_int_equal(lk_write_file("wide.csv", "\xff\xfek\0e\0y\0,\0a\0\r\0\n\0", 16), LK_OK);
    expect_error("wide.csv", "wide.csv: params.csv: is UTF-16; save it as UTF-8 ('CSV UTF-8' in Excel)", NULL);
    assert_int_equal(lk_write_file("wide.jsonl", "\xfe\xff\0{\0}\0\n", 8), LK_OK);
    expect_error("wide.jsonl", "wide.jsonl: params.jsonl: is UTF-16", NULL);
    size_t size = 3 << 20;
    char *line = malloc(size);
    memset(line, 'x', size);
    assert_int_equal(lk_write_file("long.jsonl", line, size), LK_OK);
    free(line);
    expect_error("long.jsonl", "line 1 is longer than", NULL);
}

/* The current folder has nothing but what the tests named. */
static void nothing_was_written_elsewhere(void **state)
{
    (void)state;
    static const char *const wrong[] = {"evil.jpg", "faces", "a", "p", "bad", "t", "link.jpg"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_false(exists(wrong[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_leave_the_folder),
        cmocka_unit_test(names_with_control_characters_and_long_ones),
        cmocka_unit_test(duplicate_names),
        cmocka_unit_test(links_and_devices),
        cmocka_unit_test(zeros_in_a_small_zip),
        cmocka_unit_test(the_total_and_the_count_are_limited),
        cmocka_unit_test(a_header_that_claims_everything),
        cmocka_unit_test(pictures_that_are_none),
        cmocka_unit_test(parameter_files),
        cmocka_unit_test(rows_of_tables),
        cmocka_unit_test(nothing_was_written_elsewhere),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
