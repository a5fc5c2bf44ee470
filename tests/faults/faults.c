/* A preloaded library that makes calls about files fail, as a network disk that is away, a full one or one without rights does.
 *
 *     FAULTS_ROOT=/abs/folder FAULTS_CALL=open FAULTS_AT=7 FAULTS_TIMES=3 FAULTS_ERRNO=ESTALE LD_PRELOAD=faults.so PROGRAM
 *
 * Calls about paths below FAULTS_ROOT are counted in each process, each class by itself; of the class FAULTS_CALL the calls
 * FAULTS_AT, FAULTS_AT + 1 ... fail, FAULTS_TIMES of them (FAULTS_AT=0: none); with FAULTS_ERRNO=HANG they do not return.
 * FAULTS_LOG is a file that gets a line "fault CALL PATH" for each failure and "calls CALL N" for each class at the end of a
 * process.
 *
 * Classes: stat (access, readlink), open (opendir), read, readdir, write, rename, link (symlink), unlink (rmdir), fsync,
 * mkdir. What the C library calls inside of itself is not seen, so streams opened for reading are replaced by ones that read
 * through here.
 */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ROOM = 4096, HANG = -1 };

static struct {
    bool on;
    char root[ROOM], call[32], log[ROOM];
    long at, times;
    int reason;
} plan;

static const char *const classes[] = {"stat", "open", "read", "readdir", "write", "rename", "link", "unlink", "fsync", "mkdir"};
enum { CLASSES = sizeof classes / sizeof *classes };
static atomic_long counts[CLASSES];

static const struct {
    const char *name;
    int number;
} reasons[] = {{"ESTALE", ESTALE}, {"EIO", EIO},     {"EACCES", EACCES},         {"EMFILE", EMFILE}, {"ENOSPC", ENOSPC},
               {"EPERM", EPERM},   {"EROFS", EROFS}, {"EOPNOTSUPP", EOPNOTSUPP}, {"HANG", HANG}};

static const char *value_of(const char *name)
{
    const char *value = getenv(name);
    return value ? value : "";
}

__attribute__((constructor)) static void read_plan(void)
{
    snprintf(plan.root, sizeof plan.root, "%s", value_of("FAULTS_ROOT"));
    snprintf(plan.call, sizeof plan.call, "%s", value_of("FAULTS_CALL"));
    snprintf(plan.log, sizeof plan.log, "%s", value_of("FAULTS_LOG"));
    plan.at = atol(value_of("FAULTS_AT"));
    plan.times = atol(value_of("FAULTS_TIMES"));
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (strcmp(reasons[i].name, value_of("FAULTS_ERRNO")) == 0)
            plan.reason = reasons[i].number;
    plan.on = plan.root[0];
}

static void log_line(const char *line)
{
    int fd = plan.log[0] ? (int)syscall(SYS_openat, AT_FDCWD, plan.log, O_WRONLY | O_CREAT | O_APPEND, 0666) : -1;
    if (fd < 0)
        return;
    syscall(SYS_write, fd, line, strlen(line));
    syscall(SYS_close, fd);
}

__attribute__((destructor)) static void tell(void)
{
    char line[64];
    for (int i = 0; plan.on && i < CLASSES; i++) {
        snprintf(line, sizeof line, "calls %s %ld\n", classes[i], atomic_load(&counts[i]));
        log_line(line);
    }
}

static bool link_of(int fd, char out[ROOM])
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, name, out, ROOM - 1);
    out[length > 0 ? length : 0] = '\0';
    return length > 0;
}

static bool resolve(int folder, const char *path, char out[ROOM])
{
    char base[ROOM];
    if (!path || !path[0])
        return folder >= 0 && link_of(folder, out);
    if (path[0] == '/')
        return snprintf(out, ROOM, "%s", path) < ROOM;
    if (folder == AT_FDCWD ? syscall(SYS_getcwd, base, sizeof base) <= 0 : !link_of(folder, base))
        return false;
    return snprintf(out, ROOM, "%s/%s", base, path) < ROOM;
}

