/* TensorBoard's files: framing, CRC and messages against bytes that TensorBoard 2.21 itself wrote, cutting for resume, damage.
 *
 * a_resumed_run_has_every_step_once leaves the folder `tensorboard`, which tests/run/events.sh loads with the real TensorBoard;
 * by hand:
 *     python3 -m venv /tmp/tb && /tmp/tb/bin/pip install tensorboard
 *     /tmp/tb/bin/tensorboard --logdir tensorboard      # a curve train/F of 3 points, a picture of a red and a blue pixel
 */
#include "trainer/record/events.h"

#include "base/file.h"
#include "base/log.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/check.h"

/* tensorboard.summary.writer.record_writer.RecordWriter: the version (wall time 1.5); tag "a/b" at steps 1, 2 and 300 with
 * values 0.5, -0.25 and 1e9 (wall time 2); an image "p" of 2 x 1 at step 2 (wall time 2.5). */
static const uint8_t reference[] = {
    0x18, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xa3, 0x7f, 0x4b, 0x22, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf8,
    0x3f, 0x1a, 0x0d, 0x62, 0x72, 0x61, 0x69, 0x6e, 0x2e, 0x45, 0x76, 0x65, 0x6e, 0x74, 0x3a, 0x32, 0x2a, 0x28, 0x64, 0x6c,
    0x19, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x8b, 0xf1, 0x08, 0x28, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x40, 0x10, 0x01, 0x2a, 0x0c, 0x0a, 0x0a, 0x0a, 0x03, 0x61, 0x2f, 0x62, 0x15, 0x00, 0x00, 0x00, 0x3f, 0x6c, 0x0d, 0xc8,
    0xf2, 0x19, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x8b, 0xf1, 0x08, 0x28, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x40, 0x10, 0x02, 0x2a, 0x0c, 0x0a, 0x0a, 0x0a, 0x03, 0x61, 0x2f, 0x62, 0x15, 0x00, 0x00, 0x80, 0xbe, 0xe6, 0x4f,
    0xca, 0x7d, 0x1a, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x12, 0x9b, 0xd8, 0x2d, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x40, 0x10, 0xac, 0x02, 0x2a, 0x0c, 0x0a, 0x0a, 0x0a, 0x03, 0x61, 0x2f, 0x62, 0x15, 0x28, 0x6b, 0x6e, 0x4e,
    0x04, 0x02, 0x0e, 0xcf, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29, 0xed, 0xa9, 0x50, 0x09, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x04, 0x40, 0x10, 0x02, 0x2a, 0x13, 0x0a, 0x11, 0x0a, 0x01, 0x70, 0x22, 0x0c, 0x08, 0x01, 0x10, 0x02,
    0x18, 0x03, 0x22, 0x04, 0x89, 0x50, 0x4e, 0x47, 0x99, 0xeb, 0x61, 0xaf};
/* where its records start, and its end */
enum { VERSION = 0, STEP_1 = 40, STEP_2 = 81, STEP_300 = 122, IMAGE_2 = 164, END = 212 };

