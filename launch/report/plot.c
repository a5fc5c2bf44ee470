#include "launch/report/plot.h"

#include "launch/report/axis.h"
#include "launch/report/html.h"
#include "launch/report/point_names.h"

#include <math.h>
#include <string.h>

/* The drawing's own units, half a pixel where it is shown smallest; text is 26 of them high. */
enum { WIDTH = 960, HEIGHT = 580, TOP = 16, RIGHT = 24, BOTTOM = 96, TEXT = 26, LETTER = 16, TICK = 8, MANY_BARS = 20 };

const char *lk_plot_ramp(size_t i, size_t n)
{
    static const char *const ramp[] = {"ramp0", "ramp1", "ramp2", "ramp3", "ramp4", "ramp5", "ramp6", "ramp7"};
    enum { COLOURS = sizeof ramp / sizeof *ramp };
    return ramp[n > 1 ? i * (COLOURS - 1) / (n - 1) : 0];
}

/* Numbers beyond it cannot be told apart from it in a drawing, and their spans overflow. */
static bool drawable(const lk_plot_series *series, size_t i)
{
    return fabs(series->x[i]) < 1e300 && fabs(series->y[i]) < 1e300;
}

static size_t count_points(const lk_plot_series *series)
{
    size_t points = 0;
    for (size_t i = 0; i < series->count; i++)
        points += drawable(series, i);
    return points;
}

/* ---- axes ---- */

typedef struct extent {
    double low, high;
} extent;

static extent extent_of(const lk_plot *plot, bool of_x)
{
    extent e = {INFINITY, -INFINITY};
    for (size_t s = 0; s < plot->series_count; s++)
        for (size_t i = 0; i < plot->series[s].count; i++)
            if (drawable(&plot->series[s], i)) {
                double value = of_x ? plot->series[s].x[i] : plot->series[s].y[i];
                e.low = fmin(e.low, value);
                e.high = fmax(e.high, value);
            }
    return e;
}

/* Room around: shares of the span. One value alone gets a span. */
static extent widen(extent e, double below, double above)
{
    double span = e.high - e.low;
    if (span <= 1e-12 * fmax(fabs(e.low), fabs(e.high)))
        span = e.high != 0 ? fabs(e.high) : 1;
    return (extent){e.low - below * span, e.high + above * span};
}

static bool has_names(const lk_plot *plot)
{
    bool named = false;
    for (size_t s = 0; s < plot->series_count; s++)
        named = named || plot->series[s].names;
    return named;
}

static lk_axis x_axis(const lk_plot *plot)
{
    extent e = extent_of(plot, true);
    if (plot->logarithmic_x && e.low > 0)
        return (lk_axis){.base = 2, .low = e.low / 1.2, .high = e.high * 1.2};
    if (has_names(plot))
        e = widen(e, 0.1, 0.1);
    else
        e = (extent){0, e.high > 0 ? e.high : 1};
    return (lk_axis){.low = e.low, .high = e.high};
}

static lk_axis y_axis(const lk_plot *plot)
{
    extent e = extent_of(plot, false);
    bool named = has_names(plot);
    if (e.low > 0 && e.high > 20 * e.low)
        return (lk_axis){.base = 10, .low = e.low / 1.15, .high = e.high * 1.15};
    extent wide = widen(e, named ? 0.12 : 0.04, named ? 0.12 : 0.04);
    if (e.low >= 0 && wide.low < 0)
        wide.low = 0;
    return (lk_axis){.low = wide.low, .high = wide.high};
}

typedef struct frame {
    lk_axis x, y;
    lk_tick x_ticks[LK_TICKS], y_ticks[LK_TICKS];
    size_t x_count, y_count;
} frame;

/* The labels of the vertical axis need room at its left. */
static void set_up(frame *f, const lk_plot *plot)
{
    f->x = x_axis(plot);
    f->y = y_axis(plot);
    f->x_count = lk_axis_ticks(&f->x, f->x_ticks);
    f->y_count = lk_axis_ticks(&f->y, f->y_ticks);
    size_t longest = 1;
    for (size_t i = 0; i < f->y_count; i++)
        longest = strlen(f->y_ticks[i].label) > longest ? strlen(f->y_ticks[i].label) : longest;
    f->x.from = (double)(longest * LETTER + 2 * TICK + (plot->y[0] ? TEXT + 2 * TICK : 0));
    f->x.to = WIDTH - RIGHT;
    f->y.from = HEIGHT - BOTTOM;
    f->y.to = TOP;
}

static int place(const lk_axis *axis, double value)
{
    return (int)lround(lk_axis_place(axis, value));
}

