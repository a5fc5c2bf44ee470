#include "trainer/stop.h"

#include "base/clock.h"
#include "base/leftover.h"

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

static double time_is_up = INFINITY;
static volatile sig_atomic_t requested, urgent_at; /* urgent_at: second of the first TERM or INT, 0 before */

/* A launcher and a queue may both pass one signal on: within this it is the same one. */
static const time_t echo_seconds = 1;

static void note(int number)
{
    struct timespec now;
    if (!requested)
        requested = number;
    if (number != SIGTERM && number != SIGINT)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (!urgent_at) {
        urgent_at = (sig_atomic_t)now.tv_sec + 1; /* never 0 */
    } else if (now.tv_sec + 1 - urgent_at > echo_seconds) {
        lk_leftover_end(number);
    }
}

int lk_stop_requested(void)
{
    if (requested)
        return requested;
    return lk_clock() > time_is_up ? LK_STOP_TIME : 0;
}

const char *lk_stop_reason(int stop)
{
    return stop == LK_STOP_TIME ? "train.max_minutes" : strsignal(stop);
}

static int number_of(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } known[] = {{"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"TERM", SIGTERM}, {"HUP", SIGHUP}, {"INT", SIGINT}, {"XCPU", SIGXCPU}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].number;
    return 0;
}

static bool is_ignored(int number)
{
    struct sigaction now;
    return sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN;
}

lk_status lk_stop_install(const lk_paths *signals, double until)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    requested = urgent_at = 0;
    time_is_up = until;
    sigemptyset(&action.sa_mask);
    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < signals->count; i++) {
        int number = number_of(signals->items[i]);
        if (number == SIGHUP && is_ignored(number))
            continue;
        if (sigaction(number, &action, NULL) != 0)
            return lk_fail(LK_INTERNAL, "cannot catch the signal %s: %s", signals->items[i], strerror(errno));
    }
    return LK_OK;
}
