/* The report: reading runs that are whole, damaged or missing, the score, the grouping by setting,
 * escaping, where pictures are. */
#include "launch/report/compare.h"
#include "launch/report/html.h"
#include "launch/report/picture.h"

#include "base/file.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utime.h>

#include <cmocka.h>

#include "tests/unit/check.h"

static void put_in(const char *folder, const char *name, const char *text)
{
    char path[LK_PATH_SIZE];
    assert_ok(lk_make_folder(folder));
    assert_ok(lk_path_join(path, folder, name));
    put(path, text);
}

static void put_config(const char *folder, const char *lambda, int seed, const char *extra)
{
    char text[1024];
    snprintf(text, sizeof text,
             "run: {dir: %s, seed: %d}\ndata: {train: [t], val: v}\nmodel: {decoder: {weights: d}}\n"
             "loss: {lambda: %s}\ntrain: {steps: 9}\nstall: {abort_s: 100}\n%s",
             folder, seed, lambda, extra);
    put_in(folder, "config.yaml", text);
}

static void put_run(const char *folder, const char *lambda, int seed, double f1, double f2, const char *extra)
{
    char text[512];
    put_config(folder, lambda, seed, extra);
    snprintf(text, sizeof text, "{\"kind\":\"val\",\"step\":3,\"F\":5,\"F1\":%g,\"F2\":%g}\n", f1, f2);
    put_in(folder, "metrics.jsonl", text);
}

/* Accuracy, majority, ratio of the 20 strongest, F2 over its baseline of 2. */
static void put_evaluation(const char *run, double accuracy, double majority, double ratio, double pixels)
{
    char folder[LK_PATH_SIZE], text[512];
    snprintf(folder, sizeof folder, "%s/report", run);
    snprintf(text, sizeof text,
             "{\"samples\":7,\"F\":9,\"F1\":1,"
             "\"F2\":%g,\"baseline_F2\":2,\"mae_ratio_20\":%g,\"accuracy\":{\"hair\":%g},"
             "\"majority\":{\"hair\":%g},\"continuous\":[{\"name\":\"jaw\",\"mae_ratio\":0.5}]}",
             2 * pixels, ratio, accuracy, majority);
    put_in(folder, "evaluation.json", text);
    put_in(run, "DONE", "");
}

static void reads_a_run(void **state)
{
    (void)state;
    lk_report_run run;
    put_config("whole", "2", 1, "");
    put_in("whole", "metrics.jsonl",
           "{\"kind\":\"train\",\"step\":1,\"epoch\":1,\"F\":9,\"F1\":1,\"F2\":4,\"lr\":0.1,\"samples_per_s\":50}\n"
           "{\"kind\":\"val\",\"step\":1,\"epoch\":1,\"F\":8,\"F1\":2,\"F2\":3}\n"
           "{\"kind\":\"val\",\"step\":2,\"epoch\":2,\"F\":4,\"F1\":1,\"F2\":1.5}\n"
           "{\"kind\":\"val\",\"step\":3,\"epoch\":2,\"F\":\"nan\",\"F1\":1,\"F2\":\"nan\"}\n"
           "{\"kind\":\"val\",\"step\":4,\"epoch\":2,\"F\":6,\"F1\":5,\"F2\":0.5}\n");
    put_in("whole/samples", "step-000000001.png", "x");
    put_in("whole/samples", "step-000000002.png", "x");
    assert_ok(lk_report_run_read("whole", "a name", time(NULL), &run));
    assert_null(run.note);
    assert_true(lk_is_encoder_run(&run));
    assert_int_equal(run.step, 4);
    assert_int_equal(run.epoch, 1);
    assert_int_equal(run.best_step, 2);
    assert_true(run.best == 4 && run.best_f1 == 1 && run.best_f2 == 1.5);
    assert_true(run.f1 == 5 && run.f2 == 0.5); /* the last, not the best */
    assert_string_equal(run.sample, "whole/samples/step-000000002.png");
    assert_null(run.triptych);
    assert_false(run.evaluation.present);
    lk_report_run_free(&run);
}

static void tells_states_apart(void **state)
{
    (void)state;
    lk_report_run run;
    put_run("states", "2", 1, 1, 1, "");
    struct utimbuf times = {1000000, 1000000};
    assert_int_equal(utime("states/metrics.jsonl", &times), 0);
    assert_ok(lk_report_run_read("states", "n", 1000100, &run));
    assert_int_equal(run.state, LK_STATE_RUNNING);
    lk_report_run_free(&run);
    assert_ok(lk_report_run_read("states", "n", 1000101, &run)); /* stall.abort_s is 100 */
    assert_int_equal(run.state, LK_STATE_UNFINISHED);
    lk_report_run_free(&run);
    put_config("begins", "2", 1, "");
    assert_ok(lk_report_run_read("begins", "n", 1000100, &run));
    assert_int_equal(run.state, LK_STATE_NOT_BEGUN);
    assert_true(isnan(run.f1) && isnan(run.f2) && isnan(run.best) && isnan(run.curves[LK_TRAIN_SPEED].mean) && run.step == 0);
    assert_null(run.note);
    lk_report_run_free(&run);
    put_in("states", "DONE", "");
    assert_ok(lk_report_run_read("states", "n", 1000101, &run));
    assert_int_equal(run.state, LK_STATE_DONE);
    lk_report_run_free(&run);
}

