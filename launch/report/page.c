/* The page as a whole: lk_report_write of report.h. */
#include "base/file.h"
#include "base/version.h"
#include "launch/report/html.h"
#include "launch/report/sections.h"

#include <stdlib.h>

static void write_head(FILE *page, const lk_report *report)
{
    char date[64] = "";
    time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local))
        strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S %Z", &local);
    fputs("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>",
          page);
    if (report->count == 1)
        lk_html_text(page, report->runs[0].name);
    else
        fprintf(page, "%zu runs", report->count);
    fputs(" &ndash; likeness</title>\n", page);
    fputs(lk_html_style, page);
    int states[LK_STATE_COUNT] = {0};
    for (size_t i = 0; i < report->count; i++)
        states[report->runs[i].state]++;
    fprintf(page, "</head>\n<body%s>\n<header><h1>likeness</h1><p class=\"soft\">%zu run%s",
            report->count > LK_MANY_RUNS ? " class=\"many\"" : "", report->count, report->count == 1 ? "" : "s");
    for (int s = 0; s < LK_STATE_COUNT; s++)
        if (states[s] > 0)
            fprintf(page, ", %d %s", states[s], lk_state_name((lk_report_state)s));
    fprintf(page, "; written %s by ", date);
    lk_html_text(page, lk_program());
    fputs("</p></header>\n<main>\n", page);
}

static lk_status write_page(FILE *page, const lk_report *report, const lk_comparison *comparison, lk_pictures *pictures,
                            const char *path)
{
    int plots = 0;
    write_head(page, report);
    LK_TRY(lk_pictures_write(page, report, pictures, path));
    if (comparison->count > 1)
        LK_TRY(lk_html_comparison(page, report, comparison, pictures, &plots));
    if (report->count > 1)
        lk_html_runs(page, report, comparison);
    for (size_t i = 0; i < report->count; i++)
        lk_html_run(page, report, i, report->count == 1, pictures, &plots);
    fputs("</main>\n", page);
    fputs(lk_html_script, page);
    fputs("</body>\n</html>\n", page);
    return LK_OK;
}

lk_status lk_report_write(const lk_report *report, const char *path)
{
    lk_comparison comparison;
    lk_pictures pictures;
    lk_atomic_file file;
    LK_TRY(lk_compare(report, &comparison));
    lk_status status = lk_pictures_open(report, &pictures);
    if (status == LK_OK)
        status = lk_atomic_open(&file, path);
    if (status == LK_OK) {
        status = write_page(file.stream, report, &comparison, &pictures, path);
        if (status == LK_OK)
            status = lk_atomic_commit(&file);
        else
            lk_atomic_abort(&file);
    }
    lk_pictures_free(&pictures);
    lk_comparison_free(&comparison);
    return status;
}
