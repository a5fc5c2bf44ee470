#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

lk_status lk_path_join(char *out, const char *folder, const char *name)
{
    size_t length = strlen(folder);
    const char *slash = length > 0 && folder[length - 1] == '/' ? "" : "/";
    int used = snprintf(out, LK_PATH_SIZE, "%s%s%s", folder, slash, name);
    if (used < 0 || used >= LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%.80s...: the path is longer than %d bytes", folder, LK_PATH_SIZE - 1);
    return LK_OK;
}

/* ---- what a failed call says ---- */

bool lk_means_absent(int errno_value)
{
    return errno_value == ENOENT || errno_value == ENOTDIR;
}

lk_status lk_fail_look(const char *action, const char *path, int errno_value)
{
    if (lk_means_absent(errno_value))
        return lk_fail(LK_BAD_DATA, "%s: cannot %s: %s", path, action, strerror(errno_value));
    return lk_fail_io(action, path, errno_value, 0);
}

bool lk_try_again(int *tries, int errno_value)
{
    static const int passing[] = {EIO, ESTALE, ETIMEDOUT, EAGAIN, EMFILE, ENFILE};
    static const long pause_ms[] = {10, 90, 400};
    if (errno_value == EINTR)
        return true;
    bool passes = false;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        passes = passes || errno_value == passing[i];
    if (!passes || *tries == sizeof pause_ms / sizeof *pause_ms)
        return false;
    struct timespec pause = {.tv_nsec = pause_ms[(*tries)++] * 1000000};
    nanosleep(&pause, NULL);
    errno = errno_value;
    return true;
}

/* ---- looking ---- */

lk_status lk_path_look(const char *path, lk_path_kind *kind)
{
    struct stat info;
    int tries = 0;
    *kind = LK_ABSENT;
    while (stat(path, &info) != 0) {
        if (lk_means_absent(errno))
            return LK_OK;
        if (!lk_try_again(&tries, errno))
            return lk_fail_io("look at it", path, errno, 0);
    }
    *kind = S_ISREG(info.st_mode) ? LK_FILE : S_ISDIR(info.st_mode) ? LK_FOLDER : LK_SPECIAL;
    return LK_OK;
}

lk_status lk_path_same(const char *a, const char *b, bool *same)
{
    const char *const paths[2] = {a, b};
    struct stat info[2];
    *same = false;
    for (int i = 0; i < 2; i++)
        for (int tries = 0; stat(paths[i], &info[i]) != 0;) {
            if (lk_means_absent(errno))
                return LK_OK;
            if (!lk_try_again(&tries, errno))
                return lk_fail_io("look at it", paths[i], errno, 0);
        }
    *same = info[0].st_dev == info[1].st_dev && info[0].st_ino == info[1].st_ino;
    return LK_OK;
}

/* out[PATH_MAX]; "" where the path is absent. */
static lk_status resolve(const char *path, char *out)
{
    int tries = 0;
    out[0] = '\0';
    while (!realpath(path, out)) {
        out[0] = '\0';
        if (lk_means_absent(errno))
            return LK_OK;
        if (!lk_try_again(&tries, errno))
            return lk_fail_io("look at it", path, errno, 0);
    }
    return LK_OK;
}

lk_status lk_path_within(char *out, const char *folder, const char *path)
{
    char from[PATH_MAX], to[PATH_MAX], parent[LK_PATH_SIZE];
    const char *slash = strrchr(path, '/'), *name = "";
    out[0] = '\0';
    LK_TRY(resolve(folder, from));
    LK_TRY(resolve(path, to));
    if (!to[0]) {
        name = slash ? slash + 1 : path;
        snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash + 1 - path) : 1, slash ? path : ".");
        LK_TRY(resolve(parent, to));
    }
    size_t length = strcmp(from, "/") == 0 ? 0 : strlen(from);
    if (!from[0] || strncmp(to, from, length) != 0 || (to[length] != '/' && to[length] != '\0'))
        return LK_OK;
    const char *rest = to + length + (to[length] == '/');
    if (snprintf(out, LK_PATH_SIZE, "%s%s%s", rest, *rest && *name ? "/" : "", name) >= LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%.80s...: the path is longer than %d bytes", path, LK_PATH_SIZE - 1);
    return LK_OK;
}

lk_status lk_open_file(const char *path, int *fd, int64_t *size)
{
    struct stat info;
    int tries = 0;
    do
        *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe must not block here */
    while (*fd < 0 && lk_try_again(&tries, errno));
    if (*fd < 0)
        return lk_fail_look("open", path, errno);
    lk_status status = LK_OK;
    if (fstat(*fd, &info) != 0)
        status = lk_fail_io("look at it", path, errno, 0);
    else if (!S_ISREG(info.st_mode))
        status = lk_fail(LK_BAD_DATA, "%s: is not a regular file", path);
    if (status != LK_OK) {
        close(*fd);
        *fd = -1;
    } else if (size) {
        *size = (int64_t)info.st_size;
    }
    return status;
}

