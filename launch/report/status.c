/* The runs of a sweep as plain text: lk_report_print_status of report.h. */
#include "launch/report/report.h"

#include <math.h>
#include <string.h>

static void print_loss(FILE *out, double value)
{
    if (isnan(value))
        fprintf(out, " %10s", "-");
    else
        fprintf(out, " %10.5g", value);
}

void lk_report_print_status(const lk_report *report, FILE *out)
{
    int states[LK_STATE_COUNT] = {0}, width = (int)strlen("point");
    for (size_t i = 0; i < report->count; i++) {
        int length = (int)strlen(report->runs[i].name);
        width = length > width ? length : width;
    }
    fprintf(out, "%-*s  %-10s %9s %6s %9s %10s %10s %10s\n", width, "point", "state", "step", "epoch", "best at", "F1", "F2",
            "F or L1");
    for (size_t i = 0; i < report->count; i++) {
        const lk_report_run *run = &report->runs[i];
        states[run->state]++;
        fprintf(out, "%-*s  %-10s %9lld %6lld", width, run->name, lk_state_name(run->state), (long long)run->step,
                (long long)run->epoch);
        if (run->best_step > 0)
            fprintf(out, " %9lld", (long long)run->best_step);
        else
            fprintf(out, " %9s", "-");
        print_loss(out, run->best_f1);
        print_loss(out, run->best_f2);
        print_loss(out, run->best);
        fputc('\n', out);
    }
    fprintf(out, "%zu point%s", report->count, report->count == 1 ? "" : "s");
    const char *between = ": ";
    for (int s = 0; s < LK_STATE_COUNT; s++) {
        if (states[s] > 0) {
            fprintf(out, "%s%d %s", between, states[s], lk_state_name((lk_report_state)s));
            between = ", ";
        }
    }
    fputc('\n', out);
}