static void says_which_build_finished(void **state)
{
    (void)state;
    lk_report_run run;
    put_run("built", "2", 1, 1, 1, "");
    put_in("built", "DONE", "steps 3, weights 0123456789abcdef on every rank, likeness 1.2-3-gabc-dirty\n");
    assert_ok(lk_report_run_read("built", "n", 1000101, &run));
    assert_string_equal(run.program, "likeness 1.2-3-gabc-dirty");
    lk_report_run_free(&run);
    put_in("built", "DONE", "steps 3, weights 0123456789abcdef on every rank\n"); /* an older one */
    assert_ok(lk_report_run_read("built", "n", 1000101, &run));
    assert_null(run.program);
    lk_report_run_free(&run);
}

static void survives_damage(void **state)
{
    (void)state;
    lk_report_run run;
    put_in("broken", "config.yaml", "loss: {lambda: [oops\n");
    put_in("broken", "metrics.jsonl",
           "not json\n[1]\n{\"kind\":\"val\",\"step\":7,\"F\":2}\n\n{\"kind\":3,\"step\":8}\n{\"kind\":\"val\",\"st");
    put_in("broken/report", "evaluation.json", "{\"F\":");
    assert_ok(lk_report_run_read("broken", "n", time(NULL), &run));
    assert_null(run.config);
    assert_int_equal(run.damaged_lines, 3);
    assert_int_equal(run.best_step, 7);
    assert_true(run.best == 2 && isnan(run.best_f1));
    assert_non_null(strstr(run.note, "config.yaml"));
    assert_non_null(strstr(run.note, "left out 3 damaged lines"));
    assert_non_null(strstr(run.note, "evaluation.json"));
    lk_report_run_free(&run);
}

static void scores(void **state)
{
    (void)state;
    lk_recorded_choice choices[] = {{"hair", 0.9, 0.5}, {"brows", 0.7, 0.4}};
    lk_evaluation_record j = {
        .present = true, .choice_count = 2, .choices = choices, .f2 = 1.5, .baseline_f2 = 3, .mae_ratio_20 = 0.8};
    lk_score s = lk_score_of(&j);
    assert_float_equal(s.choices, 0.4 / 1.1, 1e-12);
    assert_float_equal(s.pixels, 0.5, 1e-12);
    assert_float_equal(s.mean, (0.4 / 1.1 + 0.5 + 0.8) / 3, 1e-12);
    choices[0].majority = NAN; /* an evaluation without it is not ranked */
    assert_true(isnan(lk_score_of(&j).mean));
    j.choice_count = 0;
    assert_float_equal(lk_score_of(&j).mean, 0.65, 1e-12);
    j.baseline_f2 = 0;
    assert_true(isnan(lk_score_of(&j).mean));
}

static void finds_runs_in_order(void **state)
{
    (void)state;
    lk_report report = {0};
    put_run("found/lambda-16", "16", 1, 1, 1, "");
    put_run("found/lambda-2", "2", 1, 1, 1, "");
    put_run("found/lambda-2/checkpoints/inner", "2", 1, 1, 1, ""); /* a run is not searched */
    put_in("found/no-run", "metrics.jsonl", "");
    assert_int_equal(symlink("..", "found/no-run/circle"), 0);
    assert_ok(lk_report_add(&report, "found//"));
    assert_int_equal(report.count, 2);
    assert_string_equal(report.runs[0].name, "lambda-2");
    assert_string_equal(report.runs[1].name, "lambda-16");
    assert_int_equal(lk_report_add(&report, "found/lambda-2"), LK_BAD_DATA); /* is there already */
    put_run("other/lambda-2", "2", 1, 1, 1, "");
    assert_ok(lk_report_add(&report, "other/lambda-2/"));
    assert_string_equal(report.runs[2].name, "other/lambda-2"); /* the short name is taken */
    assert_int_equal(lk_report_add(&report, "found/no-run"), LK_BAD_DATA);
    assert_int_equal(lk_report_add(&report, "nowhere"), LK_BAD_DATA);
    lk_report_free(&report);
}

