#include "launch/report/run.h"

#include "base/file.h"
#include "base/log.h"
#include "trainer/record/checkpoint.h"
#include "trainer/record/metrics.h"

#include <errno.h>
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

/* What is damaged or too long is a note; what cannot be read just now is not. */
static lk_status note_failure(lk_report_run *run, lk_status status)
{
    if (status == LK_OK || status == LK_IO || status == LK_INTERNAL)
        return status;
    note(run, lk_error_text());
    return LK_OK;
}

static lk_status holds(const lk_report_run *run, const char *name, char path[LK_PATH_SIZE], bool *held)
{
    lk_path_kind kind;
    *held = false;
    LK_TRY(lk_path_join(path, run->folder, name));
    LK_TRY(lk_path_look(path, &kind));
    *held = kind != LK_ABSENT;
    return LK_OK;
}

static lk_status read_config(lk_report_run *run)
{
    char path[LK_PATH_SIZE];
    size_t size;
    LK_TRY(lk_path_join(path, run->folder, "config.yaml"));
    LK_TRY(lk_read_file(path, 1 << 20, &run->config_text, &size));
    return lk_config_load(path, NULL, 0, &run->config);
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

static lk_status scan_metrics(reading *r)
{
    char path[LK_PATH_SIZE], sentence[LK_PATH_SIZE + 64];
    lk_report_run *run = r->run;
    bool held;
    LK_TRY(note_failure(run, holds(run, "metrics.jsonl", path, &held)));
    if (!held)
        return LK_OK;
    LK_TRY(note_failure(run, scan(r, path)));
    if (run->damaged_lines > 0) {
        snprintf(sentence, sizeof sentence, "%s: left out %lld damaged line%s", path, (long long)run->damaged_lines,
                 run->damaged_lines == 1 ? "" : "s");
        note(run, sentence);
    }
    return LK_OK;
}

/* What is wrong with the file becomes the note, and what was read before stays. */
static lk_status read_metrics(lk_report_run *run)
{
    reading *r = calloc(1, sizeof *r);
    if (!r)
        return lk_fail(LK_INTERNAL, "%s: out of memory", run->folder);
    r->run = run;
    run->best = run->best_f1 = run->best_f2 = NAN;
    lk_error error;
    lk_error_take(&error, scan_metrics(r));
    for (int i = 0; i < LK_CURVE_COUNT; i++) {
        lk_status status = lk_thinner_finish(&r->thinners[i], &run->curves[i]);
        if (status != LK_OK && error.status == LK_OK)
            lk_error_take(&error, status);
    }
    free(r);
    return error.status == LK_OK ? LK_OK : lk_error_put(&error);
}

/* ---- the rest ---- */

static lk_status find_state(lk_report_run *run, time_t now)
{
    char path[LK_PATH_SIZE];
    struct stat info;
    bool done, stopped;
    double patience = run->config ? run->config->stall.abort_s : 300;
    LK_TRY(holds(run, "DONE", path, &done));
    LK_TRY(holds(run, "STOPPED", path, &stopped));
    LK_TRY(lk_path_join(path, run->folder, "metrics.jsonl"));
    int missing, tries = 0;
    do
        missing = stat(path, &info);
    while (missing && lk_try_again(&tries, errno));
    if (missing && !lk_means_absent(errno))
        return lk_fail_io("look at it", path, errno, 0);
    if (done)
        run->state = LK_STATE_DONE;
    else if (stopped)
        run->state = LK_STATE_STOPPED;
    else if (missing)
        run->state = LK_STATE_NOT_BEGUN;
    else
        run->state = difftime(now, info.st_mtime) <= patience ? LK_STATE_RUNNING : LK_STATE_UNFINISHED;
    return LK_OK;
}

/* DONE ends in ", likeness VERSION". */
static lk_status find_program_in_done(lk_report_run *run, bool *done)
{
    char path[LK_PATH_SIZE], *text = NULL;
    size_t size;
    LK_TRY(holds(run, "DONE", path, done));
    if (!*done)
        return LK_OK;
    LK_TRY(lk_read_file(path, 4096, &text, &size));
    const char *at = strstr(text, ", likeness ");
    if (at)
        run->program = strndup(at + 2, strcspn(at + 2, "\n"));
    free(text);
    return LK_OK;
}

static lk_status find_program_in_checkpoint(lk_report_run *run)
{
    char folder[LK_PATH_SIZE], path[LK_PATH_SIZE], *text = NULL;
    int64_t *steps = NULL;
    size_t count = 0, size;
    lk_checkpoint_info info;
    LK_TRY(lk_checkpoint_list(run->folder, &steps, &count));
    int64_t newest = count > 0 ? steps[count - 1] : -1;
    free(steps);
    if (newest < 0)
        return LK_OK;
    LK_TRY(lk_checkpoint_path(run->folder, newest, folder));
    LK_TRY(lk_path_join(path, folder, "state.json"));
    LK_TRY(lk_read_file(path, 4 << 20, &text, &size));
    lk_status status = lk_checkpoint_parse_state(text, size, path, &info);
    free(text);
    LK_TRY(status);
    run->program = info.program;
    info.program = NULL;
    lk_checkpoint_info_free(&info);
    return LK_OK;
}

static lk_status find_program(lk_report_run *run)
{
    bool done;
    LK_TRY(find_program_in_done(run, &done));
    lk_status status = done ? LK_OK : find_program_in_checkpoint(run);
    /* The run may be in training, so that a checkpoint goes away meanwhile: then the page does not say it. */
    return status == LK_BAD_DATA ? LK_OK : status;
}

static lk_status read_evaluation(lk_report_run *run)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, run->folder, "report/evaluation.json"));
    LK_TRY(note_failure(run, lk_evaluation_record_read(path, &run->evaluation)));
    LK_TRY(lk_path_join(path, run->folder, "report/photos.json"));
    LK_TRY(note_failure(run, lk_photo_record_read(path, &run->photos)));
    run->score = lk_score_of(&run->evaluation);
    run->f1 = run->evaluation.present ? run->evaluation.f1 : run->curves[LK_VAL_F1].last;
    run->f2 = run->evaluation.present ? run->evaluation.f2 : run->curves[LK_VAL_F2].last;
    return LK_OK;
}

