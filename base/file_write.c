/* Writing files; declared in file.h. */
#include "base/file.h"
#include "base/leftover.h"
#include "base/log.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

static void parent_of(char *out, const char *path)
{
    snprintf(out, LK_PATH_SIZE, "%s", path);
    char *slash = strrchr(out, '/');
    if (!slash)
        strcpy(out, ".");
    else if (slash == out)
        out[1] = '\0';
    else
        *slash = '\0';
}

lk_status lk_fail_io(const char *action, const char *path, int errno_value, int64_t wanted)
{
    if (errno_value != ENOSPC && errno_value != EDQUOT)
        return lk_fail(LK_IO, "%s: cannot %s: %s", path, action, strerror(errno_value));
    char folder[LK_PATH_SIZE];
    parent_of(folder, path);
    struct statvfs disk;
    int64_t room = statvfs(folder, &disk) == 0 ? (int64_t)disk.f_bavail * (int64_t)disk.f_frsize : 0;
    if (wanted > room)
        return lk_fail(LK_IO, "%s: cannot %s: the disk is full, %lld bytes are missing; free space and run again", path, action,
                       (long long)(wanted - room));
    return lk_fail(LK_IO, "%s: cannot %s: the disk is full (%lld bytes free); free space and run again", path, action,
                   (long long)room);
}

/* ---- temporary names ---- */

enum { HOST_SIZE = 33, STEM_LIMIT = 160, STALE_SECONDS = 3600 };

static const char mark[] = ".tmp-";

static void get_host(char host[HOST_SIZE])
{
    char full[256] = "";
    gethostname(full, sizeof full - 1);
    snprintf(host, HOST_SIZE, "%s", full);
    for (char *c = host; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '.')
            *c = '_';
}

lk_status lk_temporary_name(const char *path, char out[LK_PATH_SIZE])
{
    char host[HOST_SIZE];
    uint32_t bits = 0;
    const char *slash = strrchr(path, '/');
    size_t stem = slash ? (size_t)(slash + 1 - path) : 0, length = strlen(path);
    if (getrandom(&bits, sizeof bits, 0) != sizeof bits)
        return lk_fail(LK_INTERNAL, "no random numbers for a temporary name: %s", strerror(errno));
    if (length > stem + STEM_LIMIT) {
        length = stem + STEM_LIMIT;
        while (length > stem && ((unsigned char)path[length] & 0xc0) == 0x80) /* not within a character */
            length--;
    }
    get_host(host);
    if (snprintf(out, LK_PATH_SIZE, "%.*s%s%s-%ld-%08x", (int)length, path, mark, host, (long)getpid(), (unsigned)bits) >=
        LK_PATH_SIZE)
        return lk_fail(LK_USAGE, "%.80s...: the path is too long", path);
    return LK_OK;
}

