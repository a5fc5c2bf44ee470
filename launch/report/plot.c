/* Curves: gnuplot draws them as SVG, in colours that stand for variables of the style sheet. Declared in html.h. */
#include "base/file.h"
#include "launch/report/html.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char *const colours[] = {"train", "val",   "base",  "ink",   "line",  "ramp0", "ramp1",
                                      "ramp2", "ramp3", "ramp4", "ramp5", "ramp6", "ramp7"};

enum { COLOURS = sizeof colours / sizeof *colours, RAMP = 8, RAMP_START = 5 };

const char *lk_plot_ramp(size_t i, size_t n)
{
    return colours[RAMP_START + (n > 1 ? i * (RAMP - 1) / (n - 1) : 0)];
}

static int colour_index(const char *name)
{
    int i = 0;
    while (i < COLOURS - 1 && strcmp(colours[i], name) != 0)
        i++;
    return i;
}

lk_status lk_plot_thin(const lk_series *series, size_t most, double **x, double **y, size_t *count)
{
    size_t bins = series->count < most ? series->count : most;
    *count = 0;
    *x = calloc(bins + 1, sizeof **x);
    *y = calloc(bins + 1, sizeof **y);
    if (!*x || !*y) {
        free(*x);
        free(*y);
        *x = *y = NULL;
        return lk_fail(LK_INTERNAL, "out of memory for a curve");
    }
    for (size_t b = 0; b < bins; b++) {
        double steps = 0, values = 0;
        size_t finite = 0;
        for (size_t i = b * series->count / bins; i < (b + 1) * series->count / bins; i++)
            if (isfinite(series->values[i])) {
                steps += (double)series->steps[i];
                values += series->values[i];
                finite++;
            }
        if (finite > 0) {
            (*x)[*count] = steps / (double)finite;
            (*y)[*count] = values / (double)finite;
            ++*count;
        }
    }
    return LK_OK;
}

/* ---- the script ---- */

/* In single quotes gnuplot knows no escape but the doubled quote. A text is one line. */
static void quote(FILE *script, const char *text)
{
    fputc('\'', script);
    for (; *text; text++) {
        if (*text == '\'')
            fputc('\'', script);
        fputc((unsigned char)*text < 0x20 ? ' ' : *text, script);
    }
    fputc('\'', script);
}

static bool drawable(const lk_plot_series *series, size_t i)
{
    return isfinite(series->x[i]) && isfinite(series->y[i]);
}

static size_t count_points(const lk_plot_series *series)
{
    size_t points = 0;
    for (size_t i = 0; i < series->count; i++)
        points += drawable(series, i);
    return points;
}

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

/* Steps start at 0 and end with the curve; points that are named need room for their names. */
static void write_ranges(FILE *script, const lk_plot *plot)
{
    extent x = extent_of(plot, true), y = extent_of(plot, false);
    bool named = false;
    for (size_t s = 0; s < plot->series_count; s++)
        named = named || plot->series[s].names;
    if (y.low > 0 && y.high > 20 * y.low)
        fputs("set logscale y\n", script);
    if (plot->logarithmic_x)
        fprintf(script, "set logscale x 2\nset xrange [%.9g:%.9g]\n", x.low / 1.2, x.high * 1.2);
    else if (named)
        fputs("set offsets graph 0.06, graph 0.12, graph 0.12, graph 0.04\n", script);
    else
        fprintf(script, "set xrange [0:%.9g]\nset offsets 0, 0, graph 0.03, graph 0.03\n", x.high > 0 ? x.high : 1);
}

static void write_data(FILE *script, const lk_plot_series *series, size_t index)
{
    fprintf(script, "$data%zu << EOD\n", index);
    for (size_t i = 0; i < series->count; i++)
        if (drawable(series, i) && series->style == LK_PLOT_ERRORS)
            fprintf(script, "%.9g %.9g %.9g %.9g\n", series->x[i], series->y[i], series->dx[i], series->dy[i]);
        else if (drawable(series, i))
            fprintf(script, "%.9g %.9g\n", series->x[i], series->y[i]);
    fputs("EOD\n", script);
    for (size_t i = 0; series->names && i < series->count; i++)
        if (drawable(series, i)) {
            fputs("set label ", script);
            quote(script, series->names[i]);
            fprintf(script, " at %.9g,%.9g offset 0.7,0.7 front\n", series->x[i], series->y[i]);
        }
}

