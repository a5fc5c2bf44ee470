#include "dataset/client/bake.h"

#include "base/random.h"
#include "base/thread.h"
#include "dataset/client/raster.h"
#include "dataset/client/styles.h"

#include <stdlib.h>
#include <string.h>

void lk_mesh_normals(const lk_mesh *mesh, const lk_vec3 *positions, lk_vec3 *normals)
{
    memset(normals, 0, (size_t)mesh->count * sizeof *normals);
    for (int part = 0; part < LK_PART_COUNT; part++) {
        const lk_triangles *triangles = &mesh->parts[part];
        for (int t = 0; t < triangles->count; t++) {
            const uint16_t *c = triangles->corners[t];
            lk_vec3 a = positions[c[0]];
            lk_vec3 n = lk_vec3_cross(lk_vec3_sub(positions[c[1]], a), lk_vec3_sub(positions[c[2]], a));
            for (int k = 0; k < 3; k++)
                normals[c[k]] = lk_vec3_add(normals[c[k]], n);
        }
    }
    for (int i = 0; i < mesh->count; i++)
        normals[i] = lk_vec3_normalize(normals[i]);
}

/* ---- ambient occlusion: from how many directions a vertex is seen ---- */

enum { DIRECTIONS = 96, MAP_SIZE = 192, WEIGHT_ONE = 4096 };

typedef struct occlusion_map {
    const lk_mesh *mesh;
    const lk_vec3 *neutral, *normals;
    lk_raster *rasters; /* one a worker, as are those below */
    lk_vec3 *screens;
    int64_t *seen, *total; /* whole numbers: their sums do not depend on who adds first */
} occlusion_map;

/* Directions spread evenly over the sphere (Fibonacci spiral). */
static lk_vec3 spread_direction(int i)
{
    float angle = (float)i * 2.399963f, height = 1 - 2 * ((float)i + 0.5f) / DIRECTIONS, ring = sqrtf(1 - height * height);
    return lk_v3(ring * cosf(angle), height, ring * sinf(angle));
}

static lk_status look_from(void *context, int64_t number, int worker)
{
    occlusion_map *o = context;
    const float scale = MAP_SIZE / 5.12f, nearness = 10; /* nearness keeps depths above the raster's 0 */
    const lk_vec3 middle = {0, -0.4f, -0.75f};
    lk_vec3 toward = spread_direction((int)number);
    lk_vec3 right = lk_vec3_normalize(lk_vec3_cross(fabsf(toward.y) < 0.9f ? lk_v3(0, 1, 0) : lk_v3(1, 0, 0), toward));
    lk_vec3 up = lk_vec3_cross(toward, right);
    lk_raster *raster = &o->rasters[worker];
    lk_vec3 *screen = o->screens + (size_t)worker * (size_t)o->mesh->count;
    int64_t *seen = o->seen + (size_t)worker * (size_t)o->mesh->count,
            *total = o->total + (size_t)worker * (size_t)o->mesh->count;
    lk_raster_clear(raster);
    for (int i = 0; i < o->mesh->count; i++) {
        lk_vec3 p = lk_vec3_sub(o->neutral[i], middle);
        screen[i] = lk_v3(MAP_SIZE * 0.5f + lk_vec3_dot(p, right) * scale, MAP_SIZE * 0.5f - lk_vec3_dot(p, up) * scale,
                          lk_vec3_dot(p, toward) + nearness);
    }
    for (int part = LK_PART_SKIN; part <= LK_PART_RIGHT_EYE; part++)
        lk_raster_triangles(raster, &o->mesh->parts[part], (lk_part)part, NULL, screen);
    for (int i = 0; i < o->mesh->count; i++) {
        float facing = lk_vec3_dot(o->normals[i], toward);
        if (facing <= 0.05f)
            continue;
        lk_vec3 p = lk_vec3_sub(lk_vec3_add_scaled(o->neutral[i], 0.02f, o->normals[i]), middle);
        int x = (int)(MAP_SIZE * 0.5f + lk_vec3_dot(p, right) * scale), y = (int)(MAP_SIZE * 0.5f - lk_vec3_dot(p, up) * scale);
        int64_t weight = (int64_t)(facing * WEIGHT_ONE);
        total[i] += weight;
        if (x < 0 || y < 0 || x >= MAP_SIZE || y >= MAP_SIZE ||
            raster->depth[y * MAP_SIZE + x] < lk_vec3_dot(p, toward) + nearness + 0.03f)
            seen[i] += weight;
    }
    return LK_OK;
}

