/* Archives through libarchive. gzip is undone before it (dataset/pack/bytes.h).
 *
 * What follows an archive in the same file is never passed over: tars joined by `cat`, compressed or not, are read one after the
 * other, and anything else behind an archive (or before the entries of a zip) is an error. */
#include "dataset/pack/source.h"

#include "base/file.h"
#include "dataset/pack/bytes.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 256 << 10 };

typedef struct archive_source {
    struct archive *reader;
    const char *path;
    const lk_limits *limits;
    int fd;
    lk_bytes *bytes;     /* what libarchive reads from; NULL for files that need seeking (zip, 7z) */
    lk_error error;      /* of `bytes` */
    const uint8_t *last; /* the newest piece out of `bytes`, of last_size */
    size_t last_size;
    int64_t given; /* bytes out of `bytes` so far */
    locale_t utf8; /* entry names are converted to this, whatever the user's locale */
    off_t size;    /* of the file, 0 if unknown */
    bool begun;    /* the first entry has been seen */
    char *name;    /* of the current entry */
} archive_source;

static la_ssize_t read_bytes(struct archive *reader, void *self, const void **block)
{
    archive_source *a = self;
    lk_status status = lk_bytes_read(a->bytes, &a->last, &a->last_size);
    if (status != LK_OK) {
        lk_error_take(&a->error, status);
        archive_set_error(reader, EIO, "%s", a->error.text);
        return -1;
    }
    *block = a->last;
    a->given += (int64_t)a->last_size;
    return (la_ssize_t)a->last_size;
}

static bool is_unsupported(const char *reason)
{
    return reason && (strcasestr(reason, "unsupported") || strstr(reason, "not supported") || strstr(reason, "Unknown codec"));
}

static lk_status fail(const archive_source *a, const char *doing)
{
    const char *reason = archive_error_string(a->reader);
    int error = archive_errno(a->reader);
    if (a->error.status != LK_OK)
        return lk_error_put(&a->error);
    if (error == ENOMEM)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading the archive", a->path);
    if (reason && strncmp(reason, "Error reading fd", 16) == 0)
        return lk_fail_io("read", a->path, error, 0);
    if (reason && strstr(reason, "does not support seeking"))
        return lk_fail(LK_BAD_DATA, "%s: an archive of this kind can only be read from a file", a->path);
    if (is_unsupported(reason))
        return lk_fail(LK_BAD_DATA, "%s: cannot %s: %s; make the archive again without what is not supported", a->path, doing,
                       reason);
    return lk_fail(LK_BAD_DATA,
                   "%s: cannot %s: %s; the archive is damaged, cut short or followed by other bytes, or no tar, zip or 7z",
                   a->path, doing, reason ? reason : "no reason given");
}

static lk_status start(archive_source *a)
{
    uint8_t head[2] = {0};
    struct stat info;
    if (fstat(a->fd, &info) != 0)
        return lk_fail_io("look at it", a->path, errno, 0);
    bool regular = S_ISREG(info.st_mode);
    a->size = regular ? info.st_size : 0;
    size_t got = 0;
    if (regular)
        LK_TRY(lk_read_at(a->fd, a->path, head, sizeof head, 0, &got));
    bool gzipped = got == 2 && head[0] == 0x1f && head[1] == 0x8b;
    struct archive *r = a->reader;
    archive_read_support_filter_zstd(r);
    archive_read_support_filter_xz(r);
    archive_read_support_filter_bzip2(r);
    archive_read_support_format_tar(r);
    archive_read_support_format_zip(r);
    archive_read_support_format_7zip(r);
    if (archive_read_set_options(r, "tar:read_concatenated_archives") != ARCHIVE_OK)
        return lk_fail(LK_INTERNAL, "libarchive cannot read tars that are joined: %s", archive_error_string(r));
    if (regular && !gzipped)
        return archive_read_open_fd(r, a->fd, BLOCK) == ARCHIVE_OK ? LK_OK : fail(a, "open");
    LK_TRY(lk_bytes_open(a->fd, a->path, &a->bytes));
    return archive_read_open(r, a, NULL, read_bytes, NULL) == ARCHIVE_OK ? LK_OK : fail(a, "open");
}

static void archive_close(void *self)
{
    archive_source *a = self;
    archive_read_free(a->reader);
    lk_bytes_close(a->bytes);
    close(a->fd);
    if (a->utf8)
        freelocale(a->utf8);
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

/* ---- what else is in the file ---- */

static uint64_t little_endian(const uint8_t *bytes, int count)
{
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; i--)
        value = value << 8 | bytes[i];
    return value;
}