lk_status lk_open_stream(const char *path, FILE **stream)
{
    int fd;
    *stream = NULL;
    LK_TRY(lk_open_file(path, &fd, NULL));
    *stream = fdopen(fd, "rb");
    if (*stream)
        return LK_OK;
    close(fd);
    return lk_fail(LK_INTERNAL, "%s: out of memory", path);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool ends_in(const char *name, const char *suffix)
{
    size_t length = strlen(name), tail = strlen(suffix);
    return length >= tail && strcmp(name + length - tail, suffix) == 0;
}

static bool add_name(lk_names *names, size_t *room, const char *name)
{
    if (names->count == *room) {
        *room = *room ? 2 * *room : 16;
        char **grown = realloc(names->names, *room * sizeof *grown);
        if (!grown)
            return false;
        names->names = grown;
    }
    names->names[names->count] = strdup(name);
    return names->names[names->count++] != NULL;
}

/* One pass over the folder. *reason is errno where it cannot be read to its end, which is not the end that an empty folder
 * has. */
static lk_status read_folder(const char *folder, const char *suffix, lk_names *out, int *reason)
{
    DIR *stream = opendir(folder);
    *reason = errno;
    if (!stream)
        return lk_fail_look("list the folder", folder, *reason);
    size_t room = 0;
    lk_status status = LK_OK;
    while (status == LK_OK) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        *reason = errno;
        if (!entry)
            break;
        if (entry->d_name[0] != '.' && ends_in(entry->d_name, suffix) && !add_name(out, &room, entry->d_name))
            status = lk_fail(LK_INTERNAL, "out of memory listing %s", folder);
    }
    closedir(stream);
    if (status == LK_OK && *reason != 0)
        status = lk_fail_io("list the folder", folder, *reason, 0);
    if (status != LK_OK)
        lk_names_free(out);
    return status;
}

lk_status lk_list_folder(const char *folder, const char *suffix, lk_names *out)
{
    lk_status status;
    int tries = 0, reason = 0;
    *out = (lk_names){0};
    do
        status = read_folder(folder, suffix, out, &reason);
    while (status == LK_IO && lk_try_again(&tries, reason));
    if (status == LK_OK && out->count > 0)
        qsort(out->names, out->count, sizeof *out->names, compare_names);
    return status;
}

void lk_names_free(lk_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (lk_names){0};
}

lk_status lk_read_at(int fd, const char *path, void *out, size_t size, int64_t offset, size_t *got)
{
    int tries = 0;
    *got = 0;
    while (*got < size) {
        ssize_t n = pread(fd, (char *)out + *got, size - *got, (off_t)offset + (off_t)*got);
        if (n < 0 && lk_try_again(&tries, errno))
            continue;
        if (n < 0)
            return lk_fail_io("read", path, errno, 0);
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return LK_OK;
}

lk_status lk_read_file(const char *path, size_t limit, char **data, size_t *size)
{
    int fd;
    int64_t want;
    *data = NULL;
    *size = 0;
    LK_TRY(lk_open_file(path, &fd, &want));
    lk_status status = LK_OK;
    char *buffer = NULL;
    if ((uint64_t)want > limit)
        status = lk_fail(LK_BAD_DATA, "%s: has %lld bytes, more than the %zu allowed here", path, (long long)want, limit);
    else if (!(buffer = malloc((size_t)want + 1)))
        status = lk_fail(LK_INTERNAL, "%s: out of memory for %lld bytes", path, (long long)want);
    else
        status = lk_read_at(fd, path, buffer, (size_t)want, 0, size); /* shrunk meanwhile: what is there counts */
    close(fd);
    if (status != LK_OK) {
        free(buffer);
        *size = 0;
        return status;
    }
    buffer[*size] = '\0';
    *data = buffer;
    return LK_OK;
}

bool lk_is_lfs_pointer(const void *data, size_t size)
{
    static const char begin[] = "version https://git-lfs.github.com/";
    return size >= sizeof begin - 1 && memcmp(data, begin, sizeof begin - 1) == 0;
}

lk_status lk_fail_lfs_pointer(lk_status status, const char *path)
{
    return lk_fail(status, "%s: is a Git LFS pointer, not the file that it stands for; 'git lfs pull' fetches that", path);
}

/* ---- folders ---- */

lk_status lk_make_folder(const char *path)
{
    char partial[LK_PATH_SIZE];
    int used = snprintf(partial, sizeof partial, "%s", path);
    if (used < 0 || used >= LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%.80s...: the path is longer than %d bytes", path, LK_PATH_SIZE - 1);
    for (char *c = partial + 1;; c++) {
        char kept = *c;
        if (kept != '/' && kept != '\0')
            continue;
        *c = '\0';
        if (mkdir(partial, 0777) != 0 && errno != EEXIST)
            return lk_fail_io("make the folder", partial, errno, 0);
        if (kept == '\0')
            break;
        *c = kept;
    }
    lk_path_kind kind;
    LK_TRY(lk_path_look(path, &kind));
    return kind == LK_FOLDER ? LK_OK : lk_fail(LK_IO, "%s: exists and is not a folder", path);
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path) == 0 || lk_means_absent(errno) ? 0 : -1;
}

lk_status lk_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && !lk_means_absent(errno))
        return lk_fail_io("remove", path, errno, 0);
    return LK_OK;
}

lk_status lk_remove_file(const char *path)
{
    if (unlink(path) != 0 && !lk_means_absent(errno))
        return lk_fail_io("remove", path, errno, 0);
    return LK_OK;
}

lk_status lk_set_aside(const char *path)
{
    char aside[LK_PATH_SIZE];
    struct stat info;
    for (int n = 1;; n++) {
        if (snprintf(aside, sizeof aside, "%s.aside-%d", path, n) >= (int)sizeof aside)
            return lk_fail(LK_USAGE, "%.80s...: the path is too long", path);
        int tries = 0, missing;
        do
            missing = lstat(aside, &info);
        while (missing && lk_try_again(&tries, errno));
        if (missing && !lk_means_absent(errno))
            return lk_fail_io("look at it", aside, errno, 0);
        if (missing)
            break;
    }
    return rename(path, aside) == 0 ? LK_OK : lk_fail_io("set aside", path, errno, 0);
}
