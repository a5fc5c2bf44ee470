/* metrics.jsonl: exact text and numbers, cutting for resume, torn and damaged lines, a disk that fills. */
#include "trainer/record/flat_line.h"
#include "trainer/record/metrics.h"

#include "base/file.h"

#include <float.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#define WRITE(metrics, ...)                                                                                                      \
    lk_metrics_write(metrics, (lk_metric[]){__VA_ARGS__}, sizeof((lk_metric[]){__VA_ARGS__}) / sizeof(lk_metric))

static void lines_are_json_in_the_order_given(void **state)
{
    (void)state;
    lk_metrics *metrics;
    assert_ok(lk_metrics_open("lines.jsonl", &metrics));
    assert_ok(WRITE(metrics, lk_metric_text("kind", "train"), lk_metric_integer("step", 1200), lk_metric_float("F", 3.14159274f),
                    lk_metric_double("lr", 0.1), lk_metric_float("one", 1.0f)));
    assert_ok(WRITE(metrics, lk_metric_text("a\"b", "tab\t\xc3\xa9\n"), lk_metric_double("x", NAN),
                    lk_metric_float("y", INFINITY), lk_metric_double("z", -INFINITY), lk_metric_integer("least", INT64_MIN)));
    assert_int_equal(WRITE(metrics, lk_metric_text("kind", "\xff")), LK_INTERNAL);
    lk_metrics_close(metrics);
    assert_ok(lk_metrics_open("lines.jsonl", &metrics)); /* appends */
    assert_ok(lk_metrics_write(metrics, NULL, 0));
    lk_metrics_close(metrics);
    assert_text("lines.jsonl", "{\"kind\":\"train\",\"step\":1200,\"F\":3.14159274,\"lr\":0.10000000000000001,\"one\":1}\n"
                               "{\"a\\\"b\":\"tab\\t\xc3\xa9\\n\",\"x\":\"nan\",\"y\":\"inf\",\"z\":\"-inf\","
                               "\"least\":-9223372036854775808}\n"
                               "{}\n");
    assert_int_equal(lk_metrics_open("no/such/folder.jsonl", &metrics), LK_IO);
    assert_null(metrics);
}

/* Every digit comes back. */
static void every_digit_comes_back(void **state)
{
    (void)state;
    static const double doubles[] = {0.1, -0.0,     1.0 / 3,  DBL_MIN, DBL_TRUE_MIN, DBL_MAX, 123456789012345678.0,
                                     NAN, INFINITY, -INFINITY};
    static const float floats[] = {0.1f, -0.0f, 1.0f / 3, FLT_MIN, FLT_TRUE_MIN, FLT_MAX, 16777217.0f, NAN, INFINITY, -INFINITY};
    enum { COUNT = sizeof doubles / sizeof *doubles };
    lk_metrics *metrics;
    assert_ok(lk_metrics_open("numbers.jsonl", &metrics));
    for (int i = 0; i < COUNT; i++) {
        assert_ok(WRITE(metrics, lk_metric_text("kind", "train"), lk_metric_integer("step", i), lk_metric_double("d", doubles[i]),
                        lk_metric_float("f", floats[i])));
        assert_ok(WRITE(metrics, lk_metric_text("kind", "val"), lk_metric_integer("step", i), lk_metric_double("d", 7)));
    }
    lk_metrics_close(metrics);
    lk_series d, f, none;
    assert_ok(lk_metrics_series("numbers.jsonl", "train", "d", &d));
    assert_ok(lk_metrics_series("numbers.jsonl", "train", "f", &f));
    assert_ok(lk_metrics_series("numbers.jsonl", "train", "kind", &none));
    assert_int_equal(d.count, COUNT);
    assert_int_equal(f.count, COUNT);
    assert_int_equal(none.count, 0);
    for (int i = 0; i < COUNT; i++) {
        float narrow = (float)f.values[i];
        assert_int_equal(d.steps[i], i);
        assert_true(memcmp(&d.values[i], &doubles[i], 8) == 0 || (isnan(d.values[i]) && isnan(doubles[i])));
        assert_true(memcmp(&narrow, &floats[i], 4) == 0 || (isnan(narrow) && isnan(floats[i])));
    }
    lk_series_free(&d);
    lk_series_free(&f);
    lk_series_free(&none);
    assert_int_equal(lk_metrics_series("none.jsonl", "train", "d", &d), LK_BAD_DATA);
}

#define LINE(step) "{\"kind\":\"train\",\"step\":" #step ",\"F\":1.5}\n"
#define NOTE "{\"kind\":\"note\",\"text\":\"no step\"}\n"