static void compares(void **state)
{
    (void)state;
    lk_report report = {0};
    lk_comparison c;
    put_run("sweep/a", "8", 2, 1, 1, "");
    put_run("sweep/b", "0.5", 1, 3, 3, "");
    put_run("sweep/c", "8", 1, 2, 2, "");
    put_run("sweep/d", "8", 3, 100, 100, ""); /* in training */
    put_run("sweep/e", "1", 1, 7, 6, "");
    put_in("sweep/f", "config.yaml", "run: {dir: x}\ndata: {train: [t], val: v}\ntrain: {stage: decoder, steps: 5}\n");
    put_in("sweep/f", "metrics.jsonl", "{\"kind\":\"val\",\"step\":4,\"L1\":0.25}\n");
    put_evaluation("sweep/a", 0.8, 0.5, 0.5, 0.5);
    put_evaluation("sweep/c", 0.9, 0.5, 0.7, 0.9);
    put_evaluation("sweep/b", 0.9, 0.5, 0.6, 0.9);
    assert_ok(lk_report_add(&report, "sweep"));
    assert_true(report.runs[5].best == 0.25);
    assert_ok(lk_compare(&report, &c));
    assert_int_equal(c.key_count, 1);
    assert_string_equal(lk_config_key(c.keys[0]), "loss.lambda");
    assert_int_equal(c.count, 3);
    assert_string_equal(c.settings[0].label, "lambda 0.5");
    assert_string_equal(c.settings[2].label, "lambda 8");
    assert_int_equal(c.settings[2].run_count, 3);
    assert_int_equal(c.settings[2].runs[0], 2); /* seed 1 */
    assert_int_equal(c.settings[2].score.count, 2);
    double x = (0.4 + 0.5 + 0.5) / 3, y = (0.2 + 0.7 + 0.9) / 3;
    assert_float_equal(c.settings[2].score.mean, (x + y) / 2, 1e-9);
    assert_float_equal(c.settings[2].score.deviation, fabs(x - y) / sqrt(2), 1e-9);
    assert_float_equal(c.settings[2].f2.mean, 1.4, 1e-9); /* the one in training does not count */
    assert_float_equal(c.settings[1].f1.mean, 7, 0);      /* none is done: the last validation */
    assert_int_equal(c.settings[1].score.count, 0);
    assert_int_equal(c.best, 2);
    assert_int_equal(c.second, 0);
    assert_int_equal(c.setting_of[3], 2);
    assert_int_equal(c.setting_of[5], -1);
    lk_comparison_free(&c);
    lk_report_free(&report);
}

static char *html_of(const char *text)
{
    char *out = NULL;
    size_t size;
    FILE *page = open_memstream(&out, &size);
    lk_html_text(page, text);
    fclose(page);
    return out;
}

static void escapes(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"<b a=\"1\">&'", "&lt;b a=&quot;1&quot;&gt;&amp;'"},
        {"\xce\xbb = 4", "\xce\xbb = 4"},
        {"\xff\x01z", "\xef\xbf\xbd\xef\xbf\xbdz"},
        {"\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* an overlong '<' */
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"cut \xe2\x82", "cut \xef\xbf\xbd\xef\xbf\xbd"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *html = html_of(cases[i][0]);
        assert_string_equal(html, cases[i][1]);
        free(html);
    }
}

static void encodes_base64(void **state)
{
    (void)state;
    static const char *const want[] = {"", "/w==", "/wA=", "/wBh", "/wBhYg=="};
    for (size_t n = 0; n < 5; n++) {
        char *out = NULL;
        size_t size;
        FILE *page = open_memstream(&out, &size);
        lk_html_base64(page, "\xff\0ab", n);
        fclose(page);
        assert_string_equal(out, want[n]);
        free(out);
    }
}

static void tells_where_pictures_are(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"/a/b", "/a/b/c/x.png", "c/x.png"},   {"/a/b", "/a/bc/x.png", "../bc/x.png"},
        {"/a/b/c", "/a/x.png", "../../x.png"}, {"/", "/x.png", "x.png"},
        {"/q/r", "/x.png", "../../x.png"},     {"/a", "/a/%20 b:c", "%20 b:c"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char path[LK_PATH_SIZE * 2];
        lk_relative_path(path, cases[i][0], cases[i][1]);
        assert_string_equal(path, cases[i][2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_run),     cmocka_unit_test(tells_states_apart),
        cmocka_unit_test(survives_damage), cmocka_unit_test(says_which_build_finished),
        cmocka_unit_test(scores),          cmocka_unit_test(finds_runs_in_order),
        cmocka_unit_test(compares),        cmocka_unit_test(escapes),
        cmocka_unit_test(encodes_base64),  cmocka_unit_test(tells_where_pictures_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
