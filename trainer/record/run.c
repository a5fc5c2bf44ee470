#include "trainer/record/run.h"

#include "base/clock.h"
#include "base/log.h"
#include "trainer/record/events.h"
#include "trainer/record/retention.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS = 32, CLAIM_SIZE = 160 };

struct lk_run {
    bool writer;
    char folder[LK_PATH_SIZE];
    char claim[CLAIM_SIZE]; /* what the file `generation` holds while the run is ours */
    lk_metrics *metrics;
    lk_events *events;
    bool disk_failed; /* the last record could not be written: told once */
};

/* ---- whose run it is ---- */

static lk_status read_claim(const lk_run *run, char out[CLAIM_SIZE])
{
    char path[LK_PATH_SIZE];
    char *text = NULL;
    size_t size = 0;
    out[0] = '\0';
    LK_TRY(lk_run_path(run, "generation", path));
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_read_file(path, CLAIM_SIZE - 1, &text, &size));
    memcpy(out, text, size + 1);
    free(text);
    return LK_OK;
}

/* The number alone would be the same for two jobs that start at the same moment. */
static lk_status take_over(lk_run *run)
{
    char path[LK_PATH_SIZE], before[CLAIM_SIZE], host[64] = "";
    LK_TRY(read_claim(run, before));
    gethostname(host, sizeof host - 1);
    snprintf(run->claim, sizeof run->claim, "%lld, process %ld on %s at %.6f\n", strtoll(before, NULL, 10) + 1, (long)getpid(),
             host, lk_wall_clock());
    LK_TRY(lk_run_path(run, "generation", path));
    return lk_write_file(path, run->claim, strlen(run->claim));
}

lk_status lk_run_still_ours(const lk_run *run)
{
    char now[CLAIM_SIZE];
    if (!run->writer)
        return LK_OK;
    LK_TRY(read_claim(run, now));
    if (strcmp(now, run->claim) == 0)
        return LK_OK;
    now[strcspn(now, "\n")] = '\0';
    return lk_fail(LK_INTERNAL, "%s: another job has taken this run over (generation %s, ours was %lld); this one ends",
                   run->folder, now[0] ? now : "removed", strtoll(run->claim, NULL, 10));
}

/* ---- opening ---- */

/* Lines without a checkpoint: of a job that ended before its first one. */
static lk_status set_metrics_aside(const char *path)
{
    lk_path_kind kind;
    int fd;
    int64_t size;
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_open_file(path, &fd, &size));
    close(fd);
    return size > 0 ? lk_set_aside(path) : LK_OK;
}

/* Metrics are cut last: a start that fails before leaves checkpoints and metrics that fit each other. */
static lk_status begin(lk_run *run, const lk_config *config, bool resumed, int64_t step, bool validation_due)
{
    static const char *const ours[] = {"config.yaml", "metrics.jsonl", "generation", "model.safetensors", "DONE"};
    char path[LK_PATH_SIZE];
    char *yaml = NULL;
    LK_TRY(lk_sweep_temporaries(run->folder, ours, sizeof ours / sizeof *ours, true));
    LK_TRY(lk_run_path(run, "DONE", path)); /* of a run that is taken up again from an earlier checkpoint */
    LK_TRY(lk_remove_file(path));
    LK_TRY(lk_run_path(run, "samples", path));
    LK_TRY(lk_make_folder(path));
    if (resumed)
        LK_TRY(lk_retention_set_aside_after(run->folder, step));
    LK_TRY(lk_run_path(run, "metrics.jsonl", path));
    LK_TRY(resumed ? lk_metrics_truncate_after(path, step, validation_due ? "val" : NULL) : set_metrics_aside(path));
    LK_TRY(lk_metrics_open(path, &run->metrics));
    LK_TRY(lk_events_cut_after(run->folder, step, validation_due ? "val/" : NULL));
    LK_TRY(lk_events_open(run->folder, &run->events));
    LK_TRY(lk_config_to_yaml(config, &yaml));
    lk_status status = lk_run_path(run, "config.yaml", path);
    if (status == LK_OK)
        status = lk_write_file(path, yaml, strlen(yaml));
    free(yaml);
    return status;
}

lk_status lk_run_open(const lk_config *config, bool writer, bool resumed, int64_t step, bool validation_due, lk_run **out)
{
    *out = NULL;
    lk_run *run = calloc(1, sizeof *run);
    if (!run)
        return lk_fail(LK_INTERNAL, "out of memory");
    run->writer = writer;
    snprintf(run->folder, sizeof run->folder, "%s", config->run.dir);
    lk_status status = writer ? lk_make_folder(run->folder) : LK_OK;
    if (status == LK_OK && writer)
        status = take_over(run);
    if (status == LK_OK && writer)
        status = begin(run, config, resumed, step, validation_due);
    if (status != LK_OK) {
        lk_run_close(run);
        return status;
    }
    *out = run;
    return LK_OK;
}