static void a_cut_leaves_what_is_not_later(void **state)
{
    (void)state;
    static const struct {
        const char *before;
        int64_t step;
        const char *after;
    } cases[] = {
        {LINE(1) LINE(2) LINE(3), 2, LINE(1) LINE(2)},
        {LINE(1) LINE(2) LINE(2) LINE(3), 2, LINE(1) LINE(2) LINE(2)},
        {LINE(1) LINE(2) LINE(3), 0, ""},
        {NOTE LINE(1) NOTE LINE(2) NOTE, 1, NOTE LINE(1) NOTE},
        {LINE(1) LINE(2) "{\"kind\":\"train\",\"st", 9, LINE(1) LINE(2)},
        {LINE(1) "{\"kind\":\"train\",\"step\":2,\"F\":1.5}", 9, LINE(1)}, /* whole but for its newline: torn all the same */
        {LINE(1) "{}\n" LINE(3), 3, LINE(1) "{}\n" LINE(3)},
        {"", 5, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        put("cut.jsonl", cases[i].before);
        assert_ok(lk_metrics_truncate_after("cut.jsonl", cases[i].step, NULL));
        assert_text("cut.jsonl", cases[i].after);
    }
    assert_ok(lk_metrics_truncate_after("none.jsonl", 1, NULL));
    assert_false(exists("none.jsonl"));
    assert_int_not_equal(lk_metrics_truncate_after(".", 1, NULL), LK_OK);
}

static void a_file_with_nothing_to_cut_is_not_rewritten(void **state)
{
    (void)state;
    struct stat before, after;
    put("whole.jsonl", LINE(1) LINE(2));
    stat("whole.jsonl", &before);
    assert_ok(lk_metrics_truncate_after("whole.jsonl", 2, NULL));
    stat("whole.jsonl", &after);
    assert_int_equal(before.st_ino, after.st_ino);
    lk_names names;
    assert_ok(lk_list_folder(".", "", &names));
    for (size_t i = 0; i < names.count; i++)
        assert_null(strstr(names.names[i], ".tmp-"));
    lk_names_free(&names);
}

static void damaged_lines_are_named_and_cut(void **state)
{
    (void)state;
    lk_series series;
    put("damaged.jsonl", LINE(1) "\n[1]\n{\"a\":1,\"a\":2}\n" LINE(2));
    assert_fails(lk_metrics_series("damaged.jsonl", "train", "F", &series), LK_BAD_DATA, "damaged.jsonl:2");
    assert_null(series.values);
    assert_ok(lk_metrics_truncate_after("damaged.jsonl", 2, NULL));
    assert_text("damaged.jsonl", LINE(1) LINE(2));
    put("zeros.jsonl", LINE(1) LINE(2));
    FILE *stream = fopen("zeros.jsonl", "ab");
    static const char zeros[100]; /* what a power loss can leave */
    fwrite(zeros, 1, sizeof zeros, stream);
    fclose(stream);
    assert_ok(lk_metrics_series("zeros.jsonl", "train", "F", &series));
    assert_int_equal(series.count, 2);
    lk_series_free(&series);
    assert_ok(lk_metrics_truncate_after("zeros.jsonl", 2, NULL));
    assert_text("zeros.jsonl", LINE(1) LINE(2));
}

/* What the short way takes for a line, a JSON parser takes for the same line: texts, numbers, order. */
static void assert_same_line(const char *text, size_t length)
{
    lk_flat_line flat;
    if (!lk_flat_line_read(text, length, &flat))
        return;
    json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(object))
        fail_msg("taken for an object: %s", text);
    assert_int_equal(json_object_size(object), flat.count);
    size_t i = 0;
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        const lk_flat_field *field = &flat.fields[i++];
        assert_ptr_equal(lk_flat_line_find(&flat, key), field);
        assert_int_equal(field->is_text, json_is_string(value));
        if (field->is_text)
            assert_true(json_string_length(value) == field->value_length &&
                        memcmp(json_string_value(value), field->value, field->value_length) == 0);
        else
            assert_true(strtod(field->value, NULL) == json_number_value(value));
    }
    json_decref(object);
}

