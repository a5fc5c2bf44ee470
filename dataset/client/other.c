#include "dataset/client/other.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_PICTURE_BYTES = 256 << 20, MAX_PICTURE_PIXELS = 100000000 };

static const char PARAMS[] = "{params}", PICTURE[] = "{picture}";

lk_status lk_other_client_check(const char *command)
{
    const char *const placeholders[] = {PARAMS, PICTURE};
    for (int i = 0; i < 2; i++)
        if (!strstr(command, placeholders[i]))
            return lk_fail(LK_USAGE, "--client '%.200s': has no %s; write a command like 'draw {params} {picture}'", command,
                           placeholders[i]);
    return LK_OK;
}

/* ---- the command line ---- */

/* In single quotes, where the shell takes everything as it is. */
static void write_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    for (; *text; text++)
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    fputc('\'', out);
}

/* The caller frees; NULL: out of memory. */
static char *fill_in(const char *command, const char *params, const char *picture)
{
    char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);
    if (!out)
        return NULL;
    for (const char *c = command; *c;) {
        if (strncmp(c, PARAMS, sizeof PARAMS - 1) == 0) {
            write_quoted(out, params);
            c += sizeof PARAMS - 1;
        } else if (strncmp(c, PICTURE, sizeof PICTURE - 1) == 0) {
            write_quoted(out, picture);
            c += sizeof PICTURE - 1;
        } else {
            fputc(*c++, out);
        }
    }
    if (fclose(out) == 0)
        return line;
    free(line);
    return NULL;
}

/* ---- the process ---- */

/* In a process group of its own, so that all it starts can be ended with it. */
static int spawn(const char *line, pid_t *process)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    char *argv[] = {"sh", "-c", (char *)(uintptr_t)line, NULL};
    sigemptyset(&none);
    sigfillset(&all);
    int error = posix_spawn_file_actions_init(&files);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        posix_spawnattr_setsigmask(&attributes, &none);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setpgroup(&attributes, 0);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
        if ((error = posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&files, 2, 1)) == 0 &&
            (error = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0)
            error = posix_spawn(process, "/bin/sh", &files, &attributes, argv, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static int start(const char *line, pid_t *process, int *leftover)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    *leftover = lk_leftover_reserve();
    int error = spawn(line, process);
    if (error == 0)
        lk_leftover_group(*leftover, *process);
    else
        lk_leftover_forget(*leftover);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

/* Waits until the process ends, or kills its group after `seconds`; false in that case. Looks ever less often: a fast client is
 * not kept waiting, a slow one costs nothing. */
static bool wait_for(pid_t process, double seconds, int *how)
{
    double until = lk_clock() + seconds;
    long pause = 200000; /* ns */
    for (;;) {
        pid_t ended = waitpid(process, how, WNOHANG);
        if (ended == process || (ended < 0 && errno != EINTR))
            return true;
        if (lk_clock() > until)
            break;
        nanosleep(&(struct timespec){.tv_nsec = pause}, NULL);
        pause = pause < 10000000 ? pause + pause / 4 : pause;
    }
    kill(-process, SIGKILL);
    while (waitpid(process, how, 0) < 0 && errno == EINTR)
        continue;
    return false;
}

static lk_status run(const char *command, double seconds, const char *face, const char *line)
{
    pid_t process;
    int leftover, how = 0, error = start(line, &process, &leftover);
    if (error != 0)
        return lk_fail(LK_INTERNAL, "--client: /bin/sh cannot be started: %s", strerror(error));
    bool ended = wait_for(process, seconds, &how);
    lk_leftover_forget(leftover);
    if (!ended)
        return lk_fail(LK_BAD_DATA, "%s: --client '%.200s' was not done after %g s; --client-seconds gives it more", face,
                       command, seconds);
    if (WIFSIGNALED(how))
        return lk_fail(LK_BAD_DATA, "%s: --client '%.200s' ended by signal %d (%s)", face, command, WTERMSIG(how),
                       strsignal(WTERMSIG(how)));
    if (WEXITSTATUS(how) != 0)
        return lk_fail(LK_BAD_DATA, "%s: --client '%.200s' ended with exit code %d", face, command, WEXITSTATUS(how));
    return LK_OK;
}

static lk_status take_picture(const char *command, const char *face, const char *picture, lk_image *out)
{
    char *data = NULL;
    size_t size;
    lk_path_kind kind;
    LK_TRY(lk_path_look(picture, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA, "%s: --client '%.200s' left nothing at {picture}", face, command);
    lk_status status = lk_read_file(picture, MAX_PICTURE_BYTES, &data, &size);
    if (status == LK_OK)
        status = lk_image_decode(data, size, MAX_PICTURE_PIXELS, "{picture}", out);
    if (status == LK_OK && out->width != out->height)
        status = lk_fail(LK_BAD_DATA, "{picture}: has %d x %d pixels, and must be square", out->width, out->height);
    free(data);
    return status == LK_BAD_DATA ? lk_fail_in(status, "%s: --client '%.200s'", face, command) : status;
}

lk_status lk_other_client_draw(const char *command, double seconds, const char *face, const char *params, const char *picture,
                               lk_image *out)
{
    char *line = fill_in(command, params, picture);
    *out = (lk_image){0};
    if (!line)
        return lk_fail(LK_INTERNAL, "out of memory for the client's command");
    unlink(picture); /* of a run that was killed: never taken for what the command drew */
    lk_status status = run(command, seconds, face, line);
    free(line);
    if (status == LK_OK)
        status = take_picture(command, face, picture, out);
    unlink(picture);
    if (status != LK_OK)
        lk_image_free(out);
    return status;
}