lk_status lk_temporary_create(const char *path, int access, char out[LK_PATH_SIZE], int *fd, int *leftover)
{
    for (;;) {
        LK_TRY(lk_temporary_name(path, out));
        *leftover = lk_leftover_path(out);
        *fd = open(out, access | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (*fd >= 0)
            return LK_OK;
        int reason = errno;
        lk_leftover_forget(*leftover);
        if (reason != EEXIST)
            return lk_fail_io("create", out, reason, 0);
    }
}

/* ".tmp" alone at the end, or without a host, is how older versions called them. */
static bool is_temporary(const char *name)
{
    size_t length = strlen(name);
    return strstr(name, mark) || (length > 4 && strcmp(name + length - 4, ".tmp") == 0);
}

/* Of a process of this host that is no more, and not touched for an hour: a process of another container may have the same
 * host and be invisible here. */
static bool is_stale(const char *path, const char *name)
{
    char host[HOST_SIZE], theirs[HOST_SIZE] = "";
    long process = 0;
    unsigned bits;
    struct stat info;
    get_host(host);
    const char *tail = strstr(name, mark);
    return tail && sscanf(tail + sizeof mark - 1, "%32[^-]-%ld-%8x", theirs, &process, &bits) == 3 && strcmp(host, theirs) == 0 &&
           process > 0 && kill((pid_t)process, 0) != 0 && errno == ESRCH && lstat(path, &info) == 0 &&
           difftime(time(NULL), info.st_mtime) > STALE_SECONDS;
}

static bool begins_with_any(const char *name, const char *const *prefixes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

lk_status lk_sweep_temporaries(const char *folder, const char *const *prefixes, size_t count, bool owned)
{
    lk_names names;
    LK_TRY(lk_list_folder(folder, "", &names));
    for (size_t i = 0; i < names.count; i++) {
        char path[LK_PATH_SIZE];
        const char *name = names.names[i];
        if (!is_temporary(name) || !begins_with_any(name, prefixes, count) || lk_path_join(path, folder, name) != LK_OK)
            continue;
        if ((owned || is_stale(path, name)) && lk_remove_tree(path) != LK_OK)
            lk_warn("a leftover of an earlier job stays: %s", lk_error_text());
    }
    lk_names_free(&names);
    return LK_OK;
}

/* ---- files that appear when they are complete ---- */

lk_status lk_sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return lk_fail_io("open the folder", path, errno, 0);
    int failed = fsync(fd);
    int reason = errno;
    close(fd);
    /* Some network file systems cannot fsync a folder; the rename itself is then as durable as they make it. */
    if (failed && reason != EINVAL && reason != ENOTSUP)
        return lk_fail_io("sync the folder", path, reason, 0);
    return LK_OK;
}

static void remove_temporary(const lk_atomic_file *file)
{
    unlink(file->temporary);
    lk_leftover_forget(file->leftover);
}

lk_status lk_atomic_open(lk_atomic_file *file, const char *path)
{
    int fd;
    int used = snprintf(file->path, sizeof file->path, "%s", path);
    if (used < 0 || used >= (int)sizeof file->path)
        return lk_fail(LK_USAGE, "%.80s...: the path is longer than %d bytes", path, LK_PATH_SIZE - 1);
    LK_TRY(lk_temporary_create(path, O_WRONLY, file->temporary, &fd, &file->leftover));
    file->stream = fdopen(fd, "wb");
    if (file->stream)
        return LK_OK;
    close(fd);
    remove_temporary(file);
    return lk_fail(LK_INTERNAL, "%s: out of memory", path);
}

/* Why a write to the stream failed before: nobody kept that, so the file, which goes anyway, is asked again. */
static int reason_again(FILE *stream)
{
    errno = 0;
    return write(fileno(stream), "", 1) < 0 && errno ? errno : EIO;
}

lk_status lk_atomic_commit(lk_atomic_file *file)
{
    errno = 0;
    bool failed_before = ferror(file->stream) != 0;
    bool good = fflush(file->stream) == 0 && !failed_before && fsync(fileno(file->stream)) == 0;
    int reason = errno ? errno : failed_before ? reason_again(file->stream) : EIO;
    int64_t wanted = (int64_t)ftello(file->stream);
    if (fclose(file->stream) != 0 && good) {
        good = false;
        reason = errno;
    }
    file->stream = NULL;
    if (good && rename(file->temporary, file->path) == 0) {
        char folder[LK_PATH_SIZE];
        lk_leftover_forget(file->leftover);
        parent_of(folder, file->path);
        return lk_sync_folder(folder);
    }
    if (good)
        reason = errno;
    lk_status status = lk_fail_io("write", file->path, reason, wanted);
    remove_temporary(file);
    return status;
}

void lk_atomic_abort(lk_atomic_file *file)
{
    if (file->stream)
        fclose(file->stream);
    file->stream = NULL;
    remove_temporary(file);
}

lk_status lk_write_file(const char *path, const void *data, size_t size)
{
    lk_atomic_file file;
    LK_TRY(lk_atomic_open(&file, path));
    fwrite(data, 1, size, file.stream);
    return lk_atomic_commit(&file);
}

/* ---- appending ---- */

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t wrote = write(fd, data, size);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return false;
        data += wrote;
        size -= (size_t)wrote;
    }
    return true;
}

lk_status lk_append(int fd, const char *path, const void *data, size_t size)
{
    off_t before = lseek(fd, 0, SEEK_END);
    if (before >= 0 && write_all(fd, data, size))
        return LK_OK;
    int reason = errno;
    if (before >= 0 && ftruncate(fd, before) != 0)
        return lk_fail(LK_IO, "%s: cannot write (%s), and what was written of it stays: %s", path, strerror(reason),
                       strerror(errno));
    return lk_fail_io("write", path, reason, (int64_t)size);
}

lk_status lk_append_or_keep(int fd, const char *path, lk_backlog *backlog, const void *data, size_t size)
{
    if (backlog->size == 0 && (size == 0 || lk_append(fd, path, data, size) == LK_OK))
        return LK_OK;
    if (size > 0) {
        char *grown = realloc(backlog->data, backlog->size + size);
        if (!grown)
            return lk_fail(LK_INTERNAL, "%s: out of memory for what cannot be written", path);
        memcpy(grown + backlog->size, data, size);
        backlog->data = grown;
        backlog->size += size;
    }
    LK_TRY(lk_append(fd, path, backlog->data, backlog->size));
    lk_backlog_free(backlog);
    return LK_OK;
}

void lk_backlog_free(lk_backlog *backlog)
{
    free(backlog->data);
    *backlog = (lk_backlog){0};
}