static void flat_lines_are_read_as_by_a_json_parser(void **state)
{
    (void)state;
    static const char *const taken[] = {"{\"kind\":\"train\",\"step\":12,\"F\":-1.5e-05,\"G\":\"nan\",\"z\":-0.0}\n",
                                        "{\"\":0}\n", "{\"a\":999999999999999999,\"b\":1E+9}\n"};
    static const char *const left[] = {"{}\n",
                                       "{\"a\":1}",
                                       "{\"a\":1} \n",
                                       "{\"a\":01}\n",
                                       "{\"a\":1.}\n",
                                       "{\"a\":.5}\n",
                                       "{\"a\":1e}\n",
                                       "{\"a\":1e400}\n",
                                       "{\"a\":1,\"a\":2}\n",
                                       "{\"a\":1,}\n",
                                       "{\"a\":true}\n",
                                       "{\"a\":\"\\n\"}\n",
                                       "{\"a\":\"\xc3\xa4\"}\n",
                                       "{\"a\":[1]}\n",
                                       "{\"a\":1}{\"b\":1}\n",
                                       "{\"a\" :1}\n",
                                       "{\"a\":-}\n",
                                       "{\"a\":1234567890123456789}\n",
                                       "\n",
                                       "{\"a\n",
                                       "{\"a\":\n"};
    lk_flat_line flat;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        assert_true(lk_flat_line_read(taken[i], strlen(taken[i]), &flat));
        assert_same_line(taken[i], strlen(taken[i]));
    }
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        if (lk_flat_line_read(left[i], strlen(left[i]), &flat))
            fail_msg("taken: %s", left[i]);
    /* Damage of every kind that the letters of a line can make. */
    static const char letters[] = "{}[]\",:.-+eE0123456789ab\\\x01\x7f\xff ";
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 60000; round++) {
        char line[128];
        size_t length = strlen(taken[0]);
        memcpy(line, taken[0], length + 1);
        for (int hits = 0; hits < 3; hits++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            line[random % (length - 1)] = letters[(random >> 32) % (sizeof letters - 1)];
        }
        assert_same_line(line, length);
    }
    char many[1024] = "{";
    for (int i = 0; i <= LK_FLAT_FIELDS; i++)
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s\"k%d\":%d", i ? "," : "", i, i);
    strcat(many, "}\n");
    assert_false(lk_flat_line_read(many, strlen(many), &flat));
}

typedef struct taken_values {
    int count;
    size_t keys[8];
    int64_t steps[8];
    double values[8];
} taken_values;

static void take(void *context, size_t key, int64_t step, double value)
{
    taken_values *t = context;
    assert_true(t->count < 8);
    t->keys[t->count] = key;
    t->steps[t->count] = step;
    t->values[t->count++] = value;
}

/* Lines as we write them, as others may write them, and damaged ones in one file. */
static void a_scan_finds_all_keys_among_damage(void **state)
{
    (void)state;
    static const lk_metrics_key keys[] = {{"val", "F"}, {"train", "F"}, {"val", "G"}};
    taken_values t = {0};
    int64_t damaged;
    put("scan.jsonl", LINE(1) "{\"kind\":\"val\",\"step\":2,\"G\":3,\"F\":\"-inf\",\"other\":1}\n"
                              "{ \"F\": 4.5, \"kind\": \"val\", \"step\": 3 }\n"
                              "oops\n{\"kind\":\"val\",\"F\":\"seven\",\"G\":8}\n{\"kind\":\"train\",\"step\":9,\"F\":2");
    assert_ok(lk_metrics_scan("scan.jsonl", keys, 3, take, &t, &damaged));
    assert_int_equal(damaged, 1);
    assert_int_equal(t.count, 5);
    static const size_t want_keys[] = {1, 0, 2, 0, 2};
    static const int64_t want_steps[] = {1, 2, 2, 3, 3}; /* a line without a step counts to the one before */
    static const double want_values[] = {1.5, -INFINITY, 3, 4.5, 8};
    for (int i = 0; i < 5; i++)
        assert_true(t.keys[i] == want_keys[i] && t.steps[i] == want_steps[i] && t.values[i] == want_values[i]);
    assert_int_equal(lk_metrics_scan("none.jsonl", keys, 3, take, &t, &damaged), LK_BAD_DATA);
}

/* A file size limit stands for the full disk: no half line stays, and none is lost when there is room again. */
static void a_full_disk_tears_and_loses_no_line(void **state)
{
    (void)state;
    lk_metrics *metrics;
    put("full.jsonl", LINE(1));
    assert_ok(lk_metrics_open("full.jsonl", &metrics));
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = sizeof LINE(1) + 10;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    lk_status status = WRITE(metrics, lk_metric_text("kind", "train"), lk_metric_integer("step", 2), lk_metric_float("F", 1.5f));
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, LK_IO);
    assert_text("full.jsonl", LINE(1));
    assert_ok(WRITE(metrics, lk_metric_text("kind", "train"), lk_metric_integer("step", 3), lk_metric_float("F", 1.5f)));
    assert_text("full.jsonl", LINE(1) LINE(2) LINE(3));
    lk_metrics_close(metrics);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_json_in_the_order_given),       cmocka_unit_test(every_digit_comes_back),
        cmocka_unit_test(a_cut_leaves_what_is_not_later),          cmocka_unit_test(a_file_with_nothing_to_cut_is_not_rewritten),
        cmocka_unit_test(flat_lines_are_read_as_by_a_json_parser), cmocka_unit_test(a_scan_finds_all_keys_among_damage),
        cmocka_unit_test(damaged_lines_are_named_and_cut),         cmocka_unit_test(a_full_disk_tears_and_loses_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
