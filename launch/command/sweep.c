#include "launch/command/commands.h"
#include "launch/report/report.h"
#include "launch/command/sweep.h"

#include <stdio.h>
#include <string.h>

static lk_status sweep_status(int argc, char **argv)
{
    if (argc != 2)
        return lk_fail(LK_USAGE, "likeness sweep status takes one folder");
    lk_report report = {0};
    lk_status status = lk_report_add(&report, argv[1]);
    if (status == LK_OK)
        lk_report_print_status(&report, stdout);
    lk_report_free(&report);
    return status;
}

/* Each takes its own argc and argv; argv[0] is its name. */
static const struct {
    const char *name, *arguments, *help;
    lk_status (*run)(int argc, char **argv);
} subcommands[] = {
    {"plan", "FILE", "makes the folders and configurations of a sweep's points", lk_sweep_plan},
    {"halving", "DIR POINT FIRST KEEP", "stops a point that falls behind the others", lk_sweep_halving},
    {"status", "DIR", "a table of the points below DIR: state, step, best F1, F2 and F", sweep_status},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof *subcommands };

static void print_help(void)
{
    puts("usage: likeness sweep SUBCOMMAND ...\n");
    for (int i = 0; i < SUBCOMMANDS; i++)
        printf("  %-8s %-20s %s\n", subcommands[i].name, subcommands[i].arguments, subcommands[i].help);
}

lk_status lk_command_sweep(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0) {
        print_help();
        return LK_OK;
    }
    for (int i = 0; argc > 1 && i < SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    return lk_fail(LK_USAGE, "likeness sweep --help lists the subcommands");
}
