#include "dataset/client/raster.h"

#include "dataset/crop.h"

#include <stdlib.h>
#include <string.h>

/* A portrait lens: far enough that noses do not grow. */
static const float CAMERA_DISTANCE = 12;

lk_status lk_raster_allocate(int size, lk_raster *raster)
{
    size_t n = (size_t)size * (size_t)size;
    *raster = (lk_raster){.size = size};
    raster->depth = malloc(n * sizeof *raster->depth);
    raster->fragment = malloc(n * sizeof *raster->fragment);
    raster->weights = malloc(n * sizeof *raster->weights);
    raster->colour = malloc(n * sizeof *raster->colour);
    if (raster->depth && raster->fragment && raster->weights && raster->colour)
        return LK_OK;
    lk_raster_free(raster);
    return lk_fail(LK_INTERNAL, "no memory for a picture of %d x %d samples", size, size);
}

void lk_raster_free(lk_raster *raster)
{
    free(raster->depth);
    free(raster->fragment);
    free(raster->weights);
    free(raster->colour);
    *raster = (lk_raster){0};
}

void lk_raster_clear(lk_raster *raster)
{
    size_t n = (size_t)raster->size * (size_t)raster->size;
    memset(raster->depth, 0, n * sizeof *raster->depth);
    memset(raster->fragment, 0, n * sizeof *raster->fragment);
}

lk_camera lk_camera_on_eyes(const lk_mesh *mesh, const lk_vec3 *positions, int size)
{
    lk_camera plain = {.distance = CAMERA_DISTANCE, .cosine = 1};
    float x[2] = {0}, y[2] = {0};
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < LK_EYE_LANDMARKS; k++) {
            lk_vec3 p = lk_project(&plain, positions[mesh->eye_landmarks[side][k]]);
            x[side] += p.x / LK_EYE_LANDMARKS;
            y[side] += p.y / LK_EYE_LANDMARKS;
        }
    /* The similarity as a complex number: (wanted right - wanted left) / (right - left). */
    float dx = x[1] - x[0], dy = y[1] - y[0], square = dx * dx + dy * dy;
    float wanted = (float)((1 - 2 * LK_EYE_LEFT_X) * size);
    lk_camera camera = {.distance = CAMERA_DISTANCE, .cosine = wanted * dx / square, .sine = -wanted * dy / square};
    camera.shift_x = (float)(LK_EYE_LEFT_X * size) - (camera.cosine * x[0] - camera.sine * y[0]);
    camera.shift_y = (float)(LK_EYE_Y * size) - (camera.sine * x[0] + camera.cosine * y[0]);
    camera.scale = wanted / sqrtf(square);
    return camera;
}

/* ---- triangles ---- */

/* Barycentric weights of a triangle over the samples of its bounding box, clipped to the picture. */
typedef struct span_box {
    int x0, y0, x1, y1;
    float a0, a_dx, a_dy, b0, b_dx, b_dy; /* weights of the first two corners at sample (0, 0) and their slopes */
} span_box;