static lk_status find_pictures(lk_report_run *run)
{
    char folder[LK_PATH_SIZE], path[LK_PATH_SIZE];
    lk_names names;
    lk_path_kind kind;
    bool held;
    LK_TRY(holds(run, "report/triptych.png", path, &held));
    if (held)
        run->triptych = strdup(path);
    LK_TRY(holds(run, "report/photos.png", path, &held));
    if (held)
        run->photo_sheet = strdup(path);
    LK_TRY(lk_path_join(folder, run->folder, "samples"));
    LK_TRY(lk_path_look(folder, &kind));
    if (kind != LK_FOLDER)
        return LK_OK;
    LK_TRY(lk_list_folder(folder, ".png", &names));
    const char *newest = NULL; /* by the number in the name: steps of ten digits come after those of nine */
    for (size_t i = 0; i < names.count; i++)
        if (!newest || strverscmp(names.names[i], newest) > 0)
            newest = names.names[i];
    lk_status status = newest ? lk_path_join(path, folder, newest) : LK_OK;
    if (newest && status == LK_OK)
        run->sample = strdup(path);
    lk_names_free(&names);
    return status;
}

static lk_status read_all(lk_report_run *run, time_t now)
{
    struct stat info;
    int tries = 0;
    while (stat(run->folder, &info) != 0)
        if (!lk_try_again(&tries, errno))
            return lk_fail_io("look at it", run->folder, errno, 0);
    run->device = info.st_dev;
    run->inode = info.st_ino;
    LK_TRY(note_failure(run, read_config(run)));
    LK_TRY(read_metrics(run));
    LK_TRY(note_failure(run, find_state(run, now)));
    LK_TRY(note_failure(run, find_program(run)));
    LK_TRY(note_failure(run, read_evaluation(run)));
    return note_failure(run, find_pictures(run));
}

lk_status lk_report_run_read(const char *folder, const char *name, time_t now, lk_report_run *out)
{
    *out = (lk_report_run){.folder = strdup(folder), .name = strdup(name)};
    if (!out->folder || !out->name) {
        lk_report_run_free(out);
        return lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    }
    lk_status status = read_all(out, now);
    if (status != LK_OK)
        lk_report_run_free(out);
    return status;
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
    lk_photo_record_free(&run->photos);
    free(run->triptych);
    free(run->photo_sheet);
    free(run->sample);
    *run = (lk_report_run){0};
}
