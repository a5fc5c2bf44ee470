/* Resampling: a square crop out of a picture through a similarity (turn, scale, move), without aliasing. */
#ifndef LK_DATASET_ALIGN_WARP_H
#define LK_DATASET_ALIGN_WARP_H

#include "base/error.h"
#include "dataset/image.h"

#include <stdint.h>
#include "dataset/align/detector.h"

/* Maps a point (u, v) of the crop to the point (a u - b v + x, b u + a v + y) of the picture; pixel centres are at
 * half-integers in both. */
typedef struct lk_similarity {
    double a, b, x, y;
} lk_similarity;

lk_point lk_similarity_apply(const lk_similarity *map, lk_point p);
/* The map that is `inner` first, then `outer`. */
lk_similarity lk_similarity_compose(const lk_similarity *outer, const lk_similarity *inner);
/* Picture pixels per crop pixel: above 1 the crop is smaller than what it shows. */
double lk_similarity_scale(const lk_similarity *map);

/* Draws size x size pixels of `picture` into crop[size * size * 3]. When shrinking, the picture is first halved by box filters
 * and then averaged over up to 2 x 2 points a pixel, so that every picture pixel counts; when enlarging it is bilinear. What lies
 * outside the picture is its reflection. */
lk_status lk_warp(const lk_image *picture, const lk_similarity *map, int size, uint8_t *crop);

/* The same by one sample a pixel after the halving, in half the time: for detectors, not for eyes. */
lk_status lk_warp_rough(const lk_image *picture, const lk_similarity *map, int size, uint8_t *crop);

/* The most bytes that each of these takes, besides picture and crop: a window of 2 sqrt(2) size pixels a side, 8 bytes each. */
static inline int64_t lk_warp_cost(int64_t size)
{
    return 64 * (size + 4) * (size + 4);
}

/* The whole picture stretched to size x size with the same filters; for pictures that are square already. */
lk_status lk_resize(const lk_image *picture, int size, uint8_t *out);

/* The same of a picture that is an aligned crop already, pixel for pixel if it has that size: LK_BAD_DATA if it is not square. */
lk_status lk_take_crop(const lk_image *picture, int size, const char *origin, uint8_t *out);

/* Luma (BT.601) of count RGB pixels. */
void lk_luma(const uint8_t *rgb, size_t count, uint8_t *grey);

#endif
