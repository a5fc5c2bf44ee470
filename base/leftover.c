#include "base/leftover.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SLOTS = 64, FREE = 0, TAKEN, REMEMBERED };

/* A handler may run at any instant and beside any thread: slots are static, and each belongs to one thread at a time. */
static struct {
    atomic_int state;
    pid_t group; /* 0: a path */
    char path[LK_PATH_SIZE];
} slots[SLOTS];

static atomic_bool ending;

int lk_leftover_reserve(void)
{
    while (atomic_load(&ending))
        pause(); /* nothing new, while the process ends */
    for (int i = 0; i < SLOTS; i++) {
        int free = FREE;
        if (atomic_compare_exchange_strong(&slots[i].state, &free, TAKEN))
            return i + 1;
    }
    return 0;
}

int lk_leftover_path(const char *path)
{
    int number = lk_leftover_reserve();
    if (number > 0) {
        slots[number - 1].group = 0;
        snprintf(slots[number - 1].path, sizeof slots->path, "%s", path);
        atomic_store(&slots[number - 1].state, REMEMBERED);
    }
    return number;
}

void lk_leftover_group(int number, pid_t group)
{
    if (number > 0) {
        slots[number - 1].group = group;
        atomic_store(&slots[number - 1].state, REMEMBERED);
    }
}

void lk_leftover_forget(int number)
{
    if (number > 0)
        atomic_store(&slots[number - 1].state, FREE);
}

/* ---- in a handler: system calls alone ---- */

/* The files of a folder; readdir would take memory. */
static void empty_folder(const char *path)
{
    struct entry { /* getdents64(2) */
        ino64_t inode;
        off64_t next;
        unsigned short length;
        unsigned char type;
        char name[];
    };
    _Alignas(struct entry) char listed[4096];
    long size;
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return;
    while ((size = syscall(SYS_getdents64, folder, listed, sizeof listed)) > 0)
        for (long at = 0; at < size;) {
            const struct entry *e = (const void *)(listed + at);
            unlinkat(folder, e->name, 0); /* refuses "." and ".." */
            at += e->length;
        }
    close(folder);
}

/* What is just being made is known in no time; but this may be the very thread that makes it. */
static void wait_for_taken(void)
{
    for (int ms = 0; ms < 1000; ms++) {
        bool any = false;
        for (int i = 0; i < SLOTS; i++)
            any |= atomic_load(&slots[i].state) == TAKEN;
        if (!any)
            return;
        poll(NULL, 0, 1);
    }
}

static void remove_all(void)
{
    wait_for_taken();
    for (int i = 0; i < SLOTS; i++)
        if (atomic_load(&slots[i].state) == REMEMBERED && slots[i].group)
            kill(-slots[i].group, SIGKILL);
    for (int i = 0; i < SLOTS; i++) {
        if (atomic_load(&slots[i].state) != REMEMBERED || slots[i].group)
            continue;
        if (unlink(slots[i].path) != 0 && errno != ENOENT) {
            empty_folder(slots[i].path);
            rmdir(slots[i].path);
        }
    }
}

void lk_leftover_end(int number)
{
    sigset_t own;
    signal(number, SIG_DFL);
    sigemptyset(&own);
    sigaddset(&own, number);
    pthread_sigmask(SIG_UNBLOCK, &own, NULL);
    atomic_store(&ending, true);
    remove_all();
    raise(number);
}

void lk_leftover_install(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM, SIGPIPE, SIGXCPU, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = lk_leftover_end}, now;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(signals[i], &action, NULL);
}
