/* Shards: HDF5 files of labelled faces, and a folder of them as one data set. The format is docs/formats.md.
 *
 * Writing: a shard appears under its name only when complete. Reading: opened and checked through HDF5 once (one global
 * lock), then read by pread from any number of threads; every sample's XXH3-64 is verified on each read.
 */
#ifndef LK_DATASET_SHARD_H
#define LK_DATASET_SHARD_H

#include "base/error.h"
#include "dataset/schema.h"

#include <stddef.h>
#include <stdint.h>

enum { LK_KEY_SIZE = 256 };

typedef struct lk_sample {
    const uint8_t *image;    /* size * size * 3, NHWC rows */
    const float *continuous; /* [0,1] */
    const uint8_t *discrete;
    const char *key; /* names the sample: at most LK_KEY_SIZE - 1 bytes */
} lk_sample;

/* The library behind the files, "HDF5 1.10.8". */
void lk_shard_library(char *out, size_t size);

/* ---- writing ---- */

typedef struct lk_shard_writer lk_shard_writer;

/* Room for `capacity` samples of size x size pixels (fewer may come); `provenance` is a line that says how the shard came to be,
 * to which the writer adds the program's version.
 * jpeg_quality 0 stores raw pixels (/images), 1..100 JPEG bytes (/jpeg, /jpeg_offsets). `schema` must outlive the writer. The
 * folder must exist; until the commit the disk needs room for the pictures twice. The same samples and provenance
 * give the same bytes from the same build. */
lk_status lk_shard_create(const char *path, const lk_schema *schema, int size, int64_t capacity, int jpeg_quality,
                          const char *provenance, lk_shard_writer **out);
/* Samples stand in the order of these calls. One thread at a time. Refuses labels out of range and keys that are empty, too long
 * or hold control characters (LK_BAD_DATA), a full shard (LK_USAGE), a full disk (LK_IO, with the bytes missing). After a failure
 * the writer can only be aborted. */
lk_status lk_shard_append(lk_shard_writer *writer, const lk_sample *sample);
/* The same for a shard of JPEG bytes and a picture that is one already: a JPEG of size x size pixels, stored as it is, which the
 * caller has seen to decode. sample->image is not used. So many threads can encode for one writer, and captures lose nothing. */
lk_status lk_shard_append_jpeg(lk_shard_writer *writer, const lk_sample *sample, const uint8_t *jpeg, size_t jpeg_size);
/* Writes, fsyncs, renames, frees the writer; on failure nothing is left, neither under the name nor beside it. A shard without
 * samples is LK_BAD_DATA. */
lk_status lk_shard_commit(lk_shard_writer *writer);
/* Leaves nothing behind. NULL is fine. */
void lk_shard_abort(lk_shard_writer *writer);

/* ---- reading ---- */

typedef struct lk_dataset lk_dataset;

/* Opens the given folders (each with *.h5) or single shards, sorted by name within a folder, in the order given. All must
 * have the same schema and picture size. A missing path, an empty or unfinished folder (dataset/unfinished.h), a damaged or
 * foreign file is LK_BAD_DATA. Keeps one file open a shard, and 8 bytes a sample (16 with JPEG pictures). */
lk_status lk_dataset_open(const char *const *paths, int count, lk_dataset **out);
void lk_dataset_close(lk_dataset *dataset);

int64_t lk_dataset_count(const lk_dataset *dataset);
int64_t lk_dataset_count_of(const lk_dataset *dataset, int path); /* what paths[path] of lk_dataset_open gave */
int lk_dataset_size(const lk_dataset *dataset);                   /* S: pictures are S x S */
const lk_schema *lk_dataset_schema(const lk_dataset *dataset);
/* The files, in the order of their samples. */
int lk_dataset_shard_count(const lk_dataset *dataset);
const char *lk_dataset_shard_path(const lk_dataset *dataset, int shard);

/* Reads sample i into caller memory: image S*S*3, continuous [nc], discrete [groups]; key may be NULL. Verifies its checksum,
 * that continuous values are in [0,1] and choices exist. Errors name shard, sample and what is damaged; what was filled in then
 * means nothing. Thread-safe. */
lk_status lk_dataset_read(const lk_dataset *dataset, int64_t i, uint8_t *image, float *continuous, uint8_t *discrete,
                          char key[LK_KEY_SIZE]);

/* Asks the kernel to have samples first .. first+count-1 ready, but for those that the set does not have: it reads them in large
 * pieces, in the background where the file system can. A hint: nothing fails, nothing is waited for. Thread-safe. */
void lk_dataset_read_ahead(const lk_dataset *dataset, int64_t first, int64_t count);
/* Has the kernel forget what it keeps of the files, for measurements: the next reads are the disk's. */
void lk_dataset_forget(const lk_dataset *dataset);

/* XXH3-64 over all samples' checksums in order: equal for equal contents, however they are cut into shards. */
uint64_t lk_dataset_content_hash(const lk_dataset *dataset);
/* How the first shard came to be, as the file says; "" where it says nothing. */
const char *lk_dataset_provenance(const lk_dataset *dataset);

#endif
