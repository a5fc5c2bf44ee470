/* safetensors: named tensors in one file, as Python's `safetensors` writes and reads them.
 *
 * Layout: u64 little-endian length of the header; the header, a JSON object {name: {"dtype", "shape", "data_offsets"}, ...,
 * "__metadata__": {string: string}} padded with spaces so that the data starts at a multiple of 8; then the tensors'
 * bytes, row-major little-endian, without holes.
 *
 *     lk_safetensor weights[] = {{.name = "bias", .dtype = LK_DTYPE_F32, .dims = 1, .shape = {64}, .data = bias}};
 *     LK_TRY(lk_safetensors_write("x.safetensors", weights, 1, NULL, 0, NULL));
 *
 *     LK_TRY_OR(done, lk_safetensors_open("x.safetensors", &file));
 *     const lk_safetensor *t = lk_safetensors_find(file, "bias");
 *     if (t && t->dtype == LK_DTYPE_F32 && lk_safetensor_bytes(t) == sizeof bias)
 *         LK_TRY_OR(done, lk_safetensors_read(file, t, bias));
 *   done:
 *     lk_safetensors_close(file);
 *
 * An open file may be read from several threads at once.
 */
#ifndef LK_TRAINER_MODEL_SAFETENSORS_H
#define LK_TRAINER_MODEL_SAFETENSORS_H

#include "base/error.h"
#include "trainer/tensor/dtype.h"

#include <stdint.h>

enum {
    LK_SAFETENSOR_DIMS = 8,
    LK_SAFETENSOR_NAME_SIZE = 256,         /* with its NUL; a longer name is refused by both sides */
    LK_SAFETENSORS_HEADER_LIMIT = 1 << 20, /* bytes; ours have 20 KB at full size. Bounds what a hostile file can allocate */
};

typedef struct lk_safetensor {
    const char *name; /* UTF-8, no control characters */
    lk_dtype dtype;
    int dims; /* 0: a single number */
    int64_t shape[LK_SAFETENSOR_DIMS];
    const void *data; /* to write: row-major, contiguous, host memory; from a reader: NULL */
} lk_safetensor;

typedef struct lk_safetensors_note {
    const char *key, *value;
} lk_safetensors_note;

/* Bytes of its data; the shape must be one that a reader returned or a writer accepted. */
size_t lk_safetensor_bytes(const lk_safetensor *tensor);

/* Writes atomically (base/file.h). Tensors of wider elements come first, so that each is aligned to its element, otherwise
 * the order given is kept. `notes` go to __metadata__. `hash`, if not NULL, gets the XXH3-64 of the whole file.
 * LK_IO: disk; LK_INTERNAL: a bad or double name, a bad shape, a header over the limit. */
lk_status lk_safetensors_write(const char *path, const lk_safetensor *tensors, size_t count, const lk_safetensors_note *notes,
                               size_t note_count, uint64_t *hash);

/* Opens and checks everything but the tensors' values: lengths, strict JSON, dtypes, shapes, and that the tensors fill the
 * file without hole or overlap. LK_BAD_DATA names file and tensor. A file may be replaced or removed while open. */
typedef struct lk_safetensors lk_safetensors;
lk_status lk_safetensors_open(const char *path, lk_safetensors **out);
/* NULL is fine. */
void lk_safetensors_close(lk_safetensors *file);

/* In the order of the data in the file. What these return lives until close. */
size_t lk_safetensors_count(const lk_safetensors *file);
const lk_safetensor *lk_safetensors_at(const lk_safetensors *file, size_t index);
/* NULL if there is none. */
const lk_safetensor *lk_safetensors_find(const lk_safetensors *file, const char *name);
const char *lk_safetensors_note_of(const lk_safetensors *file, const char *key);
const char *lk_safetensors_path(const lk_safetensors *file);

/* Copies the data of a tensor of this file to out[lk_safetensor_bytes()]. */
lk_status lk_safetensors_read(const lk_safetensors *file, const lk_safetensor *tensor, void *out);

/* XXH3-64 of all bytes of the open file: what lk_safetensors_write returned, unless the file was damaged. */
lk_status lk_safetensors_hash(const lk_safetensors *file, uint64_t *hash);

#endif