static void write_script(FILE *script, const lk_plot *plot)
{
    static const char *const styles[] = {"using 1:2 with lines lw 2", "using 1:2 with linespoints lw 2 pt 7 ps 0.35",
                                         "using 1:2 with lines lw 1.5 dt (6,4)", "using 1:2 with points pt 7 ps 0.3",
                                         "using 1:2:3:4 with xyerrorbars lw 2 pt 7 ps 0.6"};
    fputs("set terminal svg noenhanced size 480,290 dynamic font 'sans-serif,13'\n"
          "set encoding utf8\nset border 3\nset tics nomirror out scale 0.4\nset grid lt 1 lw 0.5 lc rgb '#0000a4'\n"
          "unset key\nset bars small\n",
          script);
    fputs("set xlabel ", script);
    quote(script, plot->x);
    fputs("\nset ylabel ", script);
    quote(script, plot->y);
    fputs(" offset 1,0\n", script);
    write_ranges(script, plot);
    for (size_t s = 0; s < plot->series_count; s++)
        write_data(script, &plot->series[s], s);
    fputs("plot", script);
    const char *comma = " ";
    for (size_t s = 0; s < plot->series_count; s++) {
        const lk_plot_series *series = &plot->series[s];
        if (count_points(series) == 0)
            continue;
        fprintf(script, "%s$data%zu %s lc rgb '#0000%02x'", comma, s, styles[series->style], 0xa0 + colour_index(series->colour));
        comma = ", ";
    }
    fputc('\n', script);
}

/* ---- the child ---- */