/* Whether this call is to fail; errno is then set. */
static bool fails(const char *class, int folder, const char *path)
{
    char full[ROOM], line[ROOM + 64];
    if (!plan.on)
        return false;
    int before = errno, kind = 0;
    size_t length = strlen(plan.root);
    bool ours =
        resolve(folder, path, full) && strncmp(full, plan.root, length) == 0 && (full[length] == '/' || full[length] == '\0');
    errno = before;
    if (!ours)
        return false;
    while (strcmp(class, classes[kind]) != 0)
        kind++;
    long number = atomic_fetch_add(&counts[kind], 1) + 1;
    if (strcmp(class, plan.call) != 0 || plan.at == 0 || number < plan.at || number - plan.at >= plan.times)
        return false;
    snprintf(line, sizeof line, "fault %s %s\n", class, full);
    log_line(line);
    while (plan.reason == HANG)
        pause();
    errno = plan.reason;
    return true;
}

#define NEXT(name)                                                                                                               \
    static __typeof__(name) *next;                                                                                               \
    if (!next)                                                                                                                   \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

/* RESULT NAME(PARAMETERS): fails with FAILURE in CLASS about PATH in FOLDER, else the next library's NAME(ARGUMENTS). */
#define FAULTY(result, failure, class, folder, path, name, parameters, arguments)                                                \
    result name parameters                                                                                                       \
    {                                                                                                                            \
        NEXT(name);                                                                                                              \
        return fails(class, folder, path) ? failure : next arguments;                                                            \
    }

FAULTY(int, -1, "stat", AT_FDCWD, path, stat, (const char *path, struct stat *s), (path, s))
FAULTY(int, -1, "stat", AT_FDCWD, path, lstat, (const char *path, struct stat *s), (path, s))
FAULTY(int, -1, "stat", fd, NULL, fstat, (int fd, struct stat *s), (fd, s))
FAULTY(int, -1, "stat", folder, path, fstatat, (int folder, const char *path, struct stat *s, int flags),
       (folder, path, s, flags))
FAULTY(int, -1, "stat", AT_FDCWD, path, stat64, (const char *path, struct stat64 *s), (path, s))
FAULTY(int, -1, "stat", AT_FDCWD, path, lstat64, (const char *path, struct stat64 *s), (path, s))
FAULTY(int, -1, "stat", fd, NULL, fstat64, (int fd, struct stat64 *s), (fd, s))
FAULTY(int, -1, "stat", folder, path, fstatat64, (int folder, const char *path, struct stat64 *s, int flags),
       (folder, path, s, flags))
FAULTY(int, -1, "stat", folder, path, statx, (int folder, const char *path, int flags, unsigned mask, struct statx *s),
       (folder, path, flags, mask, s))
