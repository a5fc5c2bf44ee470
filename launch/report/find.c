/* The runs below a folder: lk_report_add of report.h. */
#include "base/file.h"
#include "launch/report/report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DEEPEST = 8 };

static lk_status is_run(const char *folder, bool *is)
{
    char config[LK_PATH_SIZE];
    lk_path_kind kind;
    *is = false;
    LK_TRY(lk_path_join(config, folder, "config.yaml"));
    LK_TRY(lk_path_look(config, &kind));
    *is = kind != LK_ABSENT;
    return LK_OK;
}

/* stat or lstat, of something that was there. */
static lk_status look_closely(int (*look)(const char *, struct stat *), const char *path, struct stat *info)
{
    int tries = 0;
    while (look(path, info) != 0)
        if (!lk_try_again(&tries, errno))
            return lk_fail_io("look at it", path, errno, 0);
    return LK_OK;
}

static lk_status add_run(lk_report *report, const char *folder, const char *name)
{
    struct stat info;
    LK_TRY(look_closely(stat, folder, &info));
    for (size_t i = 0; i < report->count; i++) {
        const lk_report_run *run = &report->runs[i];
        if (run->device == info.st_dev && run->inode == info.st_ino)
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
    bool run;
    LK_TRY(is_run(folder, &run));
    if (run)
        return add_run(report, folder, folder + top);
    lk_names names;
    LK_TRY(lk_list_folder(folder, "", &names));
    qsort(names.names, names.count, sizeof *names.names, by_version);
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && depth < DEEPEST && i < names.count; i++) {
        char path[LK_PATH_SIZE];
        struct stat info;
        status = lk_path_join(path, folder, names.names[i]);
        if (status == LK_OK)
            status = look_closely(lstat, path, &info);
        if (status == LK_OK && S_ISDIR(info.st_mode))
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
    lk_path_kind kind;
    bool run;
    LK_TRY(lk_path_look(path, &kind));
    if (kind != LK_FOLDER)
        return lk_fail(LK_BAD_DATA, "%s: is not a folder", path);
    /* A run is called by its own name, the runs of a sweep by their path in the sweep's folder. */
    const char *slash = strrchr(path, '/');
    LK_TRY(is_run(path, &run));
    size_t top = !run ? strlen(path) + 1 : slash && slash[1] ? (size_t)(slash + 1 - path) : 0;
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
