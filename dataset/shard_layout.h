/* What HDF5 says of a shard: numbers, and where its arrays lie. Read in the checker (dataset/shard_checker.h), judged by whoever
 * opens the shard (dataset/shard_open.c), who trusts none of it.
 */
#ifndef LK_DATASET_SHARD_LAYOUT_H
#define LK_DATASET_SHARD_LAYOUT_H

#include "base/error.h"

#include <stdint.h>

/* Places in lk_shard_layout.arrays. */
enum {
    LK_LAYOUT_IMAGES,
    LK_LAYOUT_JPEG,
    LK_LAYOUT_JPEG_OFFSETS,
    LK_LAYOUT_CONTINUOUS,
    LK_LAYOUT_DISCRETE,
    LK_LAYOUT_KEY,
    LK_LAYOUT_CHECKSUM,
    LK_LAYOUT_ARRAYS
};

enum { LK_LAYOUT_MAX_RANK = 4 };

/* Types of elements, as they lie in the file; LK_ELEMENT_TEXT is of fixed length. */
enum { LK_ELEMENT_OTHER, LK_ELEMENT_U8, LK_ELEMENT_U64, LK_ELEMENT_F32, LK_ELEMENT_TEXT };

typedef struct lk_layout_array {
    uint32_t present; /* 1, or 0: the file has no such array, or a link to elsewhere */
    uint32_t contiguous;
    uint32_t element, element_bytes;
    uint64_t rank;                     /* more than LK_LAYOUT_MAX_RANK: dims are not filled in */
    uint64_t dims[LK_LAYOUT_MAX_RANK]; /* 0 behind the rank */
    uint64_t at;                       /* offset in the file; UINT64_MAX: has none */
} lk_layout_array;

/* The same bytes on both ends of the checker's socket: no padding, no pointers. */
typedef struct lk_shard_layout {
    uint64_t count, size, schema_hash;
    lk_layout_array arrays[LK_LAYOUT_ARRAYS];
} lk_shard_layout;

/* Of attributes; provenance is "" where the file says nothing. */
typedef struct lk_shard_texts {
    char *schema, *provenance;
} lk_shard_texts;
void lk_shard_texts_free(lk_shard_texts *texts);

/* Names of the arrays in the file (docs/formats.md). */
extern const char *const lk_layout_names[LK_LAYOUT_ARRAYS];

/* Of the file open as `fd`. Calls libhdf5 on what anybody may have made, so it belongs into the checker. The caller frees the
 * texts, which are NULL after a failure. Sentences do not name the file. LK_BAD_DATA: not a shard, or damaged; LK_IO: reading
 * failed with *io_error (an errno), the file may be whole. */
lk_status lk_shard_layout_read(int fd, lk_shard_layout *out, lk_shard_texts *texts, int *io_error);

#endif