static int box_of(lk_vec3 a, lk_vec3 b, lk_vec3 c, int size, int both_sides, span_box *box)
{
    float area = (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
    if (area == 0 || (area > 0 && !both_sides)) /* y points down: front faces turn clockwise */
        return 0;
    float limit = (float)size;
    float x0 = lk_max(lk_min(a.x, lk_min(b.x, c.x)), 0), x1 = lk_min(lk_max(a.x, lk_max(b.x, c.x)), limit);
    float y0 = lk_max(lk_min(a.y, lk_min(b.y, c.y)), 0), y1 = lk_min(lk_max(a.y, lk_max(b.y, c.y)), limit);
    if (!(x0 <= x1 && y0 <= y1))
        return 0;
    box->x0 = (int)ceilf(x0 - 0.5f);
    box->x1 = (int)floorf(x1 - 0.5f);
    box->y0 = (int)ceilf(y0 - 0.5f);
    box->y1 = (int)floorf(y1 - 0.5f);
    if (box->x0 > box->x1 || box->y0 > box->y1)
        return 0;
    float inverse = 1 / area;
    box->a_dx = -(c.y - b.y) * inverse;
    box->a_dy = (c.x - b.x) * inverse;
    box->a0 = ((b.x - 0.5f) * (c.y - 0.5f) - (b.y - 0.5f) * (c.x - 0.5f)) * inverse;
    box->b_dx = -(a.y - c.y) * inverse;
    box->b_dy = (a.x - c.x) * inverse;
    box->b0 = ((c.x - 0.5f) * (a.y - 0.5f) - (c.y - 0.5f) * (a.x - 0.5f)) * inverse;
    return 1;
}

void lk_raster_triangles(lk_raster *raster, const lk_triangles *triangles, lk_part part, const bool *hidden,
                         const lk_vec3 *screen)
{
    for (int t = 0; t < triangles->count; t++) {
        const uint16_t *corner = triangles->corners[t];
        lk_vec3 a = screen[corner[0]], b = screen[corner[1]], c = screen[corner[2]];
        span_box box;
        if ((hidden && hidden[t]) || !box_of(a, b, c, raster->size, 0, &box))
            continue;
        uint32_t fragment = (uint32_t)(part + 1) << LK_FRAGMENT_PART_SHIFT | (uint32_t)t;
        for (int y = box.y0; y <= box.y1; y++)
            for (int x = box.x0; x <= box.x1; x++) {
                float wa = box.a0 + box.a_dx * (float)x + box.a_dy * (float)y;
                float wb = box.b0 + box.b_dx * (float)x + box.b_dy * (float)y, wc = 1 - wa - wb;
                if (wa < 0 || wb < 0 || wc < 0)
                    continue;
                int at = y * raster->size + x;
                float depth = wa * a.z + wb * b.z + wc * c.z;
                if (depth <= raster->depth[at])
                    continue;
                raster->depth[at] = depth;
                raster->fragment[at] = fragment;
                raster->weights[at][0] = wa;
                raster->weights[at][1] = wb;
            }
    }
}

void lk_raster_overlay(lk_raster *raster, const lk_triangles *triangles, const lk_vec3 *screen, lk_overlay_function *paint,
                       void *context)
{
    const float tolerance = 0.001f; /* strips touch the skin that they grow from */
    for (int t = 0; t < triangles->count; t++) {
        const uint16_t *corner = triangles->corners[t];
        lk_vec3 a = screen[corner[0]], b = screen[corner[1]], c = screen[corner[2]];
        span_box box;
        if (!box_of(a, b, c, raster->size, 1, &box))
            continue;
        for (int y = box.y0; y <= box.y1; y++)
            for (int x = box.x0; x <= box.x1; x++) {
                float w[3] = {box.a0 + box.a_dx * (float)x + box.a_dy * (float)y,
                              box.b0 + box.b_dx * (float)x + box.b_dy * (float)y, 0};
                w[2] = 1 - w[0] - w[1];
                if (w[0] < 0 || w[1] < 0 || w[2] < 0)
                    continue;
                int at = y * raster->size + x;
                if (w[0] * a.z + w[1] * b.z + w[2] * c.z > raster->depth[at] - tolerance)
                    paint(context, t, w, &raster->colour[at]);
            }
    }
}

void lk_raster_cover(lk_raster *raster, const lk_vec3 screen[3], int both_sides, float tolerance, uint32_t flags,
                     lk_cover_function *paint, void *context)
{
    lk_vec3 a = screen[0], b = screen[1], c = screen[2];
    span_box box;
    if (!box_of(a, b, c, raster->size, both_sides, &box))
        return;
    for (int y = box.y0; y <= box.y1; y++)
        for (int x = box.x0; x <= box.x1; x++) {
            float w[3] = {box.a0 + box.a_dx * (float)x + box.a_dy * (float)y, box.b0 + box.b_dx * (float)x + box.b_dy * (float)y,
                          0};
            w[2] = 1 - w[0] - w[1];
            int at = y * raster->size + x;
            float depth = w[0] * a.z + w[1] * b.z + w[2] * c.z;
            if (w[0] < 0 || w[1] < 0 || w[2] < 0 || depth < raster->depth[at] - tolerance)
                continue;
            if (paint(context, w, &raster->colour[at]) < 0.5f)
                continue;
            raster->depth[at] = lk_max(raster->depth[at], depth);
            raster->fragment[at] |= flags;
        }
}

/* ---- strands ---- */

void lk_raster_strand(lk_raster *raster, const lk_strand_end *from, const lk_strand_end *to, float width, uint32_t flags)
{
    const float tolerance = 0.0004f, widest = 4;
    float opacity = lk_min(width, 1);
    float dx = to->screen.x - from->screen.x, dy = to->screen.y - from->screen.y;
    float longer = lk_max(fabsf(dx), fabsf(dy)), limit = (float)raster->size;
    if (lk_max(from->screen.x, to->screen.x) < 0 || lk_min(from->screen.x, to->screen.x) >= limit ||
        lk_max(from->screen.y, to->screen.y) < 0 || lk_min(from->screen.y, to->screen.y) >= limit || !(longer < 4 * limit))
        return;
    int steps = longer > 1 ? (int)ceilf(longer) : 1, steep = fabsf(dx) <= fabsf(dy);
    float half = lk_min(0.5f * lk_max(width, 1) * sqrtf(dx * dx + dy * dy) / lk_max(longer, 1e-6f), widest);
    for (int i = 0; i < steps; i++) {
        float u = ((float)i + 0.5f) / (float)steps;
        float x = from->screen.x + dx * u, y = from->screen.y + dy * u;
        float z = from->screen.z + (to->screen.z - from->screen.z) * u;
        lk_vec3 colour = lk_vec3_mix(from->colour, to->colour, u);
        float across = steep ? x : y;
        int first = (int)ceilf(across - half - 0.5f), last = (int)ceilf(across + half - 0.5f) - 1;
        for (int k = first; k <= last || k == first; k++) {
            int px = steep ? k : (int)floorf(x), py = steep ? (int)floorf(y) : k;
            if ((unsigned)px >= (unsigned)raster->size || (unsigned)py >= (unsigned)raster->size)
                continue;
            int at = py * raster->size + px;
            if (z < raster->depth[at] - tolerance)
                continue;
            raster->depth[at] = lk_max(raster->depth[at], z);
            raster->colour[at] = lk_vec3_mix(raster->colour[at], colour, opacity);
            raster->fragment[at] |= flags;
        }
    }
}
