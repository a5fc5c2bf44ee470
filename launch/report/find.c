/* The runs below a folder: lk_report_add of report.h. */
#include "base/file.h"
#include "launch/report/report.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 8 };

static bool is_run(const char *folder)
{
    char config[LK_PATH_SIZE];
    return lk_path_join(config, folder, "config.yaml") == LK_OK && lk_path_exists(config);
}

static lk_status add_run(lk_report *report, const char *folder, const char *name)
{
    struct stat info;
    bool known = stat(folder, &info) == 0;
    for (size_t i = 0; i < report->count; i++) {
        const lk_report_run *run = &report->runs[i];
        if (known && run->device == info.st_dev && run->inode == info.st_ino)
            return LK_OK;
        if (strcmp(run->name, name) == 0)
            name = folder; /* two sweeps may use the same names */
    }
    lk_report_run *grown = realloc(report->runs, (report->count + 1) * sizeof *grown);
    if (!grown)
        return lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    report->runs = grown;
    LK_TRY(lk_report_run_read(folder, name, time(NULL), &report->runs[report->count]));
    report->count++;
    return LK_OK;
}

/* "lambda-2" before "lambda-16". */
static int by_version(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

/* `top` bytes of the path are not part of the names. Links are not followed, so there are no circles. */
static lk_status walk(lk_report *report, const char *folder, size_t top, int depth)
{
    if (is_run(folder))
        return add_run(report, folder, folder + top);
    lk_names names;
    LK_TRY(lk_list_folder(folder, "", &names));
    qsort(names.names, names.count, sizeof *names.names, by_version);
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && depth < DEEPEST && i < names.count; i++) {
        char path[LK_PATH_SIZE];
        struct stat info;
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK && lstat(path, &info) == 0 && S_ISDIR(info.st_mode))
            status = walk(report, path, top, depth + 1);
    }
    lk_names_free(&names);
    return status;
}

lk_status lk_report_add(lk_report *report, const char *folder)
{
    char path[LK_PATH_SIZE];
    size_t before = report->count;
    if ((size_t)snprintf(path, sizeof path, "%s", folder) >= sizeof path)
        return lk_fail(LK_USAGE, "%.60s...: the path is too long", folder);
    for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
        path[n - 1] = '\0';
    if (!lk_is_folder(path))
        return lk_fail(LK_BAD_DATA, "%s: is not a folder", path);
    /* A run is called by its own name, the runs of a sweep by their path in the sweep's folder. */
    const char *slash = strrchr(path, '/');
    size_t top = !is_run(path) ? strlen(path) + 1 : slash && slash[1] ? (size_t)(slash + 1 - path) : 0;
    LK_TRY(walk(report, path, top, 0));
    if (report->count == before)
        return lk_fail(LK_BAD_DATA, "%s: no run in it that was not given already: a run is a folder with config.yaml", path);
    return LK_OK;
}

void lk_report_free(lk_report *report)
{
    for (size_t i = 0; i < report->count; i++)
        lk_report_run_free(&report->runs[i]);
    free(report->runs);
    *report = (lk_report){0};
}
