/* Plots: curves thinned without losing what a screen would show, ticks, names of points, and what is drawn. */
#include "launch/report/axis.h"
#include "launch/report/curve.h"
#include "launch/report/plot.h"
#include "launch/report/point_names.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- curves ---- */

static lk_curve thin(size_t count, const double *values)
{
    lk_thinner *thinner = calloc(1, sizeof *thinner);
    lk_curve curve;
    for (size_t i = 0; i < count; i++)
        lk_thinner_add(thinner, (int64_t)i + 1, values[i]);
    assert_int_equal(lk_thinner_finish(thinner, &curve), LK_OK);
    free(thinner);
    for (size_t i = 1; i < curve.count; i++)
        assert_true(curve.x[i] >= curve.x[i - 1]);
    return curve;
}

static bool has(const lk_curve *curve, double x, double y)
{
    for (size_t i = 0; i < curve->count; i++)
        if (curve->x[i] == x && curve->y[i] == y)
            return true;
    return false;
}

static void short_curves_stay_whole(void **state)
{
    (void)state;
    const double values[] = {1, 3, NAN, INFINITY, 6};
    lk_curve curve = thin(5, values);
    assert_int_equal(curve.count, 4); /* two values that are not finite are one gap */
    assert_true(has(&curve, 1, 1) && has(&curve, 2, 3) && has(&curve, 5, 6) && isnan(curve.y[2]));
    assert_true(curve.seen == 5 && curve.not_finite == 2 && curve.last == 6 && curve.last_step == 5);
    assert_float_equal(curve.mean, 10.0 / 3, 1e-12);
    lk_curve_free(&curve);
    curve = thin(0, NULL);
    assert_true(curve.count == 0 && isnan(curve.mean) && isnan(curve.last) && curve.last_step == 0);
    lk_curve_free(&curve);
    curve = thin(1, &values[2]);
    assert_true(curve.count == 1 && isnan(curve.y[0]) && isnan(curve.mean) && curve.not_finite == 1);
    lk_curve_free(&curve);
}

/* Noise with a spike up, a spike down and a gap, each one step wide, at every length around the doublings of the bins. */
static void spikes_gaps_and_ends_stay(void **state)
{
    (void)state;
    static const size_t lengths[] = {319, 320, 321, 640, 641, 6250, 100000};
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        size_t n = lengths[l], up = n / 3, down = n / 2, gap = 2 * n / 3;
        double *values = calloc(n, sizeof *values), sum = 0;
        for (size_t i = 0; i < n; i++)
            values[i] = 1 + (double)(i * 7919 % 1000) / 1e4;
        values[up] = 50;
        values[down] = -50;
        values[gap] = NAN;
        for (size_t i = 0; i < n; i++)
            sum += i == gap ? 0 : values[i];
        lk_curve curve = thin(n, values);
        assert_true(has(&curve, (double)up + 1, 50) && has(&curve, (double)down + 1, -50));
        assert_true(curve.x[0] == 1 && curve.y[0] == values[0]);
        assert_true(curve.x[curve.count - 1] == (double)n && curve.y[curve.count - 1] == values[n - 1]);
        assert_true(curve.count <= 3 * LK_CURVE_BINS + 2 && curve.mean_count <= LK_CURVE_BINS);
        assert_true(n < LK_CURVE_BINS || curve.mean_count >= LK_CURVE_BINS / 2);
        size_t gaps = 0;
        for (size_t i = 0; i < curve.count; i++)
            if (isnan(curve.y[i])) {
                gaps++;
                assert_true(curve.x[i] == (double)gap + 1);
            }
        assert_int_equal(gaps, 1);
        assert_float_equal(curve.mean, sum / (double)(n - 1), 1e-9);
        lk_curve_free(&curve);
        free(values);
    }
}

/* A run that became NAN at once and for good, and one that begins with NAN. */
static void ends_in_gaps_are_right(void **state)
{
    (void)state;
    double values[1000];
    for (int i = 0; i < 1000; i++)
        values[i] = i < 500 ? 1000 - i : NAN;
    lk_curve curve = thin(1000, values);
    assert_true(curve.x[0] == 1 && has(&curve, 500, 501) && isnan(curve.y[curve.count - 1]) && isnan(curve.last));
    lk_curve_free(&curve);
    for (int i = 0; i < 1000; i++)
        values[i] = i < 501 ? NAN : i;
    curve = thin(1000, values);
    assert_true(isnan(curve.y[0]) && has(&curve, 502, 501) && has(&curve, 1000, 999) && curve.not_finite == 501);
    lk_curve_free(&curve);
}

/* ---- axes ---- */

static void check_ticks(const lk_axis *axis, const char *want)
{
    lk_tick ticks[LK_TICKS];
    size_t count = lk_axis_ticks(axis, ticks);
    char got[512] = "";
    for (size_t i = 0; i < count; i++)
        if (ticks[i].label[0])
            snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", got[0] ? " " : "", ticks[i].label);
    assert_string_equal(got, want);
}

