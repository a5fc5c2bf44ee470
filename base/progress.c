#include "base/progress.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <unistd.h>

void lk_progress_begin(lk_progress *bar, const char *what, const char *unit, int64_t already, int64_t total, bool quiet)
{
    bool terminal = isatty(STDERR_FILENO);
    *bar = (lk_progress){.what = what,
                         .unit = unit,
                         .total = total,
                         .started_at = already,
                         .start = lk_clock(),
                         .drawn = lk_clock(),
                         .interval = terminal ? 0.1 : 10.0,
                         .terminal = terminal,
                         .quiet = quiet};
}

static void format_duration(char *out, size_t size, double seconds)
{
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, size, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, size, "%ld:%02ld", s / 60, s % 60);
}

void lk_progress_update(lk_progress *bar, int64_t done, const char *note)
{
    double now = lk_clock();
    if (bar->quiet || now - bar->drawn < bar->interval)
        return;
    bar->drawn = now;
    double rate = (double)(done - bar->started_at) / (now - bar->start + 1e-9);
    char line[240];
    char left[32] = "";
    int used;
    if (bar->total > 0) {
        if (rate > 0)
            format_duration(left, sizeof left, (double)(bar->total - done) / rate);
        used = snprintf(line, sizeof line, "%s %3.0f%% %lld/%lld %s, %.0f/s, %s left", bar->what,
                        100.0 * (double)done / (double)bar->total, (long long)done, (long long)bar->total, bar->unit, rate, left);
    } else {
        used = snprintf(line, sizeof line, "%s %lld %s, %.0f/s", bar->what, (long long)done, bar->unit, rate);
    }
    if (note && used > 0 && (size_t)used < sizeof line)
        snprintf(line + used, sizeof line - (size_t)used, ", %s", note);
    if (bar->terminal)
        lk_log_set_footer(line);
    else
        lk_info("%s", line);
}

void lk_progress_end(lk_progress *bar)
{
    if (!bar->quiet && bar->terminal)
        lk_log_set_footer(NULL);
}
