/* One run folder, read. Declared in report.h. */
#include "base/file.h"
#include "base/log.h"
#include "launch/report/report.h"
#include "trainer/record/checkpoint.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const state_names[] = {"done", "stopped", "running", "unfinished", "not begun"};

const char *lk_state_name(lk_report_state state)
{
    return state_names[state];
}

bool lk_is_encoder_run(const lk_report_run *run)
{
    return run->config && run->config->train.stage == LK_STAGE_ENCODER;
}

/* Adds a sentence to what the page says is wrong with the run. Without memory the warning alone remains. */
static void note(lk_report_run *run, const char *sentence)
{
    char *longer = NULL;
    lk_warn("%s", sentence);
    if (asprintf(&longer, "%s%s%s", run->note ? run->note : "", run->note ? "; " : "", sentence) < 0)
        return;
    free(run->note);
    run->note = longer;
}

/* NULL where the path is too long. */
static const char *path_in(const lk_report_run *run, const char *name, char path[LK_PATH_SIZE])
{
    return lk_path_join(path, run->folder, name) == LK_OK ? path : NULL;
}

static void read_config(lk_report_run *run)
{
    char path[LK_PATH_SIZE];
    size_t size;
    if (!path_in(run, "config.yaml", path) || lk_read_file(path, 1 << 20, &run->config_text, &size) != LK_OK ||
        lk_config_load(path, NULL, 0, &run->config) != LK_OK)
        note(run, lk_error_text());
}

static void read_metrics(lk_report_run *run)
{
    char path[LK_PATH_SIZE], sentence[LK_PATH_SIZE + 64];
    const char *loss = run->config && run->config->train.stage == LK_STAGE_DECODER ? "L1" : "F";
    lk_series_wish wishes[LK_CURVE_COUNT] = {
        [LK_TRAIN_LOSS] = {.kind = "train", .key = loss}, [LK_TRAIN_F1] = {.kind = "train", .key = "F1"},
        [LK_TRAIN_F2] = {.kind = "train", .key = "F2"},   [LK_TRAIN_SPEED] = {.kind = "train", .key = "samples_per_s"},
        [LK_TRAIN_RATE] = {.kind = "train", .key = "lr"}, [LK_TRAIN_EPOCH] = {.kind = "train", .key = "epoch"},
        [LK_VAL_LOSS] = {.kind = "val", .key = loss},     [LK_VAL_F1] = {.kind = "val", .key = "F1"},
        [LK_VAL_F2] = {.kind = "val", .key = "F2"},
    };
    bool known = path_in(run, "metrics.jsonl", path) != NULL;
    if (known && !lk_path_exists(path))
        return;
    if (!known || lk_metrics_collect(path, wishes, LK_CURVE_COUNT, &run->damaged_lines) != LK_OK) {
        note(run, lk_error_text());
        return;
    }
    for (int i = 0; i < LK_CURVE_COUNT; i++)
        run->curves[i] = wishes[i].series;
    if (run->damaged_lines > 0) {
        snprintf(sentence, sizeof sentence, "%s: left out %lld damaged line%s", path, (long long)run->damaged_lines,
                 run->damaged_lines == 1 ? "" : "s");
        note(run, sentence);
    }
}

/* The value of a curve at a step of another one; curves of one kind come from the same lines. */
static double value_at(const lk_series *series, int64_t step)
{
    for (size_t i = series->count; i-- > 0;)
        if (series->steps[i] == step)
            return series->values[i];
    return NAN;
}

static double last_value(const lk_series *series)
{
    return series->count ? series->values[series->count - 1] : NAN;
}

static void find_best(lk_report_run *run)
{
    const lk_series *loss = &run->curves[LK_VAL_LOSS];
    const lk_series *epochs = &run->curves[LK_TRAIN_EPOCH];
    run->best = run->best_f1 = run->best_f2 = NAN;
    for (size_t i = 0; i < loss->count; i++)
        if (isfinite(loss->values[i]) && !(run->best <= loss->values[i])) {
            run->best = loss->values[i];
            run->best_step = loss->steps[i];
        }
    if (run->best_step > 0) {
        run->best_f1 = value_at(&run->curves[LK_VAL_F1], run->best_step);
        run->best_f2 = value_at(&run->curves[LK_VAL_F2], run->best_step);
    }
    for (int i = 0; i < LK_CURVE_COUNT; i++) {
        const lk_series *curve = &run->curves[i];
        if (curve->count && curve->steps[curve->count - 1] > run->step)
            run->step = curve->steps[curve->count - 1];
    }
    run->epoch = epochs->count ? (int64_t)last_value(epochs) : 0;
}

