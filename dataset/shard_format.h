/* What the writer and the reader of shards share: the names of docs/formats.md, and HDF5 behind sentences.
 *
 * HDF5 only lays out and checks the structure. Samples are written and read at the offsets that it names, with pwrite and
 * pread: that gives exact errors (a full disk) and reads without HDF5's global lock. Files that are there already are shown to
 * libhdf5 in a process of its own alone (dataset/shard_checker.h). All HDF5 calls happen between lk_h5_begin() and
 * lk_h5_end(), one thread at a time, so that a library built without threads serves too.
 */
#ifndef LK_DATASET_SHARD_FORMAT_H
#define LK_DATASET_SHARD_FORMAT_H

#include "dataset/shard.h"
#include "dataset/shard_checker.h"

#include <hdf5.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Arrays are written as they stand in memory. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "shards are little-endian");

#define LK_SHARD_FORMAT "likeness-shard"
enum { LK_SHARD_VERSION = 1, LK_MAX_PICTURE_EDGE = 4096, LK_MAX_PROVENANCE = 4096 };

#define LK_ATTRIBUTE_FORMAT "format"
#define LK_ATTRIBUTE_VERSION "version"
#define LK_ATTRIBUTE_COUNT "count"
#define LK_ATTRIBUTE_SIZE "size"
#define LK_ATTRIBUTE_SCHEMA "schema"
#define LK_ATTRIBUTE_SCHEMA_HASH "schema_hash"
#define LK_ATTRIBUTE_PROVENANCE "provenance"

#define LK_ARRAY_IMAGES "images"
#define LK_ARRAY_JPEG "jpeg"
#define LK_ARRAY_JPEG_OFFSETS "jpeg_offsets"
#define LK_ARRAY_CONTINUOUS "continuous"
#define LK_ARRAY_DISCRETE "discrete"
#define LK_ARRAY_KEY "key"
#define LK_ARRAY_CHECKSUM "checksum"

/* XXH3-64 over the stored picture (pixels or JPEG bytes), continuous, discrete and the key without its zero. */
uint64_t lk_sample_checksum(const void *picture, size_t picture_size, const float *continuous, int continuous_count,
                            const uint8_t *discrete, int group_count, const char *key);

/* ---- HDF5 ---- */

/* Takes the lock and silences HDF5's own printing on this thread. */
void lk_h5_begin(void);
void lk_h5_end(void);

/* The innermost reason of this thread's last failure; returns the errno that it names, 0 if none. */
int lk_h5_reason(char *out, size_t size);
/* LK_IO with that reason; a full disk is told by lk_fail_io with `wanted` bytes. */
lk_status lk_h5_fail_write(const char *path, int64_t wanted);

/* Access with the format bounds V110 (checksummed metadata) and without file locks, which network file systems refuse. A
 * negative id on failure. */
hid_t lk_h5_access(void);

/* Attributes of the root group; a negative result is HDF5's failure. */
herr_t lk_h5_put_text(hid_t file, const char *name, const char *text);
herr_t lk_h5_put_number(hid_t file, const char *name, hid_t file_type, uint64_t value);

/* ---- one opened shard (dataset/shard_open.c) ---- */

typedef struct lk_shard {
    char *path;
    char *provenance; /* NULL: the file does not say */
    int fd;
    int64_t count;
    int size;
    int key_width;
    off_t picture_at, continuous_at, discrete_at, key_at; /* where the arrays begin in the file */
    uint64_t *checksums;                                  /* [count] */
    uint64_t *jpeg_offsets;                               /* [count + 1], NULL for raw pixels */
} lk_shard;

/* Opens the file and gives it to the checker; then, in the order of these calls, has the checker's word for it judged and
 * loads the index. Between the two, up to LK_SHARD_CHECKER_WINDOW files. With *schema NULL the shard's own is put there,
 * owned by the caller even when a later check fails; otherwise the shard's must equal it, which came from `schema_origin`.
 * After a failure to open there is nothing to close, after one of judging there is. */
lk_status lk_shard_open_file(lk_shard_checker *checker, const char *path, lk_shard *out);
lk_status lk_shard_judge(lk_shard_checker *checker, lk_schema **schema, const char *schema_origin, lk_shard *shard);
/* Both for one; nothing to close after a failure. */
lk_status lk_shard_open(lk_shard_checker *checker, const char *path, lk_schema **schema, const char *schema_origin,
                        lk_shard *out);
void lk_shard_close(lk_shard *shard);

/* Exactly `size` bytes at `offset`: a file that ends early is LK_BAD_DATA, a failing disk LK_IO. */
lk_status lk_shard_pread(const lk_shard *shard, void *out, size_t size, off_t offset);

/* lk_dataset_open through a checker that goes on living: for a caller that opens many small data sets. */
lk_status lk_dataset_open_through(lk_shard_checker *checker, const char *const *paths, int count, lk_dataset **out);

#endif