static lk_status holds(const char *folder, const char *name, bool *held)
{
    char path[LK_PATH_SIZE];
    lk_path_kind kind;
    *held = false;
    LK_TRY(lk_path_join(path, folder, name));
    LK_TRY(lk_path_look(path, &kind));
    *held = kind != LK_ABSENT;
    return LK_OK;
}

lk_status lk_run_is_done(const char *folder, bool *done)
{
    return holds(folder, "DONE", done);
}

lk_status lk_run_is_begun(const char *folder, bool *begun)
{
    static const char *const names[] = {"metrics.jsonl", "checkpoints", "model.safetensors"};
    *begun = false;
    for (size_t i = 0; !*begun && i < sizeof names / sizeof *names; i++)
        LK_TRY(holds(folder, names[i], begun));
    return LK_OK;
}

void lk_run_close(lk_run *run)
{
    if (!run)
        return;
    lk_metrics_close(run->metrics);
    lk_events_close(run->events);
    free(run);
}

/* A full disk must not end the training: lines wait in memory, pictures are left out, and the next record tries again. */
static lk_status forgive_disk(lk_run *run, lk_status status)
{
    if (status == LK_IO && !run->disk_failed)
        lk_warn("training goes on, its metrics are kept in memory until they can be written: %s", lk_error_text());
    if (status == LK_OK && run->disk_failed)
        lk_info("%s: metrics are written again", run->folder);
    run->disk_failed = status == LK_IO;
    return status == LK_IO ? LK_OK : status;
}

static lk_status record_events(lk_run *run, const char *kind, int64_t step, const lk_metric *items, int count)
{
    lk_event_scalar scalars[ITEMS];
    char tags[ITEMS][64];
    size_t n = 0;
    for (int i = 0; i < count; i++) {
        if (items[i].kind != LK_METRIC_FLOAT && items[i].kind != LK_METRIC_DOUBLE)
            continue;
        snprintf(tags[n], sizeof tags[n], "%s/%s", kind, items[i].key);
        scalars[n] = (lk_event_scalar){tags[n], items[i].number};
        n++;
    }
    return lk_events_scalars(run->events, step, scalars, n);
}

lk_status lk_run_record(lk_run *run, const char *kind, int64_t step, int64_t epoch, const lk_metric *items, int count)
{
    lk_metric line[ITEMS] = {lk_metric_text("kind", kind), lk_metric_integer("step", step), lk_metric_integer("epoch", epoch)};
    if (!run->writer)
        return LK_OK;
    if (count > ITEMS - 3)
        return lk_fail(LK_INTERNAL, "more than %d numbers in one line of metrics", ITEMS - 3);
    LK_TRY(lk_run_still_ours(run));
    memcpy(line + 3, items, (size_t)count * sizeof *items);
    lk_status lines = lk_metrics_write(run->metrics, line, (size_t)count + 3);
    lk_status events = lines == LK_OK || lines == LK_IO ? record_events(run, kind, step, items, count) : LK_OK;
    return forgive_disk(run, lines != LK_OK ? lines : events);
}

static lk_status write_picture(lk_run *run, int64_t step, const lk_image *picture)
{
    char name[64], path[LK_PATH_SIZE];
    char *png = NULL;
    size_t size = 0;
    snprintf(name, sizeof name, "samples/step-%09lld.png", (long long)step);
    LK_TRY(lk_run_path(run, name, path));
    LK_TRY(lk_image_save_png(path, picture));
    LK_TRY(lk_read_file(path, 1 << 28, &png, &size));
    lk_status status = lk_events_png(run->events, step, "samples", png, size, picture->width, picture->height);
    free(png);
    return status;
}

lk_status lk_run_picture(lk_run *run, int64_t step, const lk_image *picture)
{
    if (!run->writer)
        return LK_OK;
    LK_TRY(lk_run_still_ours(run));
    lk_status status = write_picture(run, step, picture);
    return status == LK_IO ? forgive_disk(run, status) : status;
}

lk_status lk_run_path(const lk_run *run, const char *name, char *out)
{
    return lk_path_join(out, run->folder, name);
}

lk_status lk_run_finish(lk_run *run, const char *line)
{
    char path[LK_PATH_SIZE], text[512];
    if (!run->writer)
        return LK_OK;
    LK_TRY(lk_run_still_ours(run));
    LK_TRY(lk_metrics_flush(run->metrics));
    LK_TRY(lk_run_path(run, "DONE", path));
    snprintf(text, sizeof text, "%s\n", line);
    return lk_write_file(path, text, strlen(text));
}