static lk_status occlude(const lk_mesh *mesh, const lk_vec3 *neutral, lk_bake *bake, int threads)
{
    size_t n = (size_t)mesh->count, workers = (size_t)threads;
    occlusion_map o = {.mesh = mesh, .neutral = neutral, .normals = bake->normals};
    o.rasters = calloc(workers, sizeof *o.rasters);
    o.screens = malloc(workers * n * sizeof *o.screens);
    o.seen = calloc(workers * n, sizeof *o.seen);
    o.total = calloc(workers * n, sizeof *o.total);
    lk_status status = LK_OK;
    if (!o.rasters || !o.screens || !o.seen || !o.total)
        status = lk_fail(LK_INTERNAL, "no memory to shade the face");
    for (size_t w = 0; status == LK_OK && w < workers; w++)
        status = lk_raster_allocate(MAP_SIZE, &o.rasters[w]);
    if (status == LK_OK)
        status = lk_parallel_for(threads, DIRECTIONS, look_from, &o);
    for (size_t i = 0; status == LK_OK && i < n; i++) {
        int64_t seen = 0, total = 0;
        for (size_t w = 0; w < workers; w++) {
            seen += o.seen[w * n + i];
            total += o.total[w * n + i];
        }
        float open = total > 0 ? (float)seen / (float)total : 1;
        bake->skin[i].occlusion = 0.15f + 0.85f * powf(lk_clamp01(open * 1.05f), 1.1f);
    }
    for (size_t w = 0; o.rasters && w < workers; w++)
        lk_raster_free(&o.rasters[w]);
    free(o.rasters);
    free(o.screens);
    free(o.seen);
    free(o.total);
    return status;
}

/* ---- paint ---- */

static float blob(float dx, float dy, float width_square)
{
    return expf(-(dx * dx + dy * dy) / width_square);
}

static void mark_skin(const lk_mesh *mesh, const lk_vec3 *neutral, lk_bake *bake)
{
    for (int i = 0; i < mesh->count; i++) {
        lk_vec3 p = neutral[i];
        float x = fabsf(p.x);
        float cheeks = p.z > -0.4f ? blob(x - 0.42f, p.y + 0.38f, 0.045f) : 0;
        float nose = p.z > 0.1f ? blob(x, p.y + 0.40f, 0.02f) : 0;
        float below_eyes = p.z > -0.2f ? expf(-((x - 0.26f) * (x - 0.26f) / 0.03f + (p.y + 0.13f) * (p.y + 0.13f) / 0.004f)) : 0;
        lk_skin_vertex *v = &bake->skin[i];
        v->flush = lk_clamp01(0.55f * cheeks + 0.6f * nose + 0.5f * mesh->ear[i]);
        v->dark = lk_clamp01(0.35f * below_eyes + 0.6f * mesh->lid[i]);
        v->hairline = lk_hairline(p);
        v->inner_mouth = mesh->inner_mouth[i];
    }
}

