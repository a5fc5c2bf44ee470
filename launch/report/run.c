#include "launch/report/run.h"

#include "base/file.h"
#include "base/log.h"
#include "trainer/record/checkpoint.h"
#include "trainer/record/metrics.h"

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

/* ---- metrics.jsonl ---- */

typedef struct reading {
    lk_report_run *run;
    lk_thinner thinners[LK_CURVE_COUNT];
} reading;

/* Called line by line; F, F1 and F2 of one validation follow each other. */
static void take(void *context, size_t key, int64_t step, double value)
{
    reading *r = context;
    lk_report_run *run = r->run;
    if (key == LK_CURVE_COUNT) {
        run->epoch = isfinite(value) ? (int64_t)fmin(fmax(value, 0), 1e15) : run->epoch;
        return;
    }
    lk_thinner_add(&r->thinners[key], step, value);
    run->step = step > run->step ? step : run->step;
    if (key == LK_VAL_LOSS && isfinite(value) && !(run->best <= value)) {
        run->best = value;
        run->best_step = step;
        run->best_f1 = run->best_f2 = NAN;
    }
    if (key == LK_VAL_F1 && step == run->best_step)
        run->best_f1 = value;
    if (key == LK_VAL_F2 && step == run->best_step)
        run->best_f2 = value;
}

static lk_status scan(reading *r, const char *path)
{
    const char *loss = r->run->config && r->run->config->train.stage == LK_STAGE_DECODER ? "L1" : "F";
    const lk_metrics_key keys[LK_CURVE_COUNT + 1] = {
        [LK_TRAIN_LOSS] = {"train", loss},     [LK_TRAIN_F1] = {"train", "F1"},
        [LK_TRAIN_F2] = {"train", "F2"},       [LK_TRAIN_SPEED] = {"train", "samples_per_s"},
        [LK_TRAIN_RATE] = {"train", "lr"},     [LK_VAL_LOSS] = {"val", loss},
        [LK_VAL_F1] = {"val", "F1"},           [LK_VAL_F2] = {"val", "F2"},
        [LK_CURVE_COUNT] = {"train", "epoch"},
    };
    return lk_metrics_scan(path, keys, LK_CURVE_COUNT + 1, take, r, &r->run->damaged_lines);
}

static void scan_metrics(reading *r)
{
    char path[LK_PATH_SIZE], sentence[LK_PATH_SIZE + 64];
    lk_report_run *run = r->run;
    bool known = path_in(run, "metrics.jsonl", path) != NULL;
    if (known && !lk_path_exists(path))
        return;
    if (!known || scan(r, path) != LK_OK)
        note(run, lk_error_text());
    if (run->damaged_lines > 0) {
        snprintf(sentence, sizeof sentence, "%s: left out %lld damaged line%s", path, (long long)run->damaged_lines,
                 run->damaged_lines == 1 ? "" : "s");
        note(run, sentence);
    }
}

/* LK_INTERNAL: memory. What is wrong with the file becomes the note, and what was read before stays. */
static lk_status read_metrics(lk_report_run *run)
{
    lk_status status = LK_OK;
    reading *r = calloc(1, sizeof *r);
    if (!r)
        return lk_fail(LK_INTERNAL, "%s: out of memory", run->folder);
    r->run = run;
    run->best = run->best_f1 = run->best_f2 = NAN;
    scan_metrics(r);
    for (int i = 0; status == LK_OK && i < LK_CURVE_COUNT; i++)
        status = lk_thinner_finish(&r->thinners[i], &run->curves[i]);
    free(r);
    return status;
}

/* ---- the rest ---- */

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
    run->f1 = run->evaluation.present ? run->evaluation.f1 : run->curves[LK_VAL_F1].last;
    run->f2 = run->evaluation.present ? run->evaluation.f2 : run->curves[LK_VAL_F2].last;
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
    struct stat info;
    *out = (lk_report_run){.folder = strdup(folder), .name = strdup(name)};
    if (!out->folder || !out->name) {
        lk_report_run_free(out);
        return lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    }
    if (stat(folder, &info) == 0) {
        out->device = info.st_dev;
        out->inode = info.st_ino;
    }
    read_config(out);
    lk_status status = read_metrics(out);
    if (status != LK_OK) {
        lk_report_run_free(out);
        return status;
    }
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
        lk_curve_free(&run->curves[i]);
    lk_evaluation_record_free(&run->evaluation);
    free(run->triptych);
    free(run->sample);
    *run = (lk_report_run){0};
}