static void draw_axes(FILE *page, const frame *f, const lk_plot *plot)
{
    int left = (int)f->x.from, right = (int)f->x.to, bottom = (int)f->y.from, top = (int)f->y.to;
    fputs("<path class=\"gr\" d=\"", page);
    for (size_t i = 0; i < f->y_count; i++)
        if (f->y_ticks[i].label[0])
            fprintf(page, "M%d %dH%d", left, place(&f->y, f->y_ticks[i].value), right);
    for (size_t i = 0; i < f->x_count; i++)
        if (f->x_ticks[i].label[0])
            fprintf(page, "M%d %dV%d", place(&f->x, f->x_ticks[i].value), bottom, top);
    fprintf(page, "\"/><path class=\"ax\" d=\"M%d %dV%dH%d", left, top, bottom, right);
    for (size_t i = 0; i < f->y_count; i++)
        fprintf(page, "M%d %dh-%d", left, place(&f->y, f->y_ticks[i].value), f->y_ticks[i].label[0] ? TICK : TICK / 2);
    for (size_t i = 0; i < f->x_count; i++)
        fprintf(page, "M%d %dv%d", place(&f->x, f->x_ticks[i].value), bottom, f->x_ticks[i].label[0] ? TICK : TICK / 2);
    fputs("\"/><g class=\"yt\">", page);
    for (size_t i = 0; i < f->y_count; i++)
        if (f->y_ticks[i].label[0])
            fprintf(page, "<text x=\"%d\" y=\"%d\">%s</text>", left - 2 * TICK, place(&f->y, f->y_ticks[i].value) + TEXT / 3,
                    f->y_ticks[i].label);
    fputs("</g><g class=\"xt\">", page);
    for (size_t i = 0; i < f->x_count; i++)
        if (f->x_ticks[i].label[0])
            fprintf(page, "<text x=\"%d\" y=\"%d\">%s</text>", place(&f->x, f->x_ticks[i].value), bottom + TICK + TEXT,
                    f->x_ticks[i].label);
    fprintf(page, "<text x=\"%d\" y=\"%d\">", (left + right) / 2, HEIGHT - TICK);
    lk_html_text(page, plot->x);
    fputs("</text>", page);
    if (plot->y[0]) {
        fprintf(page, "<text transform=\"rotate(-90)\" x=\"-%d\" y=\"%d\">", (top + bottom) / 2, TEXT - 2);
        lk_html_text(page, plot->y);
        fputs("</text>", page);
    }
    fputs("</g>\n", page);
}

/* ---- series ---- */

static void pair(FILE *page, int x, int y, bool first)
{
    fprintf(page, !first && x >= 0 ? " %d" : "%d", x);
    fprintf(page, y >= 0 ? " %d" : "%d", y);
}

/* Relative steps are half as long as places, and signs stand for blanks. A point alone between gaps is a dot. */
static void draw_line(FILE *page, const frame *f, const lk_plot_series *series, const char *class)
{
    int x = 0, y = 0;
    size_t drawn = 0; /* points since the last gap */
    fprintf(page, "<path class=\"%s\" stroke=\"var(--%s)\" d=\"", class, series->colour);
    for (size_t i = 0; i < series->count; i++) {
        if (!drawable(series, i)) {
            fputs(drawn == 1 ? "h0" : "", page);
            drawn = 0;
            continue;
        }
        int dx = place(&f->x, series->x[i]) - x, dy = place(&f->y, series->y[i]) - y;
        if (drawn == 0)
            fputc('m', page);
        else if (dx == 0 && dy == 0)
            continue;
        pair(page, dx, dy, drawn == 0);
        x += dx;
        y += dy;
        drawn++;
    }
    fprintf(page, "%s\"/>\n", drawn == 1 ? "h0" : "");
}

static void draw_dots(FILE *page, const frame *f, const lk_plot_series *series)
{
    int x = 0, y = 0;
    fprintf(page, "<path class=\"dot\" stroke=\"var(--%s)\" d=\"", series->colour);
    for (size_t i = 0; i < series->count; i++)
        if (drawable(series, i)) {
            int dx = place(&f->x, series->x[i]) - x, dy = place(&f->y, series->y[i]) - y;
            fputc('m', page);
            pair(page, dx, dy, true);
            fputs("h0", page);
            x += dx;
            y += dy;
        }
    fputs("\"/>\n", page);
}

/* A bar ends at the frame, and below everything where a logarithmic axis has no place for its end. */
static int bar_end(const lk_axis *axis, double value)
{
    return place(axis, fmin(fmax(value, axis->low), axis->high));
}

