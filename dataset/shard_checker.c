/* Both ends of the checker's socket. A question is one byte with the open file attached; an answer is a `reply` and its text. */
#include "dataset/shard_checker.h"

#include "base/clock.h"
#include "base/file.h"
#include "dataset/shard_format.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum {
    SOCKET = 0,     /* the checker's end, in the checker */
    OPEN_FILES = 4, /* socket, two of /dev/null, the file */
    /* For libhdf5 on one file: what an honest shard takes is about 3 MB and 10 ms. */
    MEMORY_BYTES = 256 << 20,
    COMPUTING_SECONDS = 10,
    WAIT_SECONDS = 60
};

static const char CHECK_SHARDS[] = "--check-shards", READY[] = "likeness";

typedef struct reply {
    uint32_t status; /* LK_OK, LK_BAD_DATA, LK_IO or LK_INTERNAL */
    int32_t io_error;
    uint64_t schema_bytes,
        provenance_bytes; /* of the texts that follow, without a zero; in the place of a schema: what is wrong */
    lk_shard_layout layout;
} reply;
_Static_assert(sizeof(reply) == 24 + 24 + LK_LAYOUT_ARRAYS * 64, "the checker's answers have no padding");

/* ---- the checker ---- */

static int receive_file(void)
{
    char byte, control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(sizeof(size_t))));
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got;
    do
        got = recvmsg(SOCKET, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *header = got == 1 ? CMSG_FIRSTHDR(&message) : NULL;
    int file = -1;
    if (header && header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof file))
        memcpy(&file, CMSG_DATA(header), sizeof file);
    return file;
}

static void send_all(const void *data, size_t size)
{
    for (const char *from = data; size > 0;) {
        ssize_t put = send(SOCKET, from, size, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            _exit(0); /* nobody asks any more */
        from += put;
        size -= (size_t)put;
    }
}

static size_t bytes_of_address_space(void)
{
    char text[64] = "";
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        _exit(1);
    close(fd);
    return strtoul(text, NULL, 10) * (size_t)sysconf(_SC_PAGESIZE);
}

static void limit_to(int resource, size_t most)
{
    struct rlimit limit;
    if (getrlimit(resource, &limit) != 0)
        _exit(1);
    if (limit.rlim_max > most) /* RLIM_INFINITY is the largest number */
        limit.rlim_max = most;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(resource, &limit) != 0)
        _exit(1);
}

static void confine(void)
{
    prctl(PR_SET_NAME, "likeness-shards");
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    H5open(); /* what it wants of the system, it gets before */
    /* The shadow memory of the sanitizers is far larger than any limit. */
    if (!SANITIZED)
        limit_to(RLIMIT_AS, bytes_of_address_space() + MEMORY_BYTES);
    limit_to(RLIMIT_CORE, 0);
    limit_to(RLIMIT_FSIZE, 0);
    limit_to(RLIMIT_NOFILE, OPEN_FILES);
}

