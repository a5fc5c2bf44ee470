/* Sources: archives, folders and standard input as one stream of named entries, read once from front to back.
 *
 *     while ((status = lk_source_next(source, &entry)) == LK_OK && entry.name) {
 *         ... entry.refused, or
 *         status = lk_source_read(source, limit, &data, &size, &refused);
 *     }
 *
 * Archives: tar (plain or compressed by gzip, zstd, xz, bzip2), zip, 7z, recognised by content and never unpacked to disk. A
 * folder gives its files in the byte order of their paths, at any depth. A single JSONL or CSV file is a source of one entry.
 * Standard input ("-") and pipes are archives that cannot be rewound. Archives come from strangers: nothing is allocated or
 * skipped by what a header claims (but the list of a 7z, by libarchive: docs/packing.md), every limit is an error with a name,
 * and names are returned raw (dataset/pack/names.h judges them).
 *
 * A damaged archive ends with LK_BAD_DATA: a gzip or zip checksum that does not fit, a file that ends within an entry, a tar
 * without its end marker. Tars joined by `cat`, compressed or not, are one stream; other bytes behind an archive are LK_BAD_DATA.
 * One thread at a time.
 */
#ifndef LK_DATASET_PACK_SOURCE_H
#define LK_DATASET_PACK_SOURCE_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct lk_limits {
    int64_t entry_bytes; /* a larger entry is refused, the stream goes on */
    int64_t total_bytes; /* unpacked bytes of one source; beyond it the stream fails */
    int64_t entries;     /* of one source; the same */
    int depth;           /* folders within folders; the same */
} lk_limits;

#define LK_LIMITS_DEFAULTS                                                                                                       \
    {                                                                                                                            \
        .entry_bytes = (int64_t)64 << 20, .total_bytes = (int64_t)1 << 40, .entries = (int64_t)1 << 24, .depth = 32              \
    }

typedef struct lk_entry {
    const char *name;    /* as the archive has it, valid until the next call; NULL at the end */
    const char *refused; /* NULL, or why it cannot be read: "link", "not a regular file", "encrypted" */
} lk_entry;

typedef struct lk_source lk_source;

/* Whether the path is "-" or that of a pipe or a device: what was read of it once is gone, and opening it may wait for who
 * writes. */
bool lk_source_is_stream(const char *path);

/* The error of a path that is none of the above names it; `limits` must outlive the source. */
lk_status lk_source_open(const char *path, const lk_limits *limits, lk_source **out);
void lk_source_close(lk_source *source);
/* About how much of the source has been read, 0 to 1; 0 where nobody can know (streams). */
double lk_source_share_read(const lk_source *source);

/* The next regular or refused entry; folders are passed over. An entry that was not read is skipped. */
lk_status lk_source_next(lk_source *source, lk_entry *entry);

/* The whole current entry, of at most `limit` bytes and those of an entry: *data is freed by the caller. *refused says why it
 * cannot be had, "too large", "damaged" or "unsupported" (the sentence is then in lk_error_text()), while the stream goes on;
 * *data is then NULL. */
lk_status lk_source_read(lk_source *source, int64_t limit, uint8_t **data, size_t *size, const char **refused);

/* The current entry piece by piece, of any size: *got is 0 at its end. A damaged entry is LK_BAD_DATA here. */
lk_status lk_source_read_some(lk_source *source, void *buffer, size_t size, size_t *got);

/* ---- the two kinds (archive.c, folder.c) ---- */

typedef struct lk_source_kind {
    lk_status (*next)(void *self, lk_entry *entry);
    /* Like read(2) on the current entry; a refusal is LK_OK with *refused. */
    lk_status (*read)(void *self, void *buffer, size_t size, size_t *got, const char **refused);
    double (*share_read)(const void *self);
    void (*close)(void *self);
} lk_source_kind;

extern const lk_source_kind lk_archive_kind, lk_folder_kind;
/* Takes fd over, also on failure; `path` names it. */
lk_status lk_archive_open(int fd, const char *path, const lk_limits *limits, void **out);
lk_status lk_folder_open(int fd, const char *path, const lk_limits *limits, void **out);

#endif
