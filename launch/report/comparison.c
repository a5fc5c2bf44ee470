/* Several runs on the page: which setting is best and why, the trade-off, the curves of all; declared in sections.h. */
#include "launch/report/html.h"
#include "launch/report/plot.h"
#include "launch/report/sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* More lines in one plot than LINES cannot be told apart; a line through more points than A_PATH is a tangle. */
enum { LINES = 60, A_PATH = 12, VALUE = 1024 };

/* ---- the verdict ---- */

static const char rule[] =
    "<p class=\"soft\"><b>The rule.</b> F contains lambda, so it cannot rank runs of different lambda. Each finished and "
    "evaluated run is "
    "measured by what is left of the error of a guess without looking (0: nothing, 1: all of it): "
    "<b>choices</b>, (1 &minus; accuracy) over (1 &minus; accuracy of always saying the commonest choice), both summed over "
    "the groups; "
    "<b>continuous</b>, the mean absolute error over that of predicting the mean, averaged over the 20 strongest parameters; "
    "<b>pixels</b>, F2 over the F2 of the true choices with the mean continuous parameters. "
    "The <b>score</b> is the plain mean of the three; of a setting, the mean over its seeds. The lowest score is the best.</p>\n";

static void name_setting(FILE *page, const lk_setting *setting)
{
    fputs("<b>", page);
    lk_html_text(page, setting->label);
    fprintf(page, "</b>, score %.4f", setting->score.mean);
    if (setting->score.count > 1)
        fprintf(page, " &plusmn; %.4f over %d seeds", setting->score.deviation, setting->score.count);
}

/* Then the settings lie on one path, in the order of lambda. */
static bool lambda_alone(const lk_comparison *comparison)
{
    return comparison->key_count == 1 && lk_differ_in(comparison, "loss.lambda");
}

/* A best point at the end of the range asks for more of it. */
static void write_edge(FILE *page, const lk_comparison *comparison)
{
    int last = (int)comparison->count - 1;
    if (lambda_alone(comparison) && last >= 2 && (comparison->best == 0 || comparison->best == last))
        fprintf(page, " It lies at the edge of the sweep: a %s lambda may be better still.",
                comparison->best == 0 ? "smaller" : "larger");
}

static void write_verdict(FILE *page, const lk_comparison *comparison)
{
    int unranked = 0;
    for (size_t i = 0; i < comparison->count; i++)
        unranked += comparison->settings[i].score.count == 0;
    fputs("<p class=\"best\">", page);
    if (comparison->best < 0) {
        fputs("Nothing can be ranked yet: <code>likeness evaluate RUN</code> judges a finished run.", page);
    } else {
        const lk_setting *best = &comparison->settings[comparison->best];
        fputs("&#9733; Best: ", page);
        name_setting(page, best);
        if (comparison->second >= 0) {
            const lk_setting *second = &comparison->settings[comparison->second];
            double spread = fmax(best->score.deviation, second->score.deviation);
            fputs(". Next: ", page);
            name_setting(page, second);
            if (second->score.mean - best->score.mean < spread)
                fputs("; the two differ by less than their seeds do", page);
        }
        fputs(".", page);
        write_edge(page, comparison);
        if (unranked > 0)
            fprintf(page, " %d of %zu settings without a finished and evaluated run are not ranked.", unranked,
                    comparison->count);
    }
    fputs("</p>\n", page);
    static const char *const incomparable[] = {"data.val", "model.size", "model.decoder.weights"};
    for (size_t i = 0; i < sizeof incomparable / sizeof *incomparable; i++)
        if (lk_differ_in(comparison, incomparable[i]))
            fprintf(page,
                    "<p class=\"note\">The runs differ in %s: their errors are not measured by the same yardstick, "
                    "compare with care.</p>\n",
                    incomparable[i]);
    fputs(rule, page);
}

/* ---- plots over the settings ---- */

