/* A folder as a source (source.h): its files at any depth, in the byte order of their paths. */
#include "dataset/pack/source.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_ROOM = 4096, MAX_DEPTH = 64 };

/* One open folder on the way down. Names of folders end in a slash, which puts a/x behind a.jpg as a sort of whole paths does. */
typedef struct level {
    int fd;
    char **names;
    size_t count, next;
    size_t prefix; /* length of the path so far */
} level;

typedef struct folder_source {
    const char *path;
    const lk_limits *limits;
    level levels[MAX_DEPTH];
    int depth; /* open levels */
    int file;  /* current entry, -1 if none */
    char name[PATH_ROOM];
} folder_source;

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void close_level(level *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->names[i]);
    free(l->names);
    close(l->fd);
}

static void folder_close(void *self)
{
    folder_source *f = self;
    while (f->depth > 0)
        close_level(&f->levels[--f->depth]);
    if (f->file >= 0)
        close(f->file);
    free(f);
}

static lk_status add_name(folder_source *f, level *l, size_t *room, const char *name)
{
    struct stat info;
    int tries = 0;
    while (fstatat(l->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (lk_means_absent(errno)) /* removed meanwhile */
            return LK_OK;
        if (!lk_try_again(&tries, errno))
            return lk_fail_io("examine a file in", f->path, errno, 0);
    }
    if (l->count == *room) {
        *room = *room ? 2 * *room : 64;
        char **grown = realloc(l->names, *room * sizeof *grown);
        if (!grown)
            return lk_fail(LK_INTERNAL, "%s: out of memory listing it", f->path);
        l->names = grown;
    }
    size_t length = strlen(name);
    char *kept = malloc(length + 2);
    if (!kept)
        return lk_fail(LK_INTERNAL, "%s: out of memory listing it", f->path);
    memcpy(kept, name, length + 1);
    if (S_ISDIR(info.st_mode))
        strcpy(kept + length, "/");
    l->names[l->count++] = kept;
    return LK_OK;
}

/* Takes fd over, also on failure. */
static lk_status open_level(folder_source *f, int fd, size_t prefix)
{
    int most = f->limits->depth < MAX_DEPTH - 1 ? f->limits->depth : MAX_DEPTH - 1;
    if (f->depth > most) {
        close(fd);
        return lk_fail(LK_BAD_DATA, "%s: has folders within folders deeper than %d", f->path, most);
    }
    level *l = &f->levels[f->depth];
    *l = (level){.fd = fd, .prefix = prefix};
    f->depth++;
    int listed = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    DIR *stream = listed < 0 ? NULL : fdopendir(listed);
    if (!stream) {
        if (listed >= 0)
            close(listed);
        return lk_fail_io("list", f->path, errno, 0);
    }
    lk_status status = LK_OK;
    size_t room = 0;
    while (status == LK_OK) {
        errno = 0;
        struct dirent *entry = readdir(stream);
        if (!entry && errno != 0) /* not the end of the folder */
            status = lk_fail_io("list", f->path, errno, 0);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            status = add_name(f, l, &room, entry->d_name);
    }
    closedir(stream);
    if (l->count > 0)
        qsort(l->names, l->count, sizeof *l->names, compare);
    return status;
}

lk_status lk_folder_open(int fd, const char *path, const lk_limits *limits, void **out)
{
    *out = NULL;
    folder_source *f = calloc(1, sizeof *f);
    if (!f) {
        close(fd);
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    }
    f->path = path;
    f->limits = limits;
    f->file = -1;
    lk_status status = open_level(f, fd, 0);
    if (status != LK_OK) {
        folder_close(f);
        return status;
    }
    *out = f;
    return LK_OK;
}

/* A call about the current entry failed: its whole path says which of several folders it is in. */
static lk_status fail_at(const folder_source *f, const char *action)
{
    char path[2 * PATH_ROOM];
    int reason = errno;
    snprintf(path, sizeof path, "%s/%s", f->path, f->name);
    return lk_fail_io(action, path, reason, 0);
}

/* Opens the file or tells why not. Nothing is followed and nothing blocks: what is no regular file is not opened at all. */
static lk_status open_file(folder_source *f, const level *l, const char *name, const char **refused)
{
    struct stat info;
    int looks = 0;
    while (fstatat(l->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0)
        if (!lk_try_again(&looks, errno))
            return fail_at(f, "examine");
    *refused = S_ISLNK(info.st_mode) ? "link" : S_ISREG(info.st_mode) ? NULL : "not a regular file";
    if (*refused)
        return LK_OK;
    int tries = 0;
    do
        f->file = openat(l->fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    while (f->file < 0 && lk_try_again(&tries, errno));
    if (f->file >= 0)
        return LK_OK;
    if (errno != ELOOP)
        return fail_at(f, "open");
    *refused = "link";
    return LK_OK;
}

static lk_status folder_next(void *self, lk_entry *out)
{
    folder_source *f = self;
    if (f->file >= 0)
        close(f->file);
    f->file = -1;
    *out = (lk_entry){0};
    while (f->depth > 0) {
        level *l = &f->levels[f->depth - 1];
        if (l->next == l->count) {
            close_level(l);
            f->depth--;
            continue;
        }
        const char *name = l->names[l->next++];
        size_t length = strlen(name);
        if (l->prefix + length >= PATH_ROOM)
            return lk_fail(LK_BAD_DATA, "%s: has a path of more than %d bytes", f->path, PATH_ROOM - 1);
        memcpy(f->name + l->prefix, name, length + 1);
        if (name[length - 1] != '/') {
            out->name = f->name;
            return open_file(f, l, name, &out->refused);
        }
        int fd, tries = 0;
        do
            fd = openat(l->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        while (fd < 0 && lk_try_again(&tries, errno));
        if (fd < 0)
            return fail_at(f, "open the folder");
        LK_TRY(open_level(f, fd, l->prefix + length));
    }
    return LK_OK;
}

static lk_status folder_read(void *self, void *buffer, size_t size, size_t *got, const char **refused)
{
    folder_source *f = self;
    (void)refused;
    ssize_t n;
    int tries = 0;
    do
        n = read(f->file, buffer, size);
    while (n < 0 && lk_try_again(&tries, errno));
    if (n < 0)
        return fail_at(f, "read");
    *got = (size_t)n;
    return LK_OK;
}

/* Each level's names count alike. */
static double folder_share_read(const void *self)
{
    const folder_source *f = self;
    double share = 0, weight = 1;
    for (int i = 0; i < f->depth; i++) {
        const level *l = &f->levels[i];
        weight /= l->count > 0 ? (double)l->count : 1.0;
        bool inside = i + 1 < f->depth; /* its current name is the next level, not done */
        share += weight * (double)(inside ? l->next - 1 : l->next);
    }
    return share;
}

const lk_source_kind lk_folder_kind = {folder_next, folder_read, folder_share_read, folder_close};