static void draw_points(FILE *page, const frame *f, const lk_plot_series *series)
{
    fprintf(page, "<path class=\"bar%s\" stroke=\"var(--%s)\" d=\"", series->count > MANY_BARS ? " pale" : "", series->colour);
    for (size_t i = 0; i < series->count; i++) {
        if (!drawable(series, i))
            continue;
        double x = series->x[i], y = series->y[i];
        if (series->dx[i] > 0)
            fprintf(page, "M%d %dH%d", bar_end(&f->x, x - series->dx[i]), place(&f->y, y), bar_end(&f->x, x + series->dx[i]));
        if (series->dy[i] > 0)
            fprintf(page, "M%d %dV%d", place(&f->x, x), bar_end(&f->y, y - series->dy[i]), bar_end(&f->y, y + series->dy[i]));
    }
    fputs("\"/>\n", page);
    for (size_t i = 0; i < series->count; i++) {
        if (!drawable(series, i))
            continue;
        bool marked = series->marked == i + 1;
        fprintf(page, "<circle cx=\"%d\" cy=\"%d\" r=\"%d\" fill=\"var(--%s)\"><title>", place(&f->x, series->x[i]),
                place(&f->y, series->y[i]), marked ? LK_POINT_RADIUS + 3 : LK_POINT_RADIUS, marked ? "good" : series->colour);
        if (series->names)
            lk_html_text(page, series->names[i]);
        fprintf(page, ": %.4g, %.4g</title></circle>\n", series->x[i], series->y[i]);
    }
}

/* Names may overlap neither each other nor any point of their series. */
static void draw_names(FILE *page, const frame *f, const lk_plot_series *series)
{
    lk_named_point points[LK_NAMED_POINTS];
    const lk_box room = {f->x.from, f->y.to, f->x.to, f->y.from};
    size_t count = 0;
    for (size_t i = 0; i < series->count && count < LK_NAMED_POINTS; i++)
        if (drawable(series, i))
            points[count++] = (lk_named_point){.name = series->names[i],
                                               .first = series->marked == i + 1,
                                               .x = lk_axis_place(&f->x, series->x[i]),
                                               .y = lk_axis_place(&f->y, series->y[i])};
    lk_place_names(points, count, room, TEXT, LETTER);
    fputs("<g class=\"nm\">", page);
    for (size_t i = 0; i < count; i++)
        if (points[i].shown) {
            fprintf(page, "<text%s x=\"%.0f\" y=\"%.0f\">", points[i].first ? " class=\"first\"" : "", points[i].box.left,
                    points[i].box.bottom - TEXT / 4.0);
            lk_html_text(page, points[i].name);
            fputs("</text>", page);
        }
    fputs("</g>\n", page);
}

static void draw_series(FILE *page, const frame *f, const lk_plot_series *series)
{
    if (count_points(series) == 0)
        return;
    switch (series->style) {
    case LK_PLOT_LINE: draw_line(page, f, series, "ln"); break;
    case LK_PLOT_HAIR: draw_line(page, f, series, "hair"); break;
    case LK_PLOT_DASHED: draw_line(page, f, series, "dash"); break;
    case LK_PLOT_MARKED_LINE:
        draw_line(page, f, series, "ln");
        draw_dots(page, f, series);
        break;
    case LK_PLOT_ERRORS:
        draw_points(page, f, series);
        if (series->names)
            draw_names(page, f, series);
        break;
    }
}

/* ---- the figure ---- */

/* For those who do not see it. */
static void describe(FILE *page, const lk_plot *plot)
{
    const char *separator = "";
    for (size_t s = 0; s < plot->series_count; s++) {
        const lk_plot_series *series = &plot->series[s];
        size_t first = 0, last = series->count;
        while (first < last && !drawable(series, first))
            first++;
        while (last > first && !drawable(series, last - 1))
            last--;
        if (!series->label || first == last)
            continue;
        fputs(separator, page);
        lk_html_text(page, series->label);
        fprintf(page, ": from %.4g to %.4g", series->y[first], series->y[last - 1]);
        separator = "; ";
    }
}

static void write_legend(FILE *page, const lk_plot *plot)
{
    fputs("<figure><figcaption><b>", page);
    lk_html_text(page, plot->title);
    fputs("</b>", page);
    for (size_t s = 0; s < plot->series_count; s++) {
        const lk_plot_series *series = &plot->series[s];
        if (!series->label || count_points(series) == 0)
            continue;
        fprintf(page, " <span class=\"key\"><i style=\"background:var(--%s)\"></i>", series->colour);
        lk_html_text(page, series->label);
        fputs("</span>", page);
    }
    fputs("</figcaption>\n", page);
}

void lk_plot_draw(FILE *page, const lk_plot *plot, int number)
{
    size_t points = 0;
    for (size_t s = 0; s < plot->series_count; s++)
        points += count_points(&plot->series[s]);
    write_legend(page, plot);
    if (points == 0) {
        fputs("<p class=\"none\">no numbers yet</p></figure>\n", page);
        return;
    }
    frame f;
    set_up(&f, plot);
    fprintf(page, "<svg role=\"img\" aria-labelledby=\"p%d_title p%d_desc\" viewBox=\"0 0 %d %d\"><title id=\"p%d_title\">",
            number, number, WIDTH, HEIGHT, number);
    lk_html_text(page, plot->title);
    fprintf(page, "</title><desc id=\"p%d_desc\">", number);
    describe(page, plot);
    fputs("</desc>\n", page);
    draw_axes(page, &f, plot);
    for (size_t s = 0; s < plot->series_count; s++)
        draw_series(page, &f, &plot->series[s]);
    fputs("</svg></figure>\n", page);
}
