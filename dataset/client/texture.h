/* Textures: pictures with transparency, and themselves halved again and again, so that small faces do not sparkle. */
#ifndef LK_DATASET_CLIENT_TEXTURE_H
#define LK_DATASET_CLIENT_TEXTURE_H

#include "base/error.h"
#include "dataset/client/vector.h"

#include <stddef.h>
#include <stdint.h>

enum { LK_TEXTURE_LEVELS = 13, LK_MOST_TEXTURE_EDGE = 4096 };

typedef struct lk_texture {
    int levels, width[LK_TEXTURE_LEVELS], height[LK_TEXTURE_LEVELS];
    uint8_t *texels[LK_TEXTURE_LEVELS]; /* RGBA as in the file, rows from the top */
} lk_texture;

/* PNG or JPEG of at most `most_texels` (no more than LK_MOST_TEXTURE_EDGE squared), from a file: of that many. LK_BAD_DATA names
 * `origin`. */
lk_status lk_texture_decode(const void *data, size_t size, int64_t most_texels, const char *origin, lk_texture *out);
lk_status lk_texture_load(const char *path, lk_texture *out);
void lk_texture_free(lk_texture *texture);

/* Linear light and *alpha at a place (0..1, v up; it tiles), between the texels of a level. */
lk_vec3 lk_texture_at(const lk_texture *texture, int level, float u, float v, float *alpha);
/* The level of which one texel is about as large as a sample, where a sample is `texels` of the full texture wide. */
int lk_texture_level(const lk_texture *texture, float texels);

#endif