static lk_status fail_joined(const archive_source *a)
{
    return lk_fail(LK_BAD_DATA, "%s: other bytes follow the archive; were two files joined? give each by itself", a->path);
}

/* Nothing but zeros from `offset` of the file on? */
static lk_status check_zeros(const archive_source *a, int64_t offset)
{
    uint8_t block[4096];
    for (ssize_t got; offset < a->size; offset += got) {
        got = pread(a->fd, block, sizeof block, offset);
        if (got <= 0)
            return got == 0 ? LK_OK : lk_fail_io("read", a->path, errno, 0);
        for (ssize_t i = 0; i < got; i++)
            if (block[i] != 0)
                return fail_joined(a);
    }
    return LK_OK;
}

/* With the first entry: zips that are joined have the entries of the first ones before those that the last one lists, 7z are
 * followed by the next one. (A program in front that unpacks itself is neither.) */
static lk_status check_joined(const archive_source *a)
{
    uint8_t head[32];
    size_t got = 0;
    if (!a->bytes)
        LK_TRY(lk_read_at(a->fd, a->path, head, sizeof head, 0, &got));
    if (got < sizeof head)
        return LK_OK;
    int64_t data_of_first = 30 + (int64_t)(little_endian(head + 26, 2) + little_endian(head + 28, 2));
    if (memcmp(head, "PK\3\4", 4) == 0 && archive_filter_bytes(a->reader, 0) > data_of_first)
        return lk_fail(LK_BAD_DATA, "%s: the zip does not list its first entries; were two files joined? give each by itself",
                       a->path);
    uint64_t from = little_endian(head + 12, 8), count = little_endian(head + 20, 8);
    if (memcmp(head, "7z\xbc\xaf\x27\x1c", 6) == 0 && from < INT64_MAX / 4 && count < INT64_MAX / 4)
        return check_zeros(a, (int64_t)(sizeof head + from + count));
    return LK_OK;
}

/* The same of a stream: what libarchive has not used of the last piece, and all further ones. Of a zip its directory is among
 * them, behind which there must not be another entry. */
static lk_status check_rest(archive_source *a, bool zip)
{
    int64_t left = a->given - archive_filter_bytes(a->reader, -1);
    size_t unused = left > (int64_t)a->last_size ? a->last_size : (size_t)left;
    bool directory_ended = false;
    for (uint32_t signature = 0; unused > 0; unused = a->last_size) {
        for (size_t i = a->last_size - unused; i < a->last_size; i++) {
            signature = signature << 8 | a->last[i];
            directory_ended |= signature == 0x504b0506;
            if (zip ? directory_ended && signature == 0x504b0304 : a->last[i] != 0)
                return fail_joined(a);
        }
        LK_TRY(lk_bytes_read(a->bytes, &a->last, &a->last_size));
    }
    return LK_OK;
}

/* After the last entry: was that the end, and is the rest of the file read? */
static lk_status check_end(archive_source *a)
{
    bool tar = (archive_format(a->reader) & ARCHIVE_FORMAT_BASE_MASK) == ARCHIVE_FORMAT_TAR;
    /* Where a tar's end marker would stand nothing was read. */
    if (tar && archive_filter_bytes(a->reader, 0) == archive_read_header_position(a->reader))
        return lk_fail(LK_BAD_DATA, "%s: ends without the end marker of a tar: it is cut short; make or copy it again", a->path);
    if (a->bytes)
        return check_rest(a, !tar);
    return tar ? check_zeros(a, archive_filter_bytes(a->reader, -1)) : LK_OK;
}

/* ---- entries ---- */

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
        if (result < ARCHIVE_WARN || result == ARCHIVE_RETRY)
            return fail(a, "read the next entry");
        LK_TRY(check_entry(a, entry));
        if (!a->begun)
            LK_TRY(check_joined(a));
        a->begun = true;
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
    *refused = is_unsupported(reason) ? "unsupported" : "damaged";
    return LK_OK;
}

static double archive_share_read(const void *self)
{
    const archive_source *a = self;
    off_t at = a->bytes ? lk_bytes_offset(a->bytes) : lseek(a->fd, 0, SEEK_CUR);
    return a->size > 0 && at > 0 ? (double)at / (double)a->size : 0;
}

const lk_source_kind lk_archive_kind = {archive_next, archive_read, archive_share_read, archive_close};