static void measure_eyes(const lk_mesh *mesh, const lk_vec3 *neutral, lk_bake *bake)
{
    for (int eye = 0; eye < 2; eye++) {
        const lk_triangles *ball = &mesh->parts[LK_PART_LEFT_EYE + eye];
        lk_vec3 low = {1e9f, 1e9f, 1e9f}, high = {-1e9f, -1e9f, -1e9f};
        for (int c = 0; c < ball->count * 3; c++) {
            lk_vec3 p = neutral[ball->corners[c / 3][c % 3]];
            low = lk_v3(lk_min(low.x, p.x), lk_min(low.y, p.y), lk_min(low.z, p.z));
            high = lk_v3(lk_max(high.x, p.x), lk_max(high.y, p.y), lk_max(high.z, p.z));
        }
        bake->eye_centre[eye] = lk_vec3_scale(lk_vec3_add(low, high), 0.5f);
        bake->eye_radius = (high.y - low.y) * 0.5f;
    }
}

typedef struct octave {
    int step; /* texels from knot to knot */
    float gain;
} octave;

static const octave NOISE[] = {{16, 1}, {8, 0.6f}, {4, 0.36f}, {2, 0.22f}};
static const octave CLOUD[] = {{64, 0.8f}, {32, 0.4f}, {16, 0.2f}, {8, 0.1f}, {4, 0.05f}, {2, 0.025f}};

/* Octaves of value noise. */
static void make_noise(const octave *octaves, size_t count, uint64_t stream, float *noise)
{
    lk_random random = lk_random_make(77, stream);
    memset(noise, 0, LK_NOISE_SIZE * LK_NOISE_SIZE * sizeof *noise);
    for (size_t o = 0; o < count; o++) {
        int step = octaves[o].step, n = LK_NOISE_SIZE / step;
        float knots[LK_NOISE_SIZE / 2][LK_NOISE_SIZE / 2];
        for (int y = 0; y < n; y++)
            for (int x = 0; x < n; x++)
                knots[y][x] = lk_random_range(&random, -1, 1);
        for (int y = 0; y < LK_NOISE_SIZE; y++)
            for (int x = 0; x < LK_NOISE_SIZE; x++) {
                int i = x / step, j = y / step, right = (i + 1) % n, below = (j + 1) % n;
                float u = lk_smooth(0, 1, (float)(x % step) / (float)step), v = lk_smooth(0, 1, (float)(y % step) / (float)step);
                float upper = knots[j][i] * (1 - u) + knots[j][right] * u,
                      lower = knots[below][i] * (1 - u) + knots[below][right] * u;
                noise[y * LK_NOISE_SIZE + x] += octaves[o].gain * (upper * (1 - v) + lower * v);
            }
    }
}

lk_status lk_bake_make(const lk_mesh *mesh, const lk_vec3 *neutral, int threads, lk_bake *out)
{
    *out = (lk_bake){0};
    out->normals = malloc((size_t)mesh->count * sizeof *out->normals);
    out->skin = calloc((size_t)mesh->count, sizeof *out->skin);
    out->noise = malloc(LK_NOISE_SIZE * LK_NOISE_SIZE * sizeof *out->noise);
    lk_status status = LK_OK;
    out->cloud = malloc(LK_NOISE_SIZE * LK_NOISE_SIZE * sizeof *out->cloud);
    if (!out->normals || !out->skin || !out->noise || !out->cloud) {
        status = lk_fail(LK_INTERNAL, "no memory for the face's paint");
        goto failed;
    }
    lk_mesh_normals(mesh, neutral, out->normals);
    LK_TRY_OR(failed, occlude(mesh, neutral, out, threads));
    mark_skin(mesh, neutral, out);
    measure_eyes(mesh, neutral, out);
    make_noise(NOISE, sizeof NOISE / sizeof *NOISE, 0, out->noise);
    make_noise(CLOUD, sizeof CLOUD / sizeof *CLOUD, 1, out->cloud);
    return LK_OK;
failed:
    lk_bake_free(out);
    return status;
}

void lk_bake_free(lk_bake *bake)
{
    free(bake->normals);
    free(bake->skin);
    free(bake->noise);
    free(bake->cloud);
    *bake = (lk_bake){0};
}
