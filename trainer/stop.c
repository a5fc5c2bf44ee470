#include "trainer/stop.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

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
        /* Delivered with its usual effect as soon as this handler returns. */
        signal(number, SIG_DFL);
        raise(number);
    }
}

int lk_stop_requested(void)
{
    return requested;
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

lk_status lk_stop_install(const lk_paths *signals)
{
    struct sigaction action = {.sa_handler = note, .sa_flags = SA_RESTART};
    requested = urgent_at = 0;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < signals->count; i++)
        if (sigaction(number_of(signals->items[i]), &action, NULL) != 0)
            return lk_fail(LK_INTERNAL, "cannot catch the signal %s: %s", signals->items[i], strerror(errno));
    return LK_OK;
}
