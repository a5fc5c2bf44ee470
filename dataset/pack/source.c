#include "dataset/pack/source.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

struct lk_source {
    const lk_source_kind *kind; /* NULL: a single table file, which `fd` holds */
    void *self;
    const lk_limits *limits;
    char *path;
    int fd;
    bool started;
    int64_t entries, bytes;
};

static bool ends_in(const char *path, const char *tail)
{
    size_t length = strlen(path), want = strlen(tail);
    return length > want && strcasecmp(path + length - want, tail) == 0;
}

static lk_status open_kind(lk_source *source, int fd)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        close(fd);
        return lk_fail_io("examine", source->path, errno, 0);
    }
    if (S_ISDIR(info.st_mode)) {
        source->kind = &lk_folder_kind;
        return lk_folder_open(fd, source->path, source->limits, &source->self);
    }
    if (S_ISREG(info.st_mode) && (ends_in(source->path, ".jsonl") || ends_in(source->path, ".csv"))) {
        source->fd = fd;
        return LK_OK;
    }
    source->kind = &lk_archive_kind;
    return lk_archive_open(fd, source->path, source->limits, &source->self);
}

bool lk_source_is_stream(const char *path)
{
    struct stat info;
    return strcmp(path, "-") == 0 ||
           (stat(path, &info) == 0 && (S_ISFIFO(info.st_mode) || S_ISSOCK(info.st_mode) || S_ISCHR(info.st_mode)));
}

lk_status lk_source_open(const char *path, const lk_limits *limits, lk_source **out)
{
    *out = NULL;
    bool standard = strcmp(path, "-") == 0;
    int fd, tries = 0;
    do
        fd = standard ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC);
    while (fd < 0 && lk_try_again(&tries, errno));
    if (fd < 0)
        return lk_fail_look("open", path, errno);
    lk_source *source = calloc(1, sizeof *source);
    char *kept = strdup(standard ? "standard input" : path);
    if (!source || !kept) {
        close(fd);
        free(source);
        free(kept);
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    }
    *source = (lk_source){.limits = limits, .path = kept, .fd = -1};
    lk_status status = open_kind(source, fd);
    if (status != LK_OK) {
        lk_source_close(source);
        return status;
    }
    *out = source;
    return LK_OK;
}

void lk_source_close(lk_source *source)
{
    if (!source)
        return;
    if (source->self)
        source->kind->close(source->self);
    if (source->fd >= 0)
        close(source->fd);
    free(source->path);
    free(source);
}

double lk_source_share_read(const lk_source *source)
{
    return source->kind ? source->kind->share_read(source->self) : 0;
}

/* A table given by itself is the one entry of its source, under the name that says what it is. */
static lk_status next_table(lk_source *source, lk_entry *entry)
{
    *entry = (lk_entry){0};
    if (!source->started)
        entry->name = ends_in(source->path, ".csv") ? "params.csv" : "params.jsonl";
    source->started = true;
    return LK_OK;
}

lk_status lk_source_next(lk_source *source, lk_entry *entry)
{
    LK_TRY(source->kind ? source->kind->next(source->self, entry) : next_table(source, entry));
    if (entry->name && ++source->entries > source->limits->entries)
        return lk_fail(LK_BAD_DATA, "%s: has more than %lld entries; raise --max-entries if that is right", source->path,
                       (long long)source->limits->entries);
    return LK_OK;
}

static lk_status read_piece(lk_source *source, void *buffer, size_t size, size_t *got, const char **refused)
{
    *got = 0;
    *refused = NULL;
    if (source->kind) {
        LK_TRY(source->kind->read(source->self, buffer, size, got, refused));
    } else {
        ssize_t n;
        int tries = 0;
        do
            n = read(source->fd, buffer, size);
        while (n < 0 && lk_try_again(&tries, errno));
        if (n < 0)
            return lk_fail_io("read", source->path, errno, 0);
        *got = (size_t)n;
    }
    source->bytes += (int64_t)*got;
    if (source->bytes > source->limits->total_bytes)
        return lk_fail(LK_BAD_DATA, "%s: unpacks to more than %lld bytes; raise --max-total if that is right", source->path,
                       (long long)source->limits->total_bytes);
    return LK_OK;
}

lk_status lk_source_read(lk_source *source, int64_t most, uint8_t **data, size_t *size, const char **refused)
{
    int64_t allowed = source->limits->entry_bytes;
    size_t room = 64 << 10, have = 0, limit = (size_t)(most < allowed ? most : allowed);
    *data = NULL;
    *size = 0;
    *refused = NULL;
    uint8_t *buffer = malloc(room);
    if (!buffer)
        return lk_fail(LK_INTERNAL, "%s: out of memory for an entry", source->path);
    lk_status status = LK_OK;
    for (size_t got = 1; status == LK_OK && got > 0 && !*refused;) {
        /* Grown by what came, not by what the header claims. One byte more than the limit shows that it is passed. */
        if (have == room) {
            room = 2 * room;
            uint8_t *grown = realloc(buffer, room);
            if (!grown) {
                status = lk_fail(LK_INTERNAL, "%s: out of memory for an entry of more than %zu bytes", source->path, have);
                break;
            }
            buffer = grown;
        }
        status = read_piece(source, buffer + have, room - have, &got, refused);
        have += got;
        if (status == LK_OK && have > limit) {
            lk_fail(LK_BAD_DATA, "more than %zu bytes%s", limit, most < allowed ? "" : "; raise --max-entry if that is right");
            *refused = "too large";
        }
    }
    if (status != LK_OK || *refused) {
        free(buffer);
        return status;
    }
    *data = buffer;
    *size = have;
    return LK_OK;
}

lk_status lk_source_read_some(lk_source *source, void *buffer, size_t size, size_t *got)
{
    const char *refused;
    LK_TRY(read_piece(source, buffer, size, got, &refused));
    if (refused)
        return lk_fail_in(LK_BAD_DATA, "%s: %s", source->path, refused);
    return LK_OK;
}
