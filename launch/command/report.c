#include "base/file.h"
#include "launch/command/commands.h"
#include "launch/report/report.h"

#include <getopt.h>
#include <stdio.h>

static void print_help(void)
{
    puts("usage: likeness report DIR... [-o FILE]\n"
         "\n"
         "Writes one HTML page about every run in or below the folders: curves, pictures and evaluation of each, and\n"
         "where there are several, which setting is best and what the others trade for it. The page is one file.\n"
         "Runs that likeness evaluate has judged are ranked; runs in training are shown as far as they are.\n"
         "\n"
         "  -o FILE   where the page goes (default: report.html in the first DIR)");
}

lk_status lk_command_report(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};
    const char *output = NULL;
    for (int option; (option = getopt_long(argc, argv, "o:", options, NULL)) != -1;) {
        switch (option) {
        case 'o': output = optarg; break;
        case 'h': print_help(); return LK_OK;
        default: return lk_fail(LK_USAGE, "likeness report --help lists the options");
        }
    }
    if (optind == argc)
        return lk_fail(LK_USAGE, "likeness report takes run folders or folders of runs; likeness report --help says more");
    char own[LK_PATH_SIZE];
    LK_TRY(lk_path_join(own, argv[optind], "report.html"));
    lk_report report = {0};
    lk_status status = LK_OK;
    for (int i = optind; status == LK_OK && i < argc; i++)
        status = lk_report_add(&report, argv[i]);
    if (status == LK_OK)
        status = lk_report_write(&report, output ? output : own);
    lk_report_free(&report);
    if (status == LK_OK)
        puts(output ? output : own);
    return status;
}
