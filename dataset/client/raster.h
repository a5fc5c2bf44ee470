/* Rasteriser: triangles and strands into a square buffer of samples, several to a pixel, in linear light.
 *
 * Triangles are drawn first and leave what shading needs (which triangle, where in it); shading fills `colour`; lashes and
 * strands then draw over it with depth and opacity.
 */
#ifndef LK_DATASET_CLIENT_RASTER_H
#define LK_DATASET_CLIENT_RASTER_H

#include "base/error.h"
#include "dataset/client/mesh.h"
#include "dataset/client/vector.h"

#include <stdint.h>

/* A fragment: 0 for background, else part + 1 in bits 24-29 and the triangle below; strands drawn over it set the flags. */
enum { LK_FRAGMENT_PART_SHIFT = 24, LK_FRAGMENT_TRIANGLE = 0xFFFFFF };
#define LK_FRAGMENT_STRAND 0x80000000u
#define LK_FRAGMENT_HAIR 0x40000000u
#define LK_FRAGMENT_FLAGS (LK_FRAGMENT_STRAND | LK_FRAGMENT_HAIR)

typedef struct lk_raster {
    int size;     /* edge in samples */
    float *depth; /* relative nearness: larger is nearer; 0 is infinitely far */
    uint32_t *fragment;
    float (*weights)[2]; /* of the triangle's first two corners */
    lk_vec3 *colour;     /* linear light */
} lk_raster;

lk_status lk_raster_allocate(int size, lk_raster *raster);
void lk_raster_free(lk_raster *raster);
/* Empties depth and fragments; colours stay. */
void lk_raster_clear(lk_raster *raster);

/* A pinhole camera on the z axis followed by the similarity that puts the eyes in their places. */
typedef struct lk_camera {
    float distance;         /* from the origin, decimetres */
    float cosine, sine;     /* rotation times scale, samples per decimetre */
    float shift_x, shift_y; /* samples */
    float scale;            /* samples per decimetre at the origin's depth */
} lk_camera;

/* Puts the mean of the eye landmarks where dataset/crop.h says, in a picture of `size` samples. */
lk_camera lk_camera_on_eyes(const lk_mesh *mesh, const lk_vec3 *positions, int size);

/* x, y in samples from the top left corner; z the nearness. */
static inline lk_vec3 lk_project(const lk_camera *camera, lk_vec3 p)
{
    float near = camera->distance / (camera->distance - p.z), x = p.x * near, y = -p.y * near;
    return lk_v3(camera->cosine * x - camera->sine * y + camera->shift_x, camera->sine * x + camera->cosine * y + camera->shift_y,
                 near);
}

/* Draws the front-facing triangles of a part but those that are `hidden` (NULL: none); `screen` holds projected vertices. */
void lk_raster_triangles(lk_raster *raster, const lk_triangles *triangles, lk_part part, const bool *hidden,
                         const lk_vec3 *screen);

/* Calls `paint` for every sample of the triangles, front or back, that is not behind what is drawn; changes no depth. */
typedef void lk_overlay_function(void *context, int triangle, const float weights[3], lk_vec3 *colour);
void lk_raster_overlay(lk_raster *raster, const lk_triangles *triangles, const lk_vec3 *screen, lk_overlay_function *paint,
                       void *context);

/* Calls `paint` for every sample of one triangle that is at most `tolerance` behind what is drawn. It returns how much of the
 * sample it covers, 0..1; from a half on the sample has the triangle's depth and `flags`. */
typedef float lk_cover_function(void *context, const float weights[3], lk_vec3 *colour);
void lk_raster_cover(lk_raster *raster, const lk_vec3 screen[3], int both_sides, float tolerance, uint32_t flags,
                     lk_cover_function *paint, void *context);

typedef struct lk_strand_end {
    lk_vec3 screen, colour;
} lk_strand_end;

/* A line `width` samples thick (thinner than one sample: drawn as one with that much opacity). Sets `flags` on what it hits. */
void lk_raster_strand(lk_raster *raster, const lk_strand_end *from, const lk_strand_end *to, float width, uint32_t flags);

#endif