static void find_state(lk_report_run *run, time_t now)
{
    char path[LK_PATH_SIZE];
    struct stat info;
    double patience = run->config ? run->config->stall.abort_s : 300;
    run->state = path_in(run, "metrics.jsonl", path) && !lk_path_exists(path) ? LK_STATE_NOT_BEGUN : LK_STATE_UNFINISHED;
    if (path_in(run, "DONE", path) && lk_path_exists(path))
        run->state = LK_STATE_DONE;
    else if (path_in(run, "STOPPED", path) && lk_path_exists(path))
        run->state = LK_STATE_STOPPED;
    else if (path_in(run, "metrics.jsonl", path) && stat(path, &info) == 0 && difftime(now, info.st_mtime) <= patience)
        run->state = LK_STATE_RUNNING;
}

/* DONE ends in ", likeness VERSION". */
static bool find_program_in_done(lk_report_run *run)
{
    char path[LK_PATH_SIZE], *text = NULL;
    size_t size;
    if (!path_in(run, "DONE", path) || !lk_path_exists(path) || lk_read_file(path, 4096, &text, &size) != LK_OK)
        return false;
    const char *at = strstr(text, ", likeness ");
    if (at)
        run->program = strndup(at + 2, strcspn(at + 2, "\n"));
    free(text);
    return true;
}

/* The run may be in training, so that a checkpoint goes away meanwhile: then the page does not say it. */
static void find_program_in_checkpoint(lk_report_run *run)
{
    char folder[LK_PATH_SIZE], path[LK_PATH_SIZE], *text = NULL;
    int64_t *steps = NULL;
    size_t count = 0, size;
    lk_checkpoint_info info;
    if (lk_checkpoint_list(run->folder, &steps, &count) == LK_OK && count > 0 &&
        lk_checkpoint_path(run->folder, steps[count - 1], folder) == LK_OK && lk_path_join(path, folder, "state.json") == LK_OK &&
        lk_read_file(path, 4 << 20, &text, &size) == LK_OK && lk_checkpoint_parse_state(text, size, path, &info) == LK_OK) {
        run->program = info.program;
        info.program = NULL;
        lk_checkpoint_info_free(&info);
    }
    free(text);
    free(steps);
}

static void read_evaluation(lk_report_run *run)
{
    char path[LK_PATH_SIZE];
    if (path_in(run, "report/evaluation.json", path) && lk_evaluation_record_read(path, &run->evaluation) != LK_OK)
        note(run, lk_error_text());
    run->score = lk_score_of(&run->evaluation);
    run->f1 = run->evaluation.present ? run->evaluation.f1 : last_value(&run->curves[LK_VAL_F1]);
    run->f2 = run->evaluation.present ? run->evaluation.f2 : last_value(&run->curves[LK_VAL_F2]);
}

static void find_pictures(lk_report_run *run)
{
    char folder[LK_PATH_SIZE], path[LK_PATH_SIZE];
    lk_names names;
    if (path_in(run, "report/triptych.png", path) && lk_path_exists(path))
        run->triptych = strdup(path);
    if (!path_in(run, "samples", folder) || !lk_is_folder(folder) || lk_list_folder(folder, ".png", &names) != LK_OK)
        return;
    if (names.count > 0 && lk_path_join(path, folder, names.names[names.count - 1]) == LK_OK)
        run->sample = strdup(path);
    lk_names_free(&names);
}

lk_status lk_report_run_read(const char *folder, const char *name, time_t now, lk_report_run *out)
{
    *out = (lk_report_run){.folder = strdup(folder), .name = strdup(name)};
    if (!out->folder || !out->name) {
        lk_report_run_free(out);
        return lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    }
    read_config(out);
    read_metrics(out);
    find_best(out);
    find_state(out, now);
    if (!find_program_in_done(out))
        find_program_in_checkpoint(out);
    read_evaluation(out);
    find_pictures(out);
    return LK_OK;
}

void lk_report_run_free(lk_report_run *run)
{
    free(run->folder);
    free(run->name);
    lk_config_free(run->config);
    free(run->config_text);
    free(run->program);
    free(run->note);
    for (int i = 0; i < LK_CURVE_COUNT; i++)
        lk_series_free(&run->curves[i]);
    lk_evaluation_record_free(&run->evaluation);
    free(run->triptych);
    free(run->sample);
    *run = (lk_report_run){0};
}
