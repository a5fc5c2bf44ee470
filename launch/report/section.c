/* One run on the page: facts, curves, pictures, evaluation, configuration; declared in sections.h. */
#include "launch/report/html.h"
#include "launch/report/plot.h"
#include "launch/report/sections.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Marks on more validations than that would be a band. */
enum { MARKS = 100, STRONGEST = 20 };

/* ---- facts ---- */

static void fact(FILE *page, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void fact(FILE *page, const char *name, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(page, "<div><dt>%s</dt><dd>", name);
    lk_html_text(page, text);
    fputs("</dd></div>\n", page);
}

static void write_facts(FILE *page, const lk_report_run *run)
{
    const lk_config *c = run->config;
    bool encoder = lk_is_encoder_run(run);
    fputs("<dl>\n", page);
    fact(page, "state", "%s", lk_state_name(run->state));
    if (c && c->train.epochs > 0)
        fact(page, "step", "%lld, epoch %lld of %d", (long long)run->step, (long long)run->epoch, c->train.epochs);
    else if (c)
        fact(page, "step", "%lld of %lld", (long long)run->step, (long long)c->train.steps);
    else
        fact(page, "step", "%lld", (long long)run->step);
    if (encoder)
        fact(page, "lambda", "%g", c->loss.lambda);
    if (run->best_step > 0)
        fact(page, "best validation", "%s %.*f at step %lld", encoder ? "F" : "L1", encoder ? 4 : 5, run->best,
             (long long)run->best_step);
    if (run->best_step > 0 && encoder)
        fact(page, "F1 and F2 there", "%.4f, %.4f", run->best_f1, run->best_f2);
    if (run->evaluation.choice_count > 0)
        fact(page, "mean accuracy", "%.3f", lk_mean_accuracy(&run->evaluation));
    if (isfinite(run->score.mean))
        fact(page, "score (0 perfect, 1 a guess)", "%.4f", run->score.mean);
    if (isfinite(run->curves[LK_TRAIN_SPEED].mean))
        fact(page, "samples/s, mean", "%.1f", run->curves[LK_TRAIN_SPEED].mean);
    if (c) {
        fact(page, "learning rate", "%g", c->optimizer.lr);
        fact(page, "pictures", "%d px", c->model.size);
        fact(page, "width", "%g", encoder ? c->model.encoder.width : c->model.decoder.width);
        fact(page, "global batch", "%d", c->train.global_batch);
        fact(page, "seed", "%lld", (long long)c->run.seed);
    }
    int64_t broken = run->curves[LK_TRAIN_LOSS].not_finite;
    if (broken > 0)
        fact(page, "steps without a finite loss", "%lld", (long long)broken);
    if (run->program)
        fact(page, "program", "%s", run->program);
    fputs("</dl>\n", page);
}

/* ---- curves ---- */

/* Training and validation, and where the evaluation tells it the loss of a guess. `validation` may be LK_CURVE_COUNT: none; then
 * the means stand out, since the extremes of many steps are a band. */
static void draw_curve(FILE *page, const lk_report_run *run, const char *title, lk_curve_of training, lk_curve_of validation,
                       double baseline, int *plots)
{
    bool validated = validation != LK_CURVE_COUNT;
    const lk_curve *curve = &run->curves[training], *marks = validated ? &run->curves[validation] : curve;
    bool thinned = curve->mean_count < (size_t)(curve->seen - curve->not_finite);
    double ends[2] = {0, (double)run->step}, level[2] = {baseline, baseline};
    const lk_plot_series series[] = {
        {.label = "training",
         .colour = validated || thinned ? "train" : "val",
         .style = LK_PLOT_LINE,
         .count = curve->count,
         .x = curve->x,
         .y = curve->y},
        {.label = "validation",
         .colour = "val",
         .style = marks->count <= MARKS ? LK_PLOT_MARKED_LINE : LK_PLOT_LINE,
         .count = validated ? marks->count : 0,
         .x = marks->x,
         .y = marks->y},
        {.label = "mean",
         .colour = "val",
         .style = LK_PLOT_LINE,
         .count = !validated && thinned ? curve->mean_count : 0,
         .x = curve->mean_x,
         .y = curve->mean_y},
        {.label = "a guess without looking", .colour = "base", .style = LK_PLOT_DASHED, .count = 2, .x = ends, .y = level},
    };
    const lk_plot plot = {.title = title, .x = "step", .y = "", .series = series, .series_count = sizeof series / sizeof *series};
    lk_plot_draw(page, &plot, (*plots)++);
}

static void draw_curves(FILE *page, const lk_report_run *run, int *plots)
{
    const lk_evaluation_record *j = &run->evaluation;
    double f = j->present ? j->baseline_f : NAN, f1 = j->present ? j->baseline_f1 : NAN, f2 = j->present ? j->baseline_f2 : NAN;
    fputs("<div class=\"grid\">\n", page);
    if (lk_is_encoder_run(run)) {
        draw_curve(page, run, "F = F1 + lambda F2", LK_TRAIN_LOSS, LK_VAL_LOSS, f, plots);
        draw_curve(page, run, "F1, cross-entropy of the choices", LK_TRAIN_F1, LK_VAL_F1, f1, plots);
        draw_curve(page, run, "F2, distance of the pictures", LK_TRAIN_F2, LK_VAL_F2, f2, plots);
    } else {
        draw_curve(page, run, run->config ? "L1, mean difference of the pictures" : "F", LK_TRAIN_LOSS, LK_VAL_LOSS, f, plots);
    }
    draw_curve(page, run, "Throughput, samples/s", LK_TRAIN_SPEED, LK_CURVE_COUNT, NAN, plots);
    draw_curve(page, run, "Learning rate", LK_TRAIN_RATE, LK_CURVE_COUNT, NAN, plots);
    fputs("</div>\n", page);
}

/* ---- pictures ---- */

static void show_picture(FILE *page, const lk_picture *picture, const char *what, const char *path)
{
    if (picture->width == 0)
        return;
    const char *slash = strrchr(path, '/');
    fprintf(page, "<h3>%s <small>", what);
    lk_html_text(page, slash ? slash + 1 : path);
    fprintf(page,
            "</small></h3><div class=\"scroll\"><div class=\"whole %s\" role=\"img\" aria-label=\"%s\" "
            "style=\"aspect-ratio:%d/%d;max-width:%dpx\"></div></div>\n",
            picture->class, what, picture->width, picture->height, 2 * picture->width);
}

/* ---- evaluation ---- */

static void measure_row(FILE *page, const char *name, const char *baseline, double value, double guess)
{
    if (!isfinite(value))
        return;
    fprintf(page, "<tr><th scope=\"row\">%s</th>", name);
    lk_html_cell(page, value, 4);
    lk_html_cell(page, guess, 4);
    lk_html_cell(page, value / guess, 3);
    fprintf(page, "<td>%s</td></tr>\n", baseline);
}

static void write_choices(FILE *page, const lk_evaluation_record *j)
{
    if (j->choice_count == 0)
        return;
    fputs("<h3>Choices</h3><div class=\"scroll\"><table class=\"sort\"><thead><tr>", page);
    lk_html_head(page, "group", NULL);
    lk_html_head(page, "accuracy", NULL);
    lk_html_head(page, "commonest choice", NULL);
    lk_html_head(page, "gain", NULL);
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = 0; i < j->choice_count; i++) {
        const lk_recorded_choice *choice = &j->choices[i];
        fputs("<tr><td>", page);
        lk_html_text(page, choice->group);
        fputs("</td>", page);
        lk_html_cell(page, choice->accuracy, 3);
        lk_html_cell(page, choice->majority, 3);
        lk_html_cell(page, choice->accuracy - choice->majority, 3);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
    if (!isfinite(j->choices[0].majority))
        fputs("<p class=\"soft\">This evaluation does not tell the accuracy of the commonest choice: run likeness evaluate again "
              "to have the run ranked.</p>\n",
              page);
}

static void parameter_table(FILE *page, const lk_evaluation_record *j, size_t first, size_t end)
{
    fputs("<div class=\"scroll\"><table class=\"sort\"><thead><tr>", page);
    lk_html_head(page, "parameter", NULL);
    lk_html_head(page, "strength", "how much the picture changes over one standard deviation");
    lk_html_head(page, "MAE", NULL);
    lk_html_head(page, "left", "MAE over that of predicting the mean");
    lk_html_head(page, "corr.", NULL);
    fputs("</tr></thead><tbody>\n", page);
    for (size_t i = first; i < end; i++) {
        const lk_recorded_parameter *p = &j->parameters[i];
        fputs("<tr><td>", page);
        lk_html_text(page, p->name);
        fputs("</td>", page);
        lk_html_cell(page, p->strength, 3);
        lk_html_cell(page, p->mae, 4);
        lk_html_cell(page, p->mae_ratio, 3);
        lk_html_cell(page, p->correlation, 3);
        fputs("</tr>\n", page);
    }
    fputs("</tbody></table></div>\n", page);
}

static void write_evaluation(FILE *page, const lk_report_run *run)
{
    const lk_evaluation_record *j = &run->evaluation;
    if (!j->present) {
        fputs("<p class=\"soft\">Not evaluated: <code>likeness evaluate ", page);
        lk_html_text(page, run->folder);
        fputs("</code> adds accuracies, errors and the triptych once the run is done.</p>\n", page);
        return;
    }
    bool parts = isfinite(j->f1);
    fprintf(page,
            "<h3>Evaluation <small>%lld faces</small></h3><div class=\"scroll\"><table><thead><tr>"
            "<th></th><th class=\"n\">run</th>"
            "<th class=\"n\">guess</th><th class=\"n\">left</th><th>what the guess is</th></tr></thead><tbody>\n",
            (long long)j->samples);
    measure_row(page, parts ? "F" : "L1", parts ? "F1 + lambda F2 of the two below" : "the mean picture", j->f, j->baseline_f);
    measure_row(page, "F1", "the choices' frequencies", j->f1, j->baseline_f1);
    measure_row(page, "F2", "the true choices, mean continuous parameters", j->f2, j->baseline_f2);
    fputs("</tbody></table></div>\n", page);
    write_choices(page, j);
    lk_html_reliability(page, j->bins, j->bin_count, j->calibration_error);
    if (j->parameter_count == 0)
        return;
    size_t shown = j->parameter_count < STRONGEST ? j->parameter_count : STRONGEST;
    fprintf(page, "<h3>Continuous parameters <small>the %zu strongest of %zu</small></h3>\n", shown, j->parameter_count);
    parameter_table(page, j, 0, shown);
    if (shown < j->parameter_count) {
        fprintf(page, "<details><summary>the other %zu</summary>\n", j->parameter_count - shown);
        parameter_table(page, j, shown, j->parameter_count);
        fputs("</details>\n", page);
    }
}

/* ---- all of it ---- */

void lk_html_run(FILE *page, const lk_report *report, size_t index, bool open, const lk_pictures *pictures, int *plots)
{
    const lk_report_run *run = &report->runs[index];
    const char *state = lk_state_name(run->state);
    fprintf(page, "<details class=\"run\" id=\"run%zu\"%s><summary><h2>", index, open ? " open" : "");
    lk_html_text(page, run->name);
    fprintf(page, "</h2> <span class=\"state %s\">%s</span></summary>\n", state, state);
    if (run->note) {
        fputs("<p class=\"note\">", page);
        lk_html_text(page, run->note);
        fputs("</p>\n", page);
    }
    write_facts(page, run);
    draw_curves(page, run, plots);
    bool encoder = lk_is_encoder_run(run);
    show_picture(page, &pictures->triptychs[index], encoder ? "Faces: input | D(p) | client" : "Faces: client | D(p) | client",
                 run->triptych);
    show_picture(page, &pictures->samples[index],
                 encoder ? "Last samples, from the top: input, D(p), D of the label" : "Last samples: client above D(p)",
                 run->sample);
    lk_html_photos(page, run, &pictures->photos[index]);
    write_evaluation(page, run);
    if (run->config_text) {
        fputs("<details><summary>config.yaml</summary><pre>", page);
        lk_html_text(page, run->config_text);
        fputs("</pre></details>\n", page);
    }
    fputs("</details>\n", page);
}
