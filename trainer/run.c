#include "trainer/run.h"

#include <stdlib.h>
#include <string.h>

struct lk_run {
    bool writer;
    char folder[LK_PATH_SIZE];
    lk_metrics *metrics;
};

static lk_status make_folder(lk_run *run, const lk_config *config)
{
    char path[LK_PATH_SIZE];
    char *yaml = NULL;
    LK_TRY(lk_run_path(run, "samples", path));
    LK_TRY(lk_make_folder(path));
    LK_TRY(lk_run_path(run, "metrics.jsonl", path));
    if (lk_path_exists(path))
        return lk_fail(LK_BAD_CONFIG, "%s: holds a run already; choose another run.dir or remove it", run->folder);
    LK_TRY(lk_metrics_open(path, &run->metrics));
    LK_TRY(lk_config_to_yaml(config, &yaml));
    lk_status status = lk_run_path(run, "config.yaml", path);
    if (status == LK_OK)
        status = lk_write_file(path, yaml, strlen(yaml));
    free(yaml);
    return status;
}

lk_status lk_run_open(const lk_config *config, bool writer, lk_run **out)
{
    *out = NULL;
    lk_run *run = calloc(1, sizeof *run);
    if (!run)
        return lk_fail(LK_INTERNAL, "out of memory");
    run->writer = writer;
    snprintf(run->folder, sizeof run->folder, "%s", config->run.dir);
    lk_status status = writer ? make_folder(run, config) : LK_OK;
    if (status != LK_OK) {
        lk_run_close(run);
        return status;
    }
    *out = run;
    return LK_OK;
}

void lk_run_close(lk_run *run)
{
    if (!run)
        return;
    lk_metrics_close(run->metrics);
    free(run);
}

lk_status lk_run_record(lk_run *run, const char *kind, int64_t step, int64_t epoch, const lk_metric *items, int count)
{
    lk_metric line[32] = {lk_metric_text("kind", kind), lk_metric_integer("step", step), lk_metric_integer("epoch", epoch)};
    if (!run->writer)
        return LK_OK;
    memcpy(line + 3, items, (size_t)count * sizeof *items);
    return lk_metrics_write(run->metrics, line, (size_t)count + 3);
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
    LK_TRY(lk_run_path(run, "DONE", path));
    snprintf(text, sizeof text, "%s\n", line);
    return lk_write_file(path, text, strlen(text));
}
