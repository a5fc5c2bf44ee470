/* Several runs on the page: which setting is best and why, the trade-off, the tables. Declared in html.h. */
#include "launch/report/html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 160, SHOWN_KEYS = 6, VALUE = 1024 };

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

static bool differs(const lk_comparison *comparison, const char *key)
{
    for (size_t k = 0; k < comparison->key_count; k++)
        if (strcmp(lk_config_key(comparison->keys[k]), key) == 0)
            return true;
    return false;
}

/* Then the settings lie on one path, in the order of lambda. */
static bool lambda_alone(const lk_comparison *comparison)
{
    return comparison->key_count == 1 && differs(comparison, "loss.lambda");
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
        if (differs(comparison, incomparable[i]))
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

static lk_status draw_trade_off(FILE *page, const lk_comparison *comparison, const columns *c, int *plots)
{
    const lk_plot_series points = {.label = "mean of the seeds, bars: one standard deviation",
                                   .colour = "val",
                                   .style = LK_PLOT_ERRORS,
                                   .count = comparison->count,
                                   .x = c->f2,
                                   .y = c->f1,
                                   .dx = c->f2_bar,
                                   .dy = c->f1_bar,
                                   .names = c->names};
    const lk_plot_series line = {.colour = "train", .style = LK_PLOT_LINE, .count = comparison->count, .x = c->f2, .y = c->f1};
    bool path = lambda_alone(comparison);
    const lk_plot_series series[] = {path ? line : points, points};
    const lk_plot plot = {.title = path ? "Trade-off by lambda, lower left is better" : "Trade-off, lower left is better",
                          .x = "F2, distance of the pictures",
                          .y = "F1, cross-entropy",
                          .series = path ? series : series + 1,
                          .series_count = path ? 2 : 1};
    return lk_plot_draw(page, &plot, (*plots)++);
}

static lk_status draw_scores(FILE *page, const lk_comparison *comparison, const columns *c, int *plots)
{
    size_t n = comparison->count;
    if (!differs(comparison, "loss.lambda"))
        return LK_OK;
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
    return lk_plot_draw(page, &plot, (*plots)++);
}

/* One validation curve of every encoder run, coloured by setting. */
static lk_status draw_together(FILE *page, const lk_report *report, const lk_comparison *comparison, lk_curve curve,
                               const char *title, int *plots)
{
    lk_plot_series *series = calloc(report->count + 1, sizeof *series);
    lk_status status = series ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the plots");
    size_t used = 0;
    for (size_t s = 0; s < comparison->count; s++) {
        const lk_setting *setting = &comparison->settings[s];
        for (size_t i = 0; status == LK_OK && i < setting->run_count; i++) {
            double *x = NULL, *y = NULL;
            lk_plot_series *one = &series[used];
            *one = (lk_plot_series){.label = i == 0 ? setting->label : NULL, .colour = lk_plot_ramp(s, comparison->count)};
            one->style = LK_PLOT_MARKED_LINE;
            status = lk_plot_thin(&report->runs[setting->runs[i]].curves[curve], POINTS, &x, &y, &one->count);
            one->x = x;
            one->y = y;
            used += status == LK_OK;
        }
    }
    const lk_plot plot = {.title = title, .x = "step", .y = "", .series = series, .series_count = used};
    if (status == LK_OK)
        status = lk_plot_draw(page, &plot, (*plots)++);
    for (size_t i = 0; i < used; i++) {
        free((double *)(uintptr_t)series[i].x);
        free((double *)(uintptr_t)series[i].y);
    }
    free(series);
    return status;
}

/* ---- tables ---- */

static void head(FILE *page, const char *name, const char *meaning)
{
    fprintf(page, "<th title=\"%s\"><button type=\"button\">", meaning);
    lk_html_text(page, name);
    fputs("</button></th>", page);
}

static void head_keys(FILE *page, const lk_comparison *comparison)
{
    for (size_t k = 0; k < comparison->key_count && k < SHOWN_KEYS; k++) {
        const char *path = lk_config_key(comparison->keys[k]);
        head(page, strrchr(path, '.') ? strrchr(path, '.') + 1 : path, path);
    }
}

static void key_cells(FILE *page, const lk_comparison *comparison, const lk_config *config)
{
    for (size_t k = 0; k < comparison->key_count && k < SHOWN_KEYS; k++) {
        char value[VALUE] = "", *end;
        if (config)
            lk_config_value(config, comparison->keys[k], value, sizeof value);
        double number = strtod(value, &end);
        if (value[0] && *end == '\0')
            fprintf(page, "<td class=\"n\" data-v=\"%.9g\">", number);
        else
            fputs("<td class=\"path\">", page);
        lk_html_text(page, value);
        fputs("</td>", page);
    }
}

static void head_scores(FILE *page)
{
    head(page, "accuracy", "mean over the groups of choices");
    head(page, "choices", "share of a guess's error that is left");
    head(page, "continuous", "share of a guess's error that is left");
    head(page, "pixels", "share of a guess's error that is left");
    head(page, "score", "mean of the three before; the lowest is the best");
}

static void write_settings(FILE *page, const lk_comparison *comparison)
{
    fputs("<h3>Settings <small>mean &plusmn; standard deviation over the seeds; a click on a head sorts</small></h3>\n"
          "<div class=\"scroll\"><table class=\"sort\" id=\"settings\"><thead><tr>",
          page);
    head(page, "setting", "what differs between the runs");
    head(page, "seeds", "finished and evaluated, of all");
    head(page, "F1", "of the runs that are done; where none is, their last validations");
    head(page, "F2", "of the runs that are done; where none is, their last validations");
    head_scores(page);
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < comparison->count; i++) {
        const lk_setting *s = &comparison->settings[i];
        bool best = (int)i == comparison->best;
        fprintf(page, "<tr%s><td>%s<a href=\"#run%zu\">", best ? " class=\"win\"" : "", best ? "&#9733; " : "", s->runs[0]);
        lk_html_text(page, s->label);
        fprintf(page, "</a></td><td class=\"n\" data-v=\"%zu\">%d of %zu</td>", s->run_count, s->score.count, s->run_count);
        lk_html_spread_cell(page, &s->f1, 3);
        lk_html_spread_cell(page, &s->f2, 3);
        lk_html_spread_cell(page, &s->accuracy, 3);
        lk_html_spread_cell(page, &s->choices, 3);
        lk_html_spread_cell(page, &s->continuous, 3);
        lk_html_spread_cell(page, &s->pixels, 3);
        lk_html_spread_cell(page, &s->score, 4);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}

static void run_row(FILE *page, const lk_report_run *run, size_t index, const lk_comparison *comparison)
{
    int setting = lk_setting_of(comparison, index);
    bool best = setting >= 0 && setting == comparison->best;
    const char *state = lk_state_name(run->state);
    fprintf(page, "<tr%s><td>%s<a href=\"#run%zu\">", best ? " class=\"win\"" : "", best ? "&#9733; " : "", index);
    lk_html_text(page, run->name);
    fputs("</a>", page);
    if (run->note) {
        fputs(" <span title=\"", page);
        lk_html_text(page, run->note);
        fputs("\">&#9888;</span>", page);
    }
    fputs("</td>", page);
    key_cells(page, comparison, run->config);
    lk_html_cell(page, run->config ? (double)run->config->run.seed : NAN, 0);
    fprintf(page, "<td><span class=\"state %s\">%s</span></td>", state, state);
    lk_html_cell(page, (double)run->step, 0);
    lk_html_cell(page, run->best_step > 0 ? (double)run->best_step : NAN, 0);
    lk_html_cell(page, run->best_f1, 4);
    lk_html_cell(page, run->best_f2, 4);
    lk_html_cell(page, run->best, 4);
    lk_html_cell(page, lk_mean_accuracy(&run->evaluation), 3);
    lk_html_cell(page, run->score.choices, 3);
    lk_html_cell(page, run->score.continuous, 3);
    lk_html_cell(page, run->score.pixels, 3);
    lk_html_cell(page, run->score.mean, 4);
    fputs("</tr>\n", page);
}

void lk_html_runs(FILE *page, const lk_report *report, const lk_comparison *comparison)
{
    fputs("<h2>Runs <small>a click on a head sorts</small></h2>\n"
          "<div class=\"scroll\"><table class=\"sort\" id=\"runs\"><thead><tr>",
          page);
    head(page, "run", "folder");
    head_keys(page, comparison);
    head(page, "seed", "run.seed");
    head(page, "state",
         "done: has DONE; stopped: by the sweep's halving; running: wrote a number within stall.abort_s; "
         "unfinished: neither; not begun: no metrics.jsonl");
    head(page, "step", "the last one");
    head(page, "best at", "step of the validation with the lowest F, L1 for a decoder");
    head(page, "F1", "at the best validation");
    head(page, "F2", "at the best validation");
    head(page, "F or L1", "at the best validation; F does not compare runs of different lambda");
    head_scores(page);
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < report->count; i++)
        run_row(page, &report->runs[i], i, comparison);
    fputs("</tbody></table></div>\n", page);
    if (comparison->key_count > SHOWN_KEYS) {
        fputs("<p class=\"soft\">The runs differ in these keys too:", page);
        for (size_t k = SHOWN_KEYS; k < comparison->key_count; k++)
            fprintf(page, " <code>%s</code>", lk_config_key(comparison->keys[k]));
        fputs("</p>\n", page);
    }
}

lk_status lk_html_comparison(FILE *page, const lk_report *report, const lk_comparison *comparison, const lk_picture *triptychs,
                             const lk_picture *samples, int *plots)
{
    columns c;
    bool seeds = false;
    for (size_t i = 0; i < comparison->count; i++)
        seeds = seeds || comparison->settings[i].run_count > 1;
    fputs("<section><h2>Comparison</h2>\n", page);
    write_verdict(page, comparison);
    LK_TRY(fill_columns(comparison, &c));
    fputs("<div class=\"grid large\">\n", page);
    lk_status status = draw_trade_off(page, comparison, &c, plots);
    if (status == LK_OK)
        status = draw_scores(page, comparison, &c, plots);
    free_columns(&c);
    LK_TRY(status);
    LK_TRY(draw_together(page, report, comparison, LK_VAL_F1, "F1 in validation", plots));
    LK_TRY(draw_together(page, report, comparison, LK_VAL_F2, "F2 in validation", plots));
    fputs("</div>\n", page);
    if (seeds)
        write_settings(page, comparison);
    lk_html_faces(page, report, comparison, triptychs, samples);
    fputs("</section>\n", page);
    return LK_OK;
}
