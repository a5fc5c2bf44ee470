/* likeness report (commands.h): one HTML page about runs. */
#include "base/file.h"
#include "launch/command/commands.h"
#include "launch/report/report.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct report_values {
    const char *output;
} report_values;

static const lk_option option_table[] = {{LK_OPTION_PATH, "output", "FILE",
                                          "where the page goes; else report.html in the first DIR",
                                          LK_TARGET(report_values, output), .letter = 'o', .writes = ""},
                                         {0}};

static lk_status is_page(const char *path, bool *is)
{
    static const char begin[] = "<!doctype html";
    char text[sizeof begin - 1];
    int fd;
    size_t got = 0;
    LK_TRY(lk_open_file(path, &fd, NULL));
    lk_status status = lk_read_at(fd, path, text, sizeof text, 0, &got);
    close(fd);
    *is = got == 0 || (got == sizeof text && memcmp(text, begin, got) == 0);
    return status;
}

/* Any file of a run may be one that the report reads, but for an earlier page. */
static lk_status keep_runs(const char *output, char **folders, int count)
{
    lk_path_kind kind;
    bool page = false;
    LK_TRY(lk_path_look(output, &kind));
    if (kind == LK_FILE)
        LK_TRY(is_page(output, &page));
    for (int i = 0; !page && i < count; i++)
        LK_TRY(lk_keep_folder("report", "output", output, folders[i]));
    return LK_OK;
}

static lk_status run(void *values, char **folders, int count)
{
    const report_values *v = values;
    char own[LK_PATH_SIZE];
    LK_TRY(lk_path_join(own, folders[0], "report.html"));
    const char *output = v->output ? v->output : own;
    lk_report report = {0};
    lk_status status = keep_runs(output, folders, count);
    for (int i = 0; status == LK_OK && i < count; i++)
        status = lk_report_add(&report, folders[i]);
    if (status == LK_OK)
        status = lk_report_write(&report, output);
    lk_report_free(&report);
    if (status == LK_OK)
        puts(output);
    return status;
}

const lk_command lk_command_report = {
    .name = "report",
    .summary = "one HTML page about runs: curves, pictures, which lambda is best",
    .usage = "DIR... [-o FILE]",
    .about = "Writes one HTML page about every run in or below the folders: curves, pictures and evaluation of each, and\n"
             "where there are several, which setting is best and what the others trade for it. The page is one file.\n"
             "Runs that likeness evaluate has judged are ranked; runs in training are shown as far as they are.",
    .options = option_table,
    .size = sizeof(report_values),
    .takes = "run folders or folders of runs",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