/* Runs gnuplot from one file into another; its complaints go into a third. Files, since a pipe that fills would stop both. */
static lk_status run_gnuplot(FILE *script, FILE *drawing, FILE *complaints)
{
    char *arguments[] = {"gnuplot", "-d", "-", NULL};
    posix_spawn_file_actions_t actions;
    pid_t child;
    int result = 0;
    if (posix_spawn_file_actions_init(&actions) != 0)
        return lk_fail(LK_INTERNAL, "gnuplot: out of memory");
    posix_spawn_file_actions_adddup2(&actions, fileno(script), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(drawing), STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, fileno(complaints), STDERR_FILENO);
    int error = posix_spawnp(&child, arguments[0], &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (error == ENOENT)
        return lk_fail(LK_INTERNAL, "gnuplot, which draws the report's curves, is not in PATH: apt-get install gnuplot-nox");
    if (error != 0)
        return lk_fail(LK_INTERNAL, "cannot start gnuplot: %s", strerror(error));
    while (waitpid(child, &result, 0) < 0)
        if (errno != EINTR)
            return lk_fail(LK_INTERNAL, "waiting for gnuplot: %s", strerror(errno));
    if (result == 0)
        return LK_OK;
    char line[256] = "";
    rewind(complaints);
    while (fgets(line, sizeof line, complaints) && strspn(line, " \t\n^") == strlen(line)) {
    }
    line[strcspn(line, "\n")] = '\0';
    return lk_fail(LK_INTERNAL, "gnuplot failed with status %d: %s", result, line);
}

static lk_status draw(const lk_plot *plot, char **svg)
{
    FILE *script = tmpfile(), *drawing = tmpfile(), *complaints = tmpfile();
    lk_status status = LK_OK;
    char *text = NULL;
    size_t size = 0, taken = 0;
    if (!script || !drawing || !complaints) {
        status = lk_fail_io("make a file in", P_tmpdir, errno, 0);
        goto done;
    }
    write_script(script, plot);
    if (fflush(script) != 0) {
        status = lk_fail_io("write a file in", P_tmpdir, errno, 0);
        goto done;
    }
    rewind(script); /* the child shares the offset */
    LK_TRY_OR(done, run_gnuplot(script, drawing, complaints));
    fseek(drawing, 0, SEEK_END);
    size = (size_t)ftell(drawing);
    rewind(drawing);
    text = calloc(size + 1, 1);
    if (text)
        taken = fread(text, 1, size, drawing);
    if (!text || taken != size)
        status = lk_fail(LK_INTERNAL, "gnuplot: cannot read its drawing of %zu bytes", size);
done:
    if (script)
        fclose(script);
    if (drawing)
        fclose(drawing);
    if (complaints)
        fclose(complaints);
    if (status == LK_OK)
        *svg = text;
    else
        free(text);
    return status;
}

/* ---- the drawing becomes part of the page ---- */

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* One step through gnuplot's SVG: names get a prefix, since they are the page's; colours become the style sheet's; titles of the
 * parts, which browsers show as hints, and filters that nothing uses go. Returns what is next. */
static const char *copy_piece(FILE *page, const char *s, int number)
{
    static const char *const names[] = {"gpPt", "gpDot", "gnuplot_"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (starts(s, names[i])) {
            fprintf(page, "p%d_%s", number, names[i]);
            return s + strlen(names[i]);
        }
    unsigned index;
    int length = 0;
    bool colour = starts(s, "rgb(") && sscanf(s, "rgb( 0, 0, %u)%n", &index, &length) == 1 && length > 0;
    if (colour && index >= 0xa0 && index < 0xa0 + COLOURS) {
        fprintf(page, "var(--%s)", colours[index - 0xa0]);
        return s + length;
    }
    static const char *const paints[][2] = {
        {"black\"", "currentColor\""}, {"black'", "currentColor'"}, {"gray\"", "currentColor\""}};
    for (size_t i = 0; i < sizeof paints / sizeof *paints; i++)
        if (starts(s, paints[i][0])) {
            fputs(paints[i][1], page);
            return s + strlen(paints[i][0]);
        }
    static const char *const dropped[][2] = {{"<title>", "</title>"}, {"<filter ", "</filter>"}};
    for (size_t i = 0; i < sizeof dropped / sizeof *dropped; i++) {
        const char *end = starts(s, dropped[i][0]) ? strstr(s, dropped[i][1]) : NULL;
        if (end)
            return end + strlen(dropped[i][1]);
    }
    fputc(*s, page);
    return s + 1;
}

/* Groups that hold nothing are half of the text. */
static const char *skip_empty_group(const char *s)
{
    const char *end = starts(s, "<g fill=") ? strchr(s, '>') : NULL;
    return end && starts(end, ">\n</g>\n") ? end + strlen(">\n</g>\n") : s;
}

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

static lk_status embed(FILE *page, const lk_plot *plot, const char *svg, int number)
{
    const char *box = strstr(svg, "viewBox=\"");
    const char *body = strstr(svg, "<g id=\"gnuplot_canvas\">");
    if (!box || !body)
        return lk_fail(LK_INTERNAL, "gnuplot: no drawing came back; its version may be too old, 5.4 is known to work");
    fprintf(page,
            "<svg role=\"img\" aria-labelledby=\"p%d_title p%d_desc\" %.*s xmlns=\"http://www.w3.org/2000/svg\" "
            "xmlns:xlink=\"http://www.w3.org/1999/xlink\"><title id=\"p%d_title\">",
            number, number, (int)(strcspn(box + 9, "\"") + 10), box, number);
    lk_html_text(page, plot->title);
    fprintf(page, "</title><desc id=\"p%d_desc\">", number);
    describe(page, plot);
    fputs("</desc>\n", page);
    while (*body) {
        const char *next = skip_empty_group(body);
        body = next != body ? next : copy_piece(page, body, number);
    }
    return LK_OK;
}

lk_status lk_plot_draw(FILE *page, const lk_plot *plot, int number)
{
    size_t points = 0;
    fputs("<figure><figcaption><b>", page);
    lk_html_text(page, plot->title);
    fputs("</b>", page);
    for (size_t s = 0; s < plot->series_count; s++) {
        const lk_plot_series *series = &plot->series[s];
        size_t own = count_points(series);
        points += own;
        if (!series->label || own == 0)
            continue;
        fprintf(page, " <span class=\"key\"><i style=\"background:var(--%s)\"></i>", series->colour);
        lk_html_text(page, series->label);
        fputs("</span>", page);
    }
    fputs("</figcaption>\n", page);
    lk_status status = LK_OK;
    char *svg = NULL;
    if (points == 0)
        fputs("<p class=\"none\">no numbers yet</p>", page);
    else
        status = draw(plot, &svg);
    if (svg)
        status = embed(page, plot, svg, number);
    free(svg);
    fputs("</figure>\n", page);
    return status;
}