FAULTY(int, -1, "stat", AT_FDCWD, path, access, (const char *path, int mode), (path, mode))
FAULTY(int, -1, "stat", folder, path, faccessat, (int folder, const char *path, int mode, int flags), (folder, path, mode, flags))
FAULTY(ssize_t, -1, "stat", AT_FDCWD, path, readlink, (const char *path, char *out, size_t size), (path, out, size))
FAULTY(ssize_t, -1, "read", fd, NULL, read, (int fd, void *out, size_t size), (fd, out, size))
FAULTY(ssize_t, -1, "read", fd, NULL, pread, (int fd, void *out, size_t size, off_t at), (fd, out, size, at))
FAULTY(ssize_t, -1, "read", fd, NULL, pread64, (int fd, void *out, size_t size, off64_t at), (fd, out, size, at))
FAULTY(ssize_t, -1, "write", fd, NULL, write, (int fd, const void *data, size_t size), (fd, data, size))
FAULTY(ssize_t, -1, "write", fd, NULL, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
FAULTY(ssize_t, -1, "write", fd, NULL, pwrite64, (int fd, const void *data, size_t size, off64_t at), (fd, data, size, at))
FAULTY(DIR *, NULL, "open", AT_FDCWD, path, opendir, (const char *path), (path))
FAULTY(struct dirent *, NULL, "readdir", dirfd(stream), NULL, readdir, (DIR * stream), (stream))
FAULTY(struct dirent64 *, NULL, "readdir", dirfd(stream), NULL, readdir64, (DIR * stream), (stream))
FAULTY(int, -1, "rename", AT_FDCWD, from, rename, (const char *from, const char *to), (from, to))
FAULTY(int, -1, "rename", folder, from, renameat, (int folder, const char *from, int other, const char *to),
       (folder, from, other, to))
FAULTY(int, -1, "rename", folder, from, renameat2, (int folder, const char *from, int other, const char *to, unsigned flags),
       (folder, from, other, to, flags))
FAULTY(int, -1, "link", AT_FDCWD, to, link, (const char *from, const char *to), (from, to))
FAULTY(int, -1, "link", AT_FDCWD, to, symlink, (const char *from, const char *to), (from, to))
FAULTY(int, -1, "unlink", AT_FDCWD, path, unlink, (const char *path), (path))
FAULTY(int, -1, "unlink", folder, path, unlinkat, (int folder, const char *path, int flags), (folder, path, flags))
FAULTY(int, -1, "unlink", AT_FDCWD, path, rmdir, (const char *path), (path))
FAULTY(int, -1, "unlink", AT_FDCWD, path, remove, (const char *path), (path))
FAULTY(int, -1, "fsync", fd, NULL, fsync, (int fd), (fd))
FAULTY(int, -1, "fsync", fd, NULL, fdatasync, (int fd), (fd))
FAULTY(int, -1, "mkdir", AT_FDCWD, path, mkdir, (const char *path, mode_t mode), (path, mode))
FAULTY(int, -1, "mkdir", folder, path, mkdirat, (int folder, const char *path, mode_t mode), (folder, path, mode))

/* ---- open, whose last argument may be missing ---- */

static mode_t mode_of(int flags, va_list more)
{
    return flags & (O_CREAT | __O_TMPFILE) ? (mode_t)va_arg(more, unsigned) : 0;
}

#define FAULTY_OPEN(name)                                                                                                        \
    int name(const char *path, int flags, ...)                                                                                   \
    {                                                                                                                            \
        NEXT(name);                                                                                                              \
        va_list more;                                                                                                            \
        va_start(more, flags);                                                                                                   \
        mode_t mode = mode_of(flags, more);                                                                                      \
        va_end(more);                                                                                                            \
        return fails("open", AT_FDCWD, path) ? -1 : next(path, flags, mode);                                                     \
    }
#define FAULTY_OPENAT(name)                                                                                                      \
    int name(int folder, const char *path, int flags, ...)                                                                       \
    {                                                                                                                            \
        NEXT(name);                                                                                                              \
        va_list more;                                                                                                            \
        va_start(more, flags);                                                                                                   \
        mode_t mode = mode_of(flags, more);                                                                                      \
        va_end(more);                                                                                                            \
        return fails("open", folder, path) ? -1 : next(folder, path, flags, mode);                                               \
    }
FAULTY_OPEN(open)
FAULTY_OPEN(open64)
FAULTY_OPENAT(openat)
FAULTY_OPENAT(openat64)

/* ---- streams ---- */

static ssize_t read_stream(void *cookie, char *out, size_t size)
{
    return read((int)(intptr_t)cookie, out, size);
}

static int close_stream(void *cookie)
{
    return close((int)(intptr_t)cookie);
}

FILE *fdopen(int fd, const char *mode)
{
    NEXT(fdopen);
    char path[ROOM];
    bool ours = plan.on && mode[0] == 'r' && link_of(fd, path) && strncmp(path, plan.root, strlen(plan.root)) == 0;
    const cookie_io_functions_t functions = {.read = read_stream, .close = close_stream};
    return ours ? fopencookie((void *)(intptr_t)fd, mode, functions) : next(fd, mode);
}