static void ticks_are_round(void **state)
{
    (void)state;
    static const struct {
        lk_axis axis;
        const char *want;
    } cases[] = {
        {{.low = 0, .high = 6250}, "0 1000 2000 3000 4000 5000 6000"},
        {{.low = 0, .high = 100000}, "0 20k 40k 60k 80k 100k"},
        {{.low = 0, .high = 2500000}, "0 0.5M 1.0M 1.5M 2.0M 2.5M"},
        {{.low = -0.31, .high = 0.22}, "-0.3 -0.2 -0.1 0 0.1 0.2"},
        {{.low = 0, .high = 0.001}, "0 0.0002 0.0004 0.0006 0.0008 0.0010"},
        {{.low = 0, .high = 0.00032}, "0 5e-5 1.0e-4 1.5e-4 2.0e-4 2.5e-4 3.0e-4"},
        {{.low = 1e-5, .high = 1.2e-5}, "1.00e-5 1.05e-5 1.10e-5 1.15e-5 1.20e-5"},
        {{.low = 5e17, .high = 2e18}, "6e17 8e17 1.0e18 1.2e18 1.4e18 1.6e18 1.8e18 2.0e18"},
        {{.base = 10, .low = 0.7, .high = 3000}, "1 10 100 1000"},
        {{.base = 10, .low = 0.7, .high = 30}, "1 2 5 10 20"},
        {{.base = 10, .low = 1e-8, .high = 1e8}, "1e-6 0.001 1 1000 1e6"},
        {{.base = 2, .low = 0.4, .high = 150}, "0.5 1 2 4 8 16 32 64 128"},
        {{.base = 2, .low = 0.4, .high = 600}, "1 4 16 64 256"},
        {{.base = 2, .low = 20000, .high = 3e6}, "32768 65536 131072 262144 524288 1.05e6 2.10e6"},
        {{.base = 2, .low = 4.2, .high = 7.8}, "4.5 5.0 5.5 6.0 6.5 7.0 7.5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_ticks(&cases[i].axis, cases[i].want);
}

/* ---- names of points ---- */

static void names_do_not_overlap(void **state)
{
    (void)state;
    enum { POINTS = 40 };
    lk_named_point points[POINTS] = {{0}};
    const lk_box room = {0, 0, 900, 500};
    for (int i = 0; i < POINTS; i++)
        points[i] = (lk_named_point){.name = "lambda 0.5", .x = 400 + i * 3 % 50, .y = 200 + i * 7 % 40, .first = i == 20};
    points[POINTS - 1].x = 895; /* at the edge: its name goes to the left */
    lk_place_names(points, POINTS, room, 26, 15);
    int shown = 0;
    for (int i = 0; i < POINTS; i++) {
        const lk_box *a = &points[i].box;
        if (!points[i].shown)
            continue;
        shown++;
        assert_true(a->left >= 0 && a->top >= 0 && a->right <= 900 && a->bottom <= 500);
        for (int k = 0; k < POINTS; k++) {
            const lk_box *b = &points[k].box;
            assert_true(k == i || !points[k].shown || a->right <= b->left || b->right <= a->left || a->bottom <= b->top ||
                        b->bottom <= a->top);
            assert_false(i != 20 && points[k].x > a->left && points[k].x < a->right && points[k].y > a->top &&
                         points[k].y < a->bottom);
        }
    }
    assert_true(shown >= 3 && shown < POINTS);
    assert_true(points[20].shown && points[POINTS - 1].shown && points[POINTS - 1].box.right < 895);
}

/* ---- drawings ---- */

static char *draw(const lk_plot *plot)
{
    static char *text; /* static: gcc 12 takes it for a dangling pointer otherwise */
    static size_t size;
    FILE *page = open_memstream(&text, &size);
    lk_plot_draw(page, plot, 7);
    fclose(page);
    return text;
}

static char *draw_one(const lk_plot_series *series)
{
    const lk_plot plot = {.title = "a <title>", .x = "step", .y = "", .series = series, .series_count = 1};
    return draw(&plot);
}

/* Bounds of axes are 0..4 and 1..9 with room; a gap begins a new line, a point alone is a dot. */
static void lines_break_at_gaps(void **state)
{
    (void)state;
    const double x[] = {0, 1, 2, 3, 4}, y[] = {1, 9, NAN, 5, INFINITY};
    const lk_plot_series series = {.label = "l", .colour = "val", .count = 5, .x = x, .y = y};
    char *text = draw_one(&series);
    assert_non_null(strstr(text, "a &lt;title&gt;"));
    const char *line = strstr(text, "class=\"ln\" stroke=\"var(--val)\" d=\"m");
    assert_non_null(line);
    line = strstr(line, "d=\"") + 3;
    size_t length = strcspn(line, "\"");
    int moves = 0, dots = 0;
    for (size_t i = 0; i < length; i++) {
        moves += line[i] == 'm';
        dots += line[i] == 'h';
    }
    assert_int_equal(moves, 2);
    assert_int_equal(dots, 1);
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    free(text);
}

static void odd_numbers_are_drawn(void **state)
{
    (void)state;
    static const double cases[][3] = {{0, 0, 0},          {-5, -5, -5},  {9e299, -9e299, INFINITY},
                                      {1e-320, 1e290, 1}, {NAN, 7, NAN}, {-1e299, 1e299, 0}};
    const double x[] = {1, 2, 1e18};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const lk_plot_series series = {.label = "l", .colour = "val", .count = 3, .x = x, .y = cases[i]};
        char *text = draw_one(&series);
        assert_non_null(strstr(text, "<svg"));
        assert_null(strstr(text, "nan"));
        assert_null(strstr(text, "inf"));
        free(text);
    }
    const double nothing[] = {NAN, INFINITY, -INFINITY};
    const lk_plot_series series = {.label = "l", .colour = "val", .count = 3, .x = x, .y = nothing};
    char *text = draw_one(&series);
    assert_non_null(strstr(text, "no numbers yet"));
    assert_null(strstr(text, "<svg"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_curves_stay_whole), cmocka_unit_test(spikes_gaps_and_ends_stay),
        cmocka_unit_test(ends_in_gaps_are_right),  cmocka_unit_test(ticks_are_round),
        cmocka_unit_test(names_do_not_overlap),    cmocka_unit_test(lines_break_at_gaps),
        cmocka_unit_test(odd_numbers_are_drawn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
