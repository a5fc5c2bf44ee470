/* Internal to trainer/kernels/: what Winograd's convolutions share. A picture is cut into tiles of 4x4 pixels, each is turned
 * into numbers at some points, which lie in panels of channels (gemm.h). */
#ifndef LK_TRAINER_KERNELS_TILES_H
#define LK_TRAINER_KERNELS_TILES_H

#include "trainer/kernels/gemm.h"
#include "trainer/kernels/kernels.h"
#include "trainer/kernels/memory.h"

enum { TILE = 4 };

/* In both dimensions: out = T in T', T being a transform of one dimension, in[n][n] to out[m][m]. */
#define BOTH_DIMENSIONS(transform, n, m, in, out)                                                                                \
    do {                                                                                                                         \
        vec rows_[n][m];                                                                                                         \
        UNROLL for (int i_ = 0; i_ < (n); i_++) transform((in)[i_], rows_[i_]);                                                  \
        UNROLL for (int j_ = 0; j_ < (m); j_++)                                                                                  \
        {                                                                                                                        \
            vec column_[n], done_[m];                                                                                            \
            UNROLL for (int i_ = 0; i_ < (n); i_++) column_[i_] = rows_[i_][j_];                                                 \
            transform(column_, done_);                                                                                           \
            UNROLL for (int i_ = 0; i_ < (m); i_++)(out)[i_][j_] = done_[i_];                                                    \
        }                                                                                                                        \
    } while (0)

/* Numbers at the points of a transform, in panels of channels: [point][panel][line][PANEL]. The points are set apart by some
 * lines more, or all of them would fall into the same few sets of a cache. */
enum { APART = 96 };

static inline size_t point_stride(int panels, int lines)
{
    return (size_t)panels * (size_t)lines * PANEL + APART;
}

/* Tiles are counted picture by picture, row by row; those on the edge may hang over it. */
typedef struct tiles {
    int height, width; /* of a picture, in pixels */
    int across, of_picture, all;
} tiles;

static inline tiles tiles_of(const lk_convolution3 *s)
{
    int across = (s->width + TILE - 1) / TILE, down = (s->height + TILE - 1) / TILE;
    return (tiles){s->height, s->width, across, across * down, across * down * s->batch};
}

typedef struct place {
    int picture, y, x; /* of the first pixel */
} place;

INLINE place place_of(const tiles *t, int tile)
{
    int within = tile % t->of_picture;
    return (place){tile / t->of_picture, within / t->across * TILE, within % t->across * TILE};
}

#endif
