/* likeness sweep: its subcommands, and the plainest of them. */
#include "launch/command/sweep.h"
#include "launch/command/commands.h"
#include "launch/report/report.h"

#include <stdio.h>

static lk_status run_status(void *values, char **arguments, int count)
{
    (void)values, (void)count;
    lk_report report = {0};
    lk_status status = lk_report_add(&report, arguments[0]);
    if (status == LK_OK)
        lk_report_print_status(&report, stdout);
    lk_report_free(&report);
    return status;
}

static const lk_command sweep_status = {.name = "sweep status",
                                        .summary = "a table of the points of a sweep: state, step, best F1, F2 and F",
                                        .usage = "DIR",
                                        .about = "Prints a table of the runs in or below DIR: state, step, best F1, F2 and F.",
                                        .takes = "one folder",
                                        .least = 1,
                                        .most = 1,
                                        .run = run_status};

const lk_command lk_command_sweep = {.name = "sweep",
                                     .summary = "several runs that differ in a few keys: plan, status",
                                     .about = "launch/sweep starts the runs that plan makes.",
                                     .subcommands =
                                         (const lk_command *const[]){&lk_sweep_plan, &lk_sweep_halving, &sweep_status, NULL}};