/* The soft limit alone moves: each file gets the same. */
static void limit_computing(void)
{
    struct rusage used;
    struct rlimit limit;
    if (getrusage(RUSAGE_SELF, &used) != 0 || getrlimit(RLIMIT_CPU, &limit) != 0)
        _exit(1);
    limit.rlim_cur = (rlim_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + 1 + COMPUTING_SECONDS;
    setrlimit(RLIMIT_CPU, &limit);
}

static void answer(int file)
{
    lk_shard_texts texts;
    reply out = {0};
    lk_status status = lk_shard_layout_read(file, &out.layout, &texts, &out.io_error);
    const char *first = status == LK_OK ? texts.schema : lk_error_text(), *second = status == LK_OK ? texts.provenance : "";
    out.status = (uint32_t)status;
    out.schema_bytes = strlen(first);
    out.provenance_bytes = strlen(second);
    send_all(&out, sizeof out);
    send_all(first, out.schema_bytes);
    send_all(second, out.provenance_bytes);
    lk_shard_texts_free(&texts);
}

/* In .preinit_array, before the constructors of libtorch and MPI, which the checker has no use for and which take ten times as
 * long as all that it does. */
static void be_the_checker(int argc, char **argv)
{
    if (argc != 2 || strcmp(argv[1], CHECK_SHARDS) != 0)
        return;
    confine();
    send_all(READY, sizeof READY);
    for (int file; (file = receive_file()) >= 0; close(file)) {
        limit_computing();
        answer(file);
    }
    _exit(0);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_main)(int, char **) = be_the_checker;

/* ---- starting it ---- */

/* Nothing of MPI, OpenMP or HDF5: where libraries lie, and how sanitizers report. */
static void pick_environment(char **out)
{
    static const char *const NAMES[] = {"LD_LIBRARY_PATH=", "ASAN_OPTIONS=", "TSAN_OPTIONS=", "UBSAN_OPTIONS="};
    for (char **variable = environ; *variable; variable++)
        for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
            if (strncmp(*variable, NAMES[i], strlen(NAMES[i])) == 0)
                *out++ = *variable;
    *out = NULL;
}

enum { MAX_ENVIRONMENT = 4 + 1 };

static int spawn(const char *program, int socket, pid_t *process)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t blocked, all;
    char *argv[] = {"likeness", (char *)CHECK_SHARDS, NULL}, *environment[MAX_ENVIRONMENT];
    pick_environment(environment);
    /* What the job's signals ask for, the parent does; the checker ends with the socket. */
    const int passing[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    sigemptyset(&blocked);
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        sigaddset(&blocked, passing[i]);
    sigfillset(&all);
    int error = posix_spawn_file_actions_init(&files);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error == 0) {
        posix_spawnattr_setsigmask(&attributes, &blocked);
        posix_spawnattr_setsigdefault(&attributes, &all);
        posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if ((error = posix_spawn_file_actions_adddup2(&files, socket, SOCKET)) == 0 &&
            (error = posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0)) == 0 &&
            (error = posix_spawn_file_actions_adddup2(&files, 1, 2)) == 0 &&
            (error = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0)
            error = posix_spawn(process, program, &files, &attributes, argv, environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static double wait_seconds(void)
{
    const char *text = getenv("LIKENESS_SHARD_CHECKER_SECONDS");
    return text ? atof(text) : WAIT_SECONDS;
}

/* ---- asking it ---- */

typedef enum outcome { ANSWERED, ENDED, SILENT, BABBLED, OUT_OF_MEMORY } outcome;

static outcome receive(const lk_shard_checker *c, void *out, size_t size, double until)
{
    for (char *to = out; size > 0;) {
        double left = until - lk_clock();
        struct pollfd ready = {.fd = c->socket, .events = POLLIN};
        int count = left > 0 ? poll(&ready, 1, (int)(left * 1000) + 1) : 0;
        if (count < 0 && errno == EINTR)
            continue;
        if (count == 0)
            return SILENT;
        ssize_t got = recv(c->socket, to, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return ENDED;
        to += got;
        size -= (size_t)got;
    }
    return ANSWERED;
}

/* A process that is gone shows when its answer is taken. */
static void send_file(const lk_shard_checker *c, int file)
{
    char byte = 'f', control[CMSG_SPACE(sizeof file)] __attribute__((aligned(sizeof(size_t)))) = {0};
    struct iovec data = {&byte, 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof file);
    memcpy(CMSG_DATA(header), &file, sizeof file);
    ssize_t put;
    do
        put = sendmsg(c->socket, &message, MSG_NOSIGNAL);
    while (put < 0 && errno == EINTR);
}

static void send_waiting(lk_shard_checker *c)
{
    while (c->sent < c->waiting)
        send_file(c, c->files[c->sent++]);
}

void lk_shard_checker_give(lk_shard_checker *c, int file)
{
    c->files[c->waiting++] = file;
    if (c->socket >= 0)
        send_waiting(c);
}

static bool is_plausible(const reply *r)
{
    switch (r->status) {
    case LK_OK: return r->schema_bytes <= LK_MAX_SCHEMA_TEXT && r->provenance_bytes <= LK_MAX_PROVENANCE;
    case LK_BAD_DATA:
    case LK_IO:
    case LK_INTERNAL: return r->schema_bytes < LK_ERROR_SIZE && r->provenance_bytes == 0;
    default: return false;
    }
}

static outcome receive_text(const lk_shard_checker *c, char **text, size_t size, double until)
{
    *text = calloc(1, size + 1);
    if (!*text)
        return OUT_OF_MEMORY;
    outcome result = receive(c, *text, size, until);
    return result == ANSWERED && strlen(*text) != size ? BABBLED : result;
}

/* The caller frees the texts, whatever the outcome. */
static outcome receive_reply(const lk_shard_checker *c, reply *r, lk_shard_texts *texts)
{
    double until = lk_clock() + wait_seconds();
    outcome result = receive(c, r, sizeof *r, until);
    if (result == ANSWERED && !is_plausible(r))
        result = BABBLED;
    if (result == ANSWERED)
        result = receive_text(c, &texts->schema, r->schema_bytes, until);
    if (result == ANSWERED)
        result = receive_text(c, &texts->provenance, r->provenance_bytes, until);
    return result;
}

/* ---- its end ---- */

/* 'D': it waits for a disk. */
static char state_of(pid_t process)
{
    char path[32], text[128] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return '?';
    ssize_t got = read(fd, text, sizeof text - 1);
    close(fd);
    const char *name_end = got > 0 ? strrchr(text, ')') : NULL;
    return name_end && name_end[1] == ' ' ? name_end[2] : '?';
}

/* A process that waits for a dead disk cannot be killed; it is left to init. Returns what waitpid() says, -1 if it does not
 * end. */
static int end_process(lk_shard_checker *c, bool kill_it)
{
    enum { PATIENCE_MS = 2000 };
    int how = -1;
    close(c->socket);
    if (kill_it)
        kill(c->process, SIGKILL);
    for (int waited = 0; waited < PATIENCE_MS; waited++) {
        pid_t ended = waitpid(c->process, &how, WNOHANG);
        if (ended == c->process || (ended < 0 && errno != EINTR))
            break;
        if (!kill_it && waited == PATIENCE_MS / 2) {
            kill(c->process, SIGKILL);
            kill_it = true;
        }
        poll(NULL, 0, 1);
    }
    c->socket = -1;
    c->sent = 0;
    return how;
}

void lk_shard_checker_end(lk_shard_checker *c)
{
    if (c->socket >= 0)
        end_process(c, c->waiting > 0);
    c->waiting = 0;
}

static lk_status start(lk_shard_checker *c)
{
    int ends[2];
    const char *program = getenv("LIKENESS_SHARD_CHECKER");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return lk_fail(LK_INTERNAL, "cannot start the checker of shards: socketpair: %s", strerror(errno));
    int error = spawn(program ? program : "/proc/self/exe", ends[1], &c->process);
    close(ends[1]);
    if (error != 0) {
        close(ends[0]);
        return lk_fail(LK_INTERNAL, "cannot start the checker of shards: posix_spawn: %s", strerror(error));
    }
    c->socket = ends[0];
    c->answers = 0;
    char ready[sizeof READY];
    outcome result = receive(c, ready, sizeof ready, lk_clock() + wait_seconds());
    if (result == ANSWERED && memcmp(ready, READY, sizeof ready) == 0)
        return LK_OK;
    int how = end_process(c, true);
    return lk_fail(LK_INTERNAL, "the checker of shards does not start (%s %d); run it again",
                   WIFSIGNALED(how) ? "signal" : "exit code", WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

/* Why there was no answer: what the file did, what the disk did, or what somebody else did to the checker. */
static lk_status explain(lk_shard_checker *c, const char *path, outcome result)
{
    char state = state_of(c->process);
    int how = end_process(c, result != ENDED);
    if (result == OUT_OF_MEMORY)
        return lk_fail(LK_INTERNAL, "%s: out of memory for its schema", path);
    if (result == BABBLED)
        return lk_fail(LK_BAD_DATA, "%s: HDF5 loses its way in it: the shard is damaged or forged, make it anew", path);
    if (result == SILENT && state == 'D')
        return lk_fail(LK_IO, "%s: the disk does not answer for %.0f s", path, wait_seconds());
    if (result == SILENT || (WIFSIGNALED(how) && WTERMSIG(how) == SIGXCPU))
        return lk_fail(LK_BAD_DATA, "%s: HDF5 does not come to an end with it: the shard is damaged or forged, make it anew",
                       path);
    if (WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL)
        return lk_fail(LK_INTERNAL, "%s: the process that checks it was killed from outside; run it again", path);
    return lk_fail(LK_BAD_DATA, "%s: HDF5 crashes on it (%s %d): the shard is damaged or forged, make it anew", path,
                   WIFSIGNALED(how) ? "signal" : "exit code", WIFSIGNALED(how) ? WTERMSIG(how) : WEXITSTATUS(how));
}

static void forget_oldest(lk_shard_checker *c)
{
    memmove(c->files, c->files + 1, (size_t)--c->waiting * sizeof *c->files);
    c->sent -= c->sent > 0; /* 0: its process is gone */
    c->answers++;
}

lk_status lk_shard_checker_take(lk_shard_checker *c, const char *path, lk_shard_layout *layout, lk_shard_texts *texts)
{
    reply r;
    outcome result;
    *texts = (lk_shard_texts){0};
    for (;;) {
        if (c->socket < 0) {
            lk_status status = start(c);
            if (status != LK_OK)
                return lk_fail_in(status, "%s", path);
        }
        send_waiting(c);
        result = receive_reply(c, &r, texts);
        if (result == ANSWERED || c->answers == 0)
            break;
        /* A file before this one may be what broke it: a fresh one decides. */
        lk_shard_texts_free(texts);
        end_process(c, true);
    }
    lk_status status = LK_OK;
    if (result != ANSWERED)
        status = explain(c, path, result);
    else if (r.status == LK_IO)
        status = lk_fail_io("read", path, r.io_error, 0);
    else if (r.status != LK_OK)
        status = lk_fail((lk_status)r.status, "%s: %s", path, texts->schema);
    forget_oldest(c);
    if (status != LK_OK)
        lk_shard_texts_free(texts);
    *layout = r.layout;
    return status;
}
