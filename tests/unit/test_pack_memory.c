/* Memory of packing: whatever is sent, on however many threads, the most that was ever taken stays within --max-memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/small_shards.h"

#include "dataset/parameters.h"
#include "tests/unit/pack_data.h"

#include <spng.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { MB = 1 << 20, BUDGET = 512, EDGE = 40 };
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { OVERHEAD = 16 }; /* sanitizers keep what was freed, and shadows of it */
#else
enum { OVERHEAD = 1 };
#endif

static int threads;

static void within_budget(lk_pack_options *o)
{
    o->threads = threads;
    o->max_memory = (int64_t)BUDGET * MB;
    o->alignment.max_enlarge = 10;
}

/* Packs in a process of its own; *most is the most memory that it had, in MB. */
static lk_status pack_apart(const char *source, int thread_count, int64_t *most)
{
    struct rusage usage;
    int ended;
    threads = thread_count;
    assert_int_equal(lk_remove_tree("out"), LK_OK);
    pid_t child = fork();
    if (child == 0)
        _exit((int)pack_with(source, "out", within_budget));
    assert_int_equal(wait4(child, &ended, 0, &usage), child);
    assert_true(WIFEXITED(ended));
    *most = usage.ru_maxrss / 1024;
    return (lk_status)WEXITSTATUS(ended);
}

/* A picture of few bytes and many pixels, all alike. */
static void capture_large_png(captures *c, const char *name, int edge)
{
    spng_ctx *encoder = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {
        .width = (uint32_t)edge, .height = (uint32_t)edge, .bit_depth = 8, .color_type = SPNG_COLOR_TYPE_TRUECOLOR_ALPHA};
    size_t size = (size_t)edge * (size_t)edge * 4;
    uint8_t *pixels = calloc(size, 1);
    int error = 0;
    assert_int_equal(spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1), 0);
    assert_int_equal(spng_set_option(encoder, SPNG_IMG_COMPRESSION_LEVEL, 1), 0);
    assert_int_equal(spng_set_ihdr(encoder, &header), 0);
    assert_int_equal(spng_encode_image(encoder, pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    uint8_t *png = spng_get_png_buffer(encoder, &size, &error);
    capture_add(c, name, png, size);
    free(png);
    free(pixels);
    spng_ctx_free(encoder);
}

/* "[{},{},{}...": what takes the most when it is parsed. */
static char *json_bomb(size_t size)
{
    char *text = malloc(size);
    for (size_t i = 0; i < size; i++)
        text[i] = "{},"[(i + 2) % 3];
    text[0] = '[';
    return text;
}

static void the_hostile_set_stays_within_the_budget(void **state)
{
    (void)state;
    enum { BOMBS = 12, LARGE = 10, LARGE_EDGE = 3200 };
    captures c = {0};
    char name[64];
    int64_t base, most;
    capture_pairs(&c, 1, EDGE);
    captures_archive(&c, "one.zip", NULL, NULL);
    assert_int_equal(pack_apart("one.zip", 1, &base), LK_OK);

    char *bomb = json_bomb((size_t)60 * MB), *row = json_bomb(LK_PARAMETERS_BYTES);
    row[LK_PARAMETERS_BYTES - 1] = '\n';
    capture_add(&c, "params.jsonl", row, LK_PARAMETERS_BYTES);
    captures large = {0};
    capture_large_png(&large, "large", LARGE_EDGE);
    char *json = capture_json(1, NULL, NULL);
    for (int i = 0; i < BOMBS; i++) {
        snprintf(name, sizeof name, "bomb/%d.jpg", i);
        capture_picture(&c, name, i, EDGE);
        snprintf(name, sizeof name, "bomb/%d.json", i);
        capture_add(&c, name, bomb, i == 0 ? (size_t)60 * MB : LK_PARAMETERS_BYTES);
    }
    for (int i = 0; i < LARGE; i++) {
        snprintf(name, sizeof name, "large/%d.png", i);
        capture_add(&c, name, large.entries[0].data, large.entries[0].size);
        snprintf(name, sizeof name, "large/%d.json", i);
        capture_text(&c, name, json);
    }
    static const uint8_t huge[8] = {0, 0, 0x1b, 0x58, 0, 0, 0x1b, 0x58};
    memcpy(large.entries[0].data + 16, huge, sizeof huge); /* 7000 x 7000, says the header: does not fit by itself */
    capture_add(&c, "huge.png", large.entries[0].data, large.entries[0].size);
    capture_text(&c, "huge.json", json);
    captures_archive(&c, "hostile.zip", "zip:compression=deflate", NULL);
    captures_free(&c);
    captures_free(&large);
    free(json);
    free(row);
    free(bomb);

    for (int n = 1; n <= 8; n += 7) {
        lk_status status = pack_apart("hostile.zip", n, &most);
        assert_int_equal(status, LK_OK);
        print_message("%d threads: %lld MB, of which %lld are those of one small face\n", n, (long long)most, (long long)base);
        assert_true(most - base <= (int64_t)BUDGET * OVERHEAD);
        assert_int_equal(report_number("out", "taken"), 1 + LARGE);
        assert_int_equal(report_reason("out", "bad parameters"), BOMBS); /* the row, and all bombs but the first */
        assert_int_equal(report_reason("out", "too large"), 2);
    }
}

/* What waits for its other half is counted too. */
static void what_waits_stays_within_the_budget(void **state)
{
    (void)state;
    captures c = {0};
    char name[64];
    int64_t base, most;
    uint8_t *zeros = calloc(16, MB);
    assert_int_equal(pack_apart("one.zip", 1, &base), LK_OK);
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "%d.jpg", i);
        capture_add(&c, name, zeros, (size_t)16 * MB);
    }
    captures_archive(&c, "waiting.tar.gz", NULL, NULL);
    captures_free(&c);
    free(zeros);
    assert_int_equal(pack_apart("waiting.tar.gz", 8, &most), LK_BAD_DATA);
    assert_true(most - base <= (int64_t)BUDGET * OVERHEAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hostile_set_stays_within_the_budget),
        cmocka_unit_test(what_waits_stays_within_the_budget),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