/* A red and a blue pixel. */
static const uint8_t png[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
                              0x44, 0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00,
                              0x00, 0x7b, 0x40, 0xe8, 0xdd, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x44, 0x41, 0x54, 0x78,
                              0x9c, 0x63, 0xf8, 0xcf, 0x00, 0x04, 0xff, 0x01, 0x07, 0x00, 0x01, 0xff, 0xe2, 0x23,
                              0x9e, 0x59, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

static void crc_is_castagnoli(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(lk_crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(lk_crc32c(bytes, 32), 0x8a9136aa); /* RFC 3720, B.4 */
    memset(bytes, 0xff, sizeof bytes);
    assert_int_equal(lk_crc32c(bytes, 32), 0x62a8ab43);
    assert_int_equal(lk_crc32c("", 0), 0);
}

static uint32_t masked(const void *data, size_t size)
{
    uint32_t crc = lk_crc32c(data, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* One record at `offset` of a file that we wrote: its frame must hold, and with the wall time replaced it is the reference. */
static void assert_record(const char *data, size_t offset, double wall_time, const uint8_t *want, size_t want_size)
{
    uint8_t record[64];
    uint64_t length;
    uint32_t crc;
    assert_true(want_size <= sizeof record);
    memcpy(record, data + offset, want_size);
    memcpy(&length, record, 8);
    assert_int_equal(length, want_size - 16);
    memcpy(&crc, record + 12 + length, 4);
    assert_int_equal(crc, masked(record + 12, length));
    assert_int_equal(record[12], 0x09); /* field 1, a double */
    memcpy(record + 13, &wall_time, 8);
    crc = masked(record + 12, length);
    memcpy(record + 12 + length, &crc, 4);
    assert_memory_equal(record, want, want_size);
}

static void writes_the_bytes_of_tensorboard(void **state)
{
    (void)state;
    lk_events *events;
    assert_ok(lk_make_folder("bytes"));
    assert_ok(lk_events_open("bytes", &events));
    assert_ok(lk_events_scalars(events, 1, &(lk_event_scalar){"a/b", 0.5}, 1));
    assert_ok(lk_events_scalars(events, 2, &(lk_event_scalar){"a/b", -0.25}, 1));
    assert_ok(lk_events_scalars(events, 300, &(lk_event_scalar){"a/b", 1e9}, 1));
    assert_ok(lk_events_png(events, 2, "p", "\x89PNG", 4, 2, 1));
    char *data;
    size_t size;
    assert_ok(lk_read_file(lk_events_path(events), 1 << 20, &data, &size));
    lk_events_close(events);
    assert_int_equal(size, sizeof reference);
    assert_record(data, VERSION, 1.5, reference + VERSION, STEP_1 - VERSION);
    assert_record(data, STEP_1, 2.0, reference + STEP_1, STEP_2 - STEP_1);
    assert_record(data, STEP_2, 2.0, reference + STEP_2, STEP_300 - STEP_2);
    assert_record(data, STEP_300, 2.0, reference + STEP_300, IMAGE_2 - STEP_300);
    assert_record(data, IMAGE_2, 2.5, reference + IMAGE_2, END - IMAGE_2);
    free(data);
}

static void a_cut_leaves_what_is_not_later(void **state)
{
    (void)state;
    const char *path = "cut/events.out.tfevents.0000000001.host";
    uint8_t want[sizeof reference];
    assert_ok(lk_make_folder("cut"));
    put_bytes(path, reference, sizeof reference);
    put_bytes("cut/notes.txt", "other", 5);
    struct stat before, after;
    stat(path, &before);
    assert_ok(lk_events_cut_after("cut", 300, NULL));
    stat(path, &after);
    assert_int_equal(before.st_ino, after.st_ino); /* nothing to cut: not rewritten */
    assert_ok(lk_events_cut_after("cut", 299, NULL));
    memcpy(want, reference, STEP_300);
    memcpy(want + STEP_300, reference + IMAGE_2, END - IMAGE_2);
    assert_file(path, want, STEP_300 + END - IMAGE_2);
    assert_ok(lk_events_cut_after("cut", 1, NULL));
    assert_file(path, reference, STEP_2);
    put_bytes("cut/events.out.tfevents.0000000002.host.tmp-1", reference, 100); /* a cut that was killed */
    assert_ok(lk_events_cut_after("cut", 0, NULL));
    assert_false(exists(path));
    assert_false(exists("cut/events.out.tfevents.0000000002.host.tmp-1"));
    assert_file("cut/notes.txt", "other", 5);
}

/* Whatever the damage, what stays is the whole records before it. */
static void a_cut_leaves_the_whole_records_before_damage(void **state)
{
    (void)state;
    const char *path = "damage/events.out.tfevents.0000000001.host";
    static const size_t starts[] = {VERSION, STEP_1, STEP_2, STEP_300, IMAGE_2, END};
    assert_ok(lk_make_folder("damage"));
    lk_log_set_rank(1, 2); /* some hundred warnings, not to be read */
    for (size_t place = 0; place < sizeof reference; place++) {
        size_t whole = 0;
        for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
            whole = starts[i] <= place ? starts[i] : whole;
        for (int kind = 0; kind < 2; kind++) { /* truncated there; a flipped bit there */
            uint8_t edited[sizeof reference];
            memcpy(edited, reference, sizeof edited);
            edited[place] ^= (uint8_t)(1 << place % 8);
            put_bytes(path, edited, kind == 0 ? place : sizeof edited);
            assert_ok(lk_events_cut_after("damage", 1000, NULL));
            if (whole > STEP_1)
                assert_file(path, reference, whole);
            else
                assert_false(exists(path)); /* nothing but the version */
        }
    }
    lk_log_set_rank(0, 1);
}

/* Names order the files by time, also when a host with a fast clock wrote before. */
static void names_order_files_by_time(void **state)
{
    (void)state;
    lk_events *first, *second;
    assert_ok(lk_make_folder("names"));
    put_bytes("names/events.out.tfevents.9000000000.ahead", reference, sizeof reference);
    assert_ok(lk_events_open("names", &first));
    assert_ok(lk_events_open("names", &second));
    assert_non_null(strstr(lk_events_path(first), "/events.out.tfevents.9000000001."));
    assert_non_null(strstr(lk_events_path(second), "/events.out.tfevents.9000000002."));
    lk_events_close(first);
    lk_events_close(second);
    assert_int_equal(lk_events_open("no-such-folder", &first), LK_BAD_DATA);
    assert_null(first);
}

static void a_record_that_does_not_fit_comes_later(void **state)
{
    (void)state;
    lk_events *events;
    assert_ok(lk_make_folder("full"));
    assert_ok(lk_events_open("full", &events));
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 60; /* the version and half of a record */
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    lk_status status = lk_events_scalars(events, 1, &(lk_event_scalar){"a/b", 0.5}, 1);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, LK_IO);
    assert_ok(lk_events_scalars(events, 2, &(lk_event_scalar){"a/b", -0.25}, 1));
    char *data;
    size_t size;
    assert_ok(lk_read_file(lk_events_path(events), 1 << 20, &data, &size));
    assert_int_equal(size, STEP_300); /* nothing of the first try stays, and it comes late */
    assert_record(data, STEP_1, 2.0, reference + STEP_1, STEP_2 - STEP_1);
    assert_record(data, STEP_2, 2.0, reference + STEP_2, STEP_300 - STEP_2);
    free(data);
    lk_events_close(events);
}

/* A run that stops and is resumed from step 2: every step once. */
static void a_resumed_run_has_every_step_once(void **state)
{
    (void)state;
    lk_events *events;
    assert_ok(lk_make_folder("tensorboard"));
    assert_ok(lk_events_open("tensorboard", &events));
    for (int step = 1; step <= 3; step++)
        assert_ok(lk_events_scalars(events, step, (lk_event_scalar[]){{"train/F", 10.0 / step}, {"train/lr", 0.5}}, 2));
    assert_ok(lk_events_png(events, 2, "samples", png, sizeof png, 2, 1));
    assert_ok(lk_events_png(events, 3, "samples", png, sizeof png, 2, 1));
    lk_events_close(events);
    assert_ok(lk_events_cut_after("tensorboard", 2, NULL));
    assert_ok(lk_events_open("tensorboard", &events));
    assert_ok(lk_events_scalars(events, 3, (lk_event_scalar[]){{"train/F", 3.5}, {"train/lr", 0.25}}, 2));
    lk_events_close(events);
    lk_names names;
    assert_ok(lk_list_folder("tensorboard", "", &names));
    assert_int_equal(names.count, 2);
    lk_names_free(&names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc_is_castagnoli),
        cmocka_unit_test(writes_the_bytes_of_tensorboard),
        cmocka_unit_test(a_cut_leaves_what_is_not_later),
        cmocka_unit_test(a_cut_leaves_the_whole_records_before_damage),
        cmocka_unit_test(names_order_files_by_time),
        cmocka_unit_test(a_record_that_does_not_fit_comes_later),
        cmocka_unit_test(a_resumed_run_has_every_step_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
