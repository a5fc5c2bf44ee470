/* Archives through libarchive. gzip goes through zlib instead, which checks its CRC; libarchive 3.6 does not. */
#include "dataset/pack/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 256 << 10 };

typedef struct archive_source {
    struct archive *reader;
    const char *path;
    const lk_limits *limits;
    gzFile gzip;   /* what libarchive reads from; plain bytes pass it unchanged */
    int fd;        /* or this, for files that need seeking (zip, 7z) */
    locale_t utf8; /* entry names are converted to this, whatever the user's locale */
    off_t size;    /* of the file, 0 if unknown */
    uint8_t *block;
    char *name; /* of the current entry */
} archive_source;

static la_ssize_t read_gzip(struct archive *reader, void *self, const void **block)
{
    archive_source *a = self;
    *block = a->block;
    int got = gzread(a->gzip, a->block, BLOCK);
    int error = Z_OK;
    const char *reason = gzerror(a->gzip, &error);
    /* A stream that ends early gives what it has and then this error, not a negative count. */
    if (got < 0 || (got == 0 && error != Z_OK && error != Z_STREAM_END)) {
        archive_set_error(reader, EIO, "gzip: %s", error == Z_BUF_ERROR ? "the file ends early" : reason);
        return -1;
    }
    return got;
}

static lk_status fail(const archive_source *a, const char *doing)
{
    const char *reason = archive_error_string(a->reader);
    int error = archive_errno(a->reader);
    if (error == ENOMEM)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading the archive", a->path);
    return lk_fail(LK_BAD_DATA, "%s: cannot %s: %s; the archive is damaged or cut short, or no tar, zip or 7z", a->path, doing,
                   reason ? reason : "no reason given");
}

static lk_status start(archive_source *a)
{
    uint8_t head[2] = {0};
    struct stat info;
    bool regular = fstat(a->fd, &info) == 0 && S_ISREG(info.st_mode);
    a->size = regular ? info.st_size : 0;
    bool gzipped = regular && pread(a->fd, head, 2, 0) == 2 && head[0] == 0x1f && head[1] == 0x8b;
    struct archive *r = a->reader;
    archive_read_support_filter_zstd(r);
    archive_read_support_filter_xz(r);
    archive_read_support_filter_bzip2(r);
    archive_read_support_format_tar(r);
    archive_read_support_format_zip(r);
    archive_read_support_format_7zip(r);
    if (regular && !gzipped)
        return archive_read_open_fd(r, a->fd, BLOCK) == ARCHIVE_OK ? LK_OK : fail(a, "open");
    a->block = malloc(BLOCK);
    a->gzip = gzdopen(a->fd, "rb");
    if (!a->block || !a->gzip)
        return lk_fail(LK_INTERNAL, "%s: out of memory", a->path);
    a->fd = -1; /* gzclose closes it */
    gzbuffer(a->gzip, BLOCK);
    return archive_read_open(r, a, NULL, read_gzip, NULL) == ARCHIVE_OK ? LK_OK : fail(a, "open");
}

static void archive_close(void *self)
{
    archive_source *a = self;
    archive_read_free(a->reader);
    if (a->gzip)
        gzclose(a->gzip);
    if (a->fd >= 0)
        close(a->fd);
    if (a->utf8)
        freelocale(a->utf8);
    free(a->block);
    free(a->name);
    free(a);
}

lk_status lk_archive_open(int fd, const char *path, const lk_limits *limits, void **out)
{
    *out = NULL;
    archive_source *a = calloc(1, sizeof *a);
    struct archive *reader = archive_read_new();
    if (!a || !reader) {
        archive_read_free(reader);
        free(a);
        close(fd);
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    }
    *a = (archive_source){.reader = reader, .path = path, .limits = limits, .fd = fd};
    a->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    lk_status status = a->utf8 ? start(a) : lk_fail(LK_INTERNAL, "the locale C.UTF-8 is missing; install libc-bin");
    if (status != LK_OK) {
        archive_close(a);
        return status;
    }
    *out = a;
    return LK_OK;
}

