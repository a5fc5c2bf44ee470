/* The tables of settings and of runs; declared in sections.h. */
#include "launch/report/html.h"
#include "launch/report/sections.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_KEYS = 6, VALUE = 1024, TALL = 30 };

static void head_keys(FILE *page, const lk_comparison *comparison)
{
    for (size_t k = 0; k < comparison->key_count && k < SHOWN_KEYS; k++) {
        const char *path = lk_config_key(comparison->keys[k]);
        lk_html_head(page, strrchr(path, '.') ? strrchr(path, '.') + 1 : path, path);
    }
}

static void key_cells(FILE *page, const lk_comparison *comparison, const lk_config *config)
{
    for (size_t k = 0; k < comparison->key_count && k < SHOWN_KEYS; k++) {
        char value[VALUE] = "", *end;
        if (config)
            lk_config_value(config, comparison->keys[k], value, sizeof value);
        strtod(value, &end);
        fputs(value[0] && *end == '\0' ? "<td class=\"n\">" : "<td class=\"path\">", page);
        lk_html_text(page, value);
        fputs("</td>", page);
    }
}

static void head_scores(FILE *page)
{
    lk_html_head(page, "accuracy", "mean over the groups of choices");
    lk_html_head(page, "choices", "share of a guess's error that is left");
    lk_html_head(page, "continuous", "share of a guess's error that is left");
    lk_html_head(page, "pixels", "share of a guess's error that is left");
    lk_html_head(page, "score", "mean of the three before; the lowest is the best");
}

/* Mean and deviation; sorts by the mean. */
static void spread_cell(FILE *page, const lk_spread *spread, int digits)
{
    if (spread->count < 2)
        lk_html_cell(page, spread->mean, digits);
    else
        fprintf(page, "<td class=\"n\">%.*f <small>&plusmn;%.*f</small></td>", digits, spread->mean, digits, spread->deviation);
}

/* A long table scrolls in a box of its own, under its heads. */
static const char *box(size_t rows)
{
    return rows > TALL ? "scroll tall" : "scroll";
}

void lk_html_settings(FILE *page, const lk_comparison *comparison)
{
    fprintf(page,
            "<h3>Settings <small>mean &plusmn; standard deviation over the seeds; a click on a head sorts</small></h3>\n"
            "<div class=\"%s\"><table class=\"sort\" id=\"settings\"><thead><tr>",
            box(comparison->count));
    lk_html_head(page, "setting", "what differs between the runs");
    lk_html_head(page, "seeds", "finished and evaluated, of all");
    lk_html_head(page, "F1", "of the runs that are done; where none is, their last validations");
    lk_html_head(page, "F2", "of the runs that are done; where none is, their last validations");
    head_scores(page);
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < comparison->count; i++) {
        const lk_setting *s = &comparison->settings[i];
        bool best = (int)i == comparison->best;
        fprintf(page, "<tr%s><td>%s<a href=\"#run%zu\">", best ? " class=\"win\"" : "", best ? "&#9733; " : "", s->runs[0]);
        lk_html_text(page, s->label);
        fprintf(page, "</a></td><td class=\"n\">%d of %zu</td>", s->score.count, s->run_count);
        spread_cell(page, &s->f1, 3);
        spread_cell(page, &s->f2, 3);
        spread_cell(page, &s->accuracy, 3);
        spread_cell(page, &s->choices, 3);
        spread_cell(page, &s->continuous, 3);
        spread_cell(page, &s->pixels, 3);
        spread_cell(page, &s->score, 4);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}

static void run_row(FILE *page, const lk_report_run *run, size_t index, const lk_comparison *comparison)
{
    int setting = comparison->setting_of[index];
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
    bool many = report->count > LK_MANY_RUNS;
    fprintf(page, "<h2>Runs <small>%sa click on a head sorts</small></h2>\n",
            many ? "a click on a name shows the run below; " : "");
    if (many)
        fputs(
            "<p><input type=\"search\" id=\"filter\" placeholder=\"find: name, state, value\" aria-label=\"rows to show\"></p>\n",
            page);
    fprintf(page, "<div class=\"%s\"><table class=\"sort\" id=\"runs\"><thead><tr>", box(report->count));
    lk_html_head(page, "run", "folder");
    head_keys(page, comparison);
    lk_html_head(page, "seed", "run.seed");
    lk_html_head(page, "state",
                 "done: has DONE; stopped: by the sweep's halving; running: wrote a number within stall.abort_s; "
                 "unfinished: neither; not begun: no metrics.jsonl");
    lk_html_head(page, "step", "the last one");
    lk_html_head(page, "best at", "step of the validation with the lowest F, L1 for a decoder");
    lk_html_head(page, "F1", "at the best validation");
    lk_html_head(page, "F2", "at the best validation");
    lk_html_head(page, "F or L1", "at the best validation; F does not compare runs of different lambda");
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