/* Arrays of one number per setting; freed together. */
typedef struct columns {
    double *lambda, *f1, *f2, *f1_bar, *f2_bar, *choices, *continuous, *pixels, *score;
    const char **names;
} columns;

static void free_columns(columns *c)
{
    free(c->lambda); /* the others lie in the same block */
    free(c->names);
}

static lk_status fill_columns(const lk_comparison *comparison, columns *c)
{
    size_t n = comparison->count;
    double *block = calloc(9 * n + 1, sizeof *block);
    c->names = calloc(n + 1, sizeof *c->names);
    c->lambda = block;
    if (!block || !c->names) {
        free_columns(c);
        return lk_fail(LK_INTERNAL, "out of memory for the plots");
    }
    double **const members[] = {&c->f1, &c->f2, &c->f1_bar, &c->f2_bar, &c->choices, &c->continuous, &c->pixels, &c->score};
    for (size_t m = 0; m < sizeof members / sizeof *members; m++)
        *members[m] = block + (m + 1) * n;
    for (size_t i = 0; i < n; i++) {
        const lk_setting *s = &comparison->settings[i];
        c->lambda[i] = s->lambda;
        c->f1[i] = s->f1.mean;
        c->f2[i] = s->f2.mean;
        c->f1_bar[i] = s->f1.deviation;
        c->f2_bar[i] = s->f2.deviation;
        c->choices[i] = s->choices.mean;
        c->continuous[i] = s->continuous.mean;
        c->pixels[i] = s->pixels.mean;
        c->score[i] = s->score.mean;
        c->names[i] = comparison->key_count <= 1 ? strrchr(s->label, ' ') + 1 : s->label; /* the value says it all */
    }
    return LK_OK;
}

static void draw_trade_off(FILE *page, const lk_comparison *comparison, const columns *c, int *plots)
{
    const lk_plot_series points = {.label = "mean of the seeds, bars: one standard deviation",
                                   .colour = "val",
                                   .style = LK_PLOT_ERRORS,
                                   .count = comparison->count,
                                   .x = c->f2,
                                   .y = c->f1,
                                   .dx = c->f2_bar,
                                   .dy = c->f1_bar,
                                   .names = c->names,
                                   .marked = (size_t)(comparison->best + 1)};
    const lk_plot_series line = {.colour = "train", .style = LK_PLOT_HAIR, .count = comparison->count, .x = c->f2, .y = c->f1};
    bool path = lambda_alone(comparison) && comparison->count <= A_PATH;
    const lk_plot_series series[] = {path ? line : points, points};
    const lk_plot plot = {.title = lambda_alone(comparison) ? "Trade-off by lambda, lower left is better"
                                                            : "Trade-off, lower left is better",
                          .x = "F2, distance of the pictures",
                          .y = "F1, cross-entropy",
                          .series = path ? series : series + 1,
                          .series_count = path ? 2 : 1};
    lk_plot_draw(page, &plot, (*plots)++);
}

static void draw_scores(FILE *page, const lk_comparison *comparison, const columns *c, int *plots)
{
    size_t n = comparison->count;
    if (!lk_differ_in(comparison, "loss.lambda"))
        return;
    const lk_plot_series series[] = {
        {.label = "choices", .colour = "ramp1", .style = LK_PLOT_MARKED_LINE, .count = n, .x = c->lambda, .y = c->choices},
        {.label = "continuous", .colour = "ramp4", .style = LK_PLOT_MARKED_LINE, .count = n, .x = c->lambda, .y = c->continuous},
        {.label = "pixels", .colour = "ramp6", .style = LK_PLOT_MARKED_LINE, .count = n, .x = c->lambda, .y = c->pixels},
        {.label = "score", .colour = "ink", .style = LK_PLOT_DASHED, .count = n, .x = c->lambda, .y = c->score},
    };
    const lk_plot plot = {.title = "Error left over lambda",
                          .x = "lambda",
                          .y = "share of a guess's error",
                          .series = series,
                          .series_count = 4,
                          .logarithmic_x = comparison->settings[0].lambda > 0};
    lk_plot_draw(page, &plot, (*plots)++);
}