static const char *refusal(struct archive_entry *entry)
{
    if (archive_entry_symlink(entry) || archive_entry_hardlink(entry) || archive_entry_filetype(entry) == AE_IFLNK)
        return "link";
    if (archive_entry_filetype(entry) != AE_IFREG)
        return "not a regular file";
    return archive_entry_is_encrypted(entry) ? "encrypted" : NULL;
}

/* After the last entry: was that the end, and is the rest of the compressed stream good? */
static lk_status check_end(archive_source *a)
{
    bool tar = (archive_format(a->reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    /* Where a tar's end marker would stand nothing was read. */
    if (tar && archive_filter_bytes(a->reader, 0) == archive_read_header_position(a->reader))
        return lk_fail(LK_BAD_DATA, "%s: ends without the end marker of a tar: it is cut short; make or copy it again", a->path);
    for (const void *block; a->gzip;) {
        la_ssize_t got = read_gzip(a->reader, a, &block);
        if (got < 0)
            return fail(a, "read to the end");
        if (got == 0)
            break;
    }
    return LK_OK;
}

static lk_status check_entry(const archive_source *a, struct archive_entry *entry)
{
    /* Skipping is bounded too: a header cannot make more be unpacked than is allowed in all. */
    if (archive_entry_size_is_set(entry) && archive_entry_size(entry) > a->limits->total_bytes)
        return lk_fail(LK_BAD_DATA, "%s: an entry claims %lld bytes; more than %lld are not unpacked (--max-total)", a->path,
                       (long long)archive_entry_size(entry), (long long)a->limits->total_bytes);
    if (archive_filter_bytes(a->reader, 0) > a->limits->total_bytes)
        return lk_fail(LK_BAD_DATA, "%s: unpacks to more than %lld bytes; raise --max-total if that is right", a->path,
                       (long long)a->limits->total_bytes);
    if (archive_filter_count(a->reader) > 2)
        return lk_fail(LK_BAD_DATA, "%s: is compressed %d times over; unpack it to one compression", a->path,
                       archive_filter_count(a->reader) - 1);
    return LK_OK;
}

static lk_status next_entry(archive_source *a, lk_entry *out)
{
    struct archive_entry *entry;
    *out = (lk_entry){0};
    for (;;) {
        int result = archive_read_next_header(a->reader, &entry);
        if (result == ARCHIVE_EOF)
            return check_end(a);
        if (result < ARCHIVE_WARN)
            return fail(a, "read the next entry");
        LK_TRY(check_entry(a, entry));
        if (archive_entry_filetype(entry) != AE_IFDIR)
            break;
    }
    const char *name = archive_entry_pathname(entry);
    if (!name)
        name = archive_entry_pathname_utf8(entry);
    free(a->name);
    a->name = strdup(name ? name : "");
    if (!a->name)
        return lk_fail(LK_INTERNAL, "%s: out of memory for a name", a->path);
    *out = (lk_entry){a->name, refusal(entry)};
    return LK_OK;
}

static lk_status archive_next(void *self, lk_entry *out)
{
    archive_source *a = self;
    locale_t before = uselocale(a->utf8);
    lk_status status = next_entry(a, out);
    uselocale(before);
    return status;
}

static lk_status archive_read(void *self, void *buffer, size_t size, size_t *got, const char **refused)
{
    archive_source *a = self;
    la_ssize_t n = archive_read_data(a->reader, buffer, size);
    if (n >= 0) {
        *got = (size_t)n;
        return LK_OK;
    }
    if (n == ARCHIVE_FATAL)
        return fail(a, "read an entry");
    const char *reason = archive_error_string(a->reader);
    lk_fail(LK_BAD_DATA, "%s", reason ? reason : "no reason given");
    *refused = "damaged";
    return LK_OK;
}

static double archive_share_read(const void *self)
{
    const archive_source *a = self;
    off_t at = a->gzip ? gzoffset(a->gzip) : lseek(a->fd, 0, SEEK_CUR);
    return a->size > 0 && at > 0 ? (double)at / (double)a->size : 0;
}

const lk_source_kind lk_archive_kind = {archive_next, archive_read, archive_share_read, archive_close};
