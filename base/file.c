#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
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
    if (!lk_is_folder(path))
        return lk_fail(LK_IO, "%s: exists and is not a folder", path);
    return LK_OK;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
    (void)info, (void)kind, (void)walk;
    return remove(path);
}

lk_status lk_remove_tree(const char *path)
{
    if (nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0 && errno != ENOENT)
        return lk_fail_io("remove", path, errno, 0);
    return LK_OK;
}

bool lk_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

bool lk_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

lk_status lk_list_folder(const char *folder, const char *suffix, lk_names *out)
{
    *out = (lk_names){0};
    DIR *stream = opendir(folder);
    if (!stream)
        return lk_fail(LK_BAD_DATA, "%s: cannot list the folder: %s", folder, strerror(errno));
    size_t room = 0;
    lk_status status = LK_OK;
    for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
        size_t length = strlen(entry->d_name);
        size_t tail = strlen(suffix);
        if (entry->d_name[0] == '.' || length < tail || strcmp(entry->d_name + length - tail, suffix) != 0)
            continue;
        if (out->count == room) {
            room = room ? 2 * room : 16;
            char **grown = realloc(out->names, room * sizeof *grown);
            if (!grown) {
                status = lk_fail(LK_INTERNAL, "out of memory listing %s", folder);
                break;
            }
            out->names = grown;
        }
        char *name = strdup(entry->d_name);
        if (!name) {
            status = lk_fail(LK_INTERNAL, "out of memory listing %s", folder);
            break;
        }
        out->names[out->count++] = name;
    }
    closedir(stream);
    if (status != LK_OK)
        lk_names_free(out);
    else if (out->count > 0)
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

lk_status lk_read_file(const char *path, size_t limit, char **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return lk_fail(LK_BAD_DATA, "%s: cannot open: %s", path, strerror(errno));
    lk_status status = LK_OK;
    struct stat info;
    char *buffer = NULL;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        status = lk_fail(LK_BAD_DATA, "%s: is not a regular file", path);
        goto done;
    }
    if ((uint64_t)info.st_size > limit) {
        status = lk_fail(LK_BAD_DATA, "%s: has %lld bytes, more than the %zu allowed here", path, (long long)info.st_size, limit);
        goto done;
    }
    size_t want = (size_t)info.st_size;
    buffer = malloc(want + 1);
    if (!buffer) {
        status = lk_fail(LK_INTERNAL, "%s: out of memory for %zu bytes", path, want);
        goto done;
    }
    size_t have = 0;
    while (have < want) {
        ssize_t got = read(fd, buffer + have, want - have);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = lk_fail_io("read", path, errno, 0);
            goto done;
        }
        if (got == 0)
            break; /* shrunk meanwhile: what is there counts */
        have += (size_t)got;
    }
    buffer[have] = '\0';
    *data = buffer;
    *size = have;
    buffer = NULL;
done:
    free(buffer);
    close(fd);
    return status;
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

lk_status lk_atomic_open(lk_atomic_file *file, const char *path)
{
    int used = snprintf(file->path, sizeof file->path, "%s", path);
    if (used < 0 || used >= (int)sizeof file->path)
        return lk_fail(LK_USAGE, "%.80s...: the path is longer than %d bytes", path, LK_PATH_SIZE - 1);
    snprintf(file->temporary, sizeof file->temporary, "%s.tmp-%ld", path, (long)getpid());
    file->stream = fopen(file->temporary, "wbe");
    if (!file->stream)
        return lk_fail_io("create", file->temporary, errno, 0);
    return LK_OK;
}

lk_status lk_atomic_commit(lk_atomic_file *file)
{
    errno = 0;
    bool good = fflush(file->stream) == 0 && !ferror(file->stream) && fsync(fileno(file->stream)) == 0;
    int reason = errno ? errno : EIO;
    int64_t wanted = (int64_t)ftello(file->stream);
    if (fclose(file->stream) != 0 && good) {
        good = false;
        reason = errno;
    }
    file->stream = NULL;
    if (good && rename(file->temporary, file->path) == 0) {
        char folder[LK_PATH_SIZE];
        parent_of(folder, file->path);
        return lk_sync_folder(folder);
    }
    if (good)
        reason = errno;
    lk_status status = lk_fail_io("write", file->path, reason, wanted);
    unlink(file->temporary);
    return status;
}

void lk_atomic_abort(lk_atomic_file *file)
{
    if (file->stream)
        fclose(file->stream);
    file->stream = NULL;
    unlink(file->temporary);
}

lk_status lk_write_file(const char *path, const void *data, size_t size)
{
    lk_atomic_file file;
    LK_TRY(lk_atomic_open(&file, path));
    fwrite(data, 1, size, file.stream);
    return lk_atomic_commit(&file);
}

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
