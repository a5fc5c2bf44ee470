/* Wavefront .obj files as MakeHuman's assets have them: how many vertices, and triangles with places on the texture. Where the
 * vertices lie does not matter: lk_mhclo says so for each face. */
#ifndef LK_DATASET_CLIENT_WAVEFRONT_H
#define LK_DATASET_CLIENT_WAVEFRONT_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { LK_MOST_CORNERS = 1 << 20 };

typedef struct lk_corner {
    uint16_t vertex;
    float u, v; /* 0..1, v up */
} lk_corner;

typedef struct lk_wavefront {
    int vertex_count, triangle_count;
    lk_corner (*triangles)[3];
} lk_wavefront;

/* LK_BAD_DATA names file and line. */
lk_status lk_wavefront_parse(const char *text, size_t size, const char *origin, lk_wavefront *out);
void lk_wavefront_free(lk_wavefront *mesh);

#endif