/* Of many settings those that begin a colour are named. */
static const char *legend_of(const lk_comparison *comparison, size_t s)
{
    bool begins = s == 0 || strcmp(lk_plot_ramp(s, comparison->count), lk_plot_ramp(s - 1, comparison->count)) != 0;
    return begins ? comparison->settings[s].label : NULL;
}

/* A validation curve of each run, of many the lowest seed's and of too many settings some; coloured
 * by setting, the best on top. */
static lk_status draw_together(FILE *page, const lk_report *report, const lk_comparison *comparison, lk_curve_of curve,
                               const char *title, int *plots)
{
    size_t used = 0, runs = 0, best = (size_t)comparison->best;
    for (size_t s = 0; s < comparison->count; s++)
        runs += comparison->settings[s].run_count;
    bool one_each = runs > LINES;
    size_t shown = one_each && comparison->count > LINES ? LINES : comparison->count;
    lk_plot_series *series = calloc(runs + 1, sizeof *series);
    char caption[128], best_label[VALUE] = "";
    if (!series)
        return lk_fail(LK_INTERNAL, "out of memory for the plots");
    if (comparison->best >= 0)
        snprintf(best_label, sizeof best_label, "\u2605 %s", comparison->settings[best].label);
    for (size_t k = 0; k <= shown; k++) { /* the last time for the best */
        size_t s = k == shown ? best : shown > 1 ? k * (comparison->count - 1) / (shown - 1) : 0;
        if (s >= comparison->count || (k < shown && s == best))
            continue;
        const lk_setting *setting = &comparison->settings[s];
        for (size_t i = 0; i < (one_each ? 1 : setting->run_count); i++) {
            const lk_curve *c = &report->runs[setting->runs[i]].curves[curve];
            series[used++] = (lk_plot_series){.label = i > 0        ? NULL
                                                       : k == shown ? best_label
                                                                    : legend_of(comparison, s),
                                              .colour = k == shown ? "ink" : lk_plot_ramp(s, comparison->count),
                                              .style = runs <= A_PATH ? LK_PLOT_MARKED_LINE
                                                       : k == shown   ? LK_PLOT_LINE
                                                                      : LK_PLOT_HAIR,
                                              .count = c->count,
                                              .x = c->x,
                                              .y = c->y};
        }
    }
    snprintf(caption, sizeof caption, "%s%s", title, one_each ? ", lowest seed of each setting" : "");
    if (shown < comparison->count)
        snprintf(caption, sizeof caption, "%s, %zu of %zu settings", title, shown, comparison->count);
    const lk_plot plot = {.title = caption, .x = "step", .y = "", .series = series, .series_count = used};
    lk_plot_draw(page, &plot, (*plots)++);
    free(series);
    return LK_OK;
}

lk_status lk_html_comparison(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_pictures *pictures,
                             int *plots)
{
    columns c;
    bool seeds = false;
    for (size_t i = 0; i < comparison->count; i++)
        seeds = seeds || comparison->settings[i].run_count > 1;
    fputs("<section><h2>Comparison</h2>\n", page);
    write_verdict(page, comparison);
    LK_TRY(fill_columns(comparison, &c));
    fputs("<div class=\"grid large\">\n", page);
    draw_trade_off(page, comparison, &c, plots);
    draw_scores(page, comparison, &c, plots);
    free_columns(&c);
    LK_TRY(draw_together(page, report, comparison, LK_VAL_F1, "F1 in validation", plots));
    LK_TRY(draw_together(page, report, comparison, LK_VAL_F2, "F2 in validation", plots));
    fputs("</div>\n", page);
    if (seeds)
        lk_html_settings(page, comparison);
    lk_html_faces(page, report, comparison, pictures);
    fputs("</section>\n", page);
    return LK_OK;
}
