#include "dataset/label/measures.h"

#include "dataset/client/styles.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIXELS = LK_LABEL_SIZE * LK_LABEL_SIZE, MOST_SAMPLES = 4096 };
static const float UNIT = (float)LK_LABEL_SIZE / LK_CROP_EDGE; /* pixels to an eye distance */

static float luminance(lk_vec3 c)
{
    return 0.2126f * c.x + 0.7152f * c.y + 0.0722f * c.z;
}

/* ---- samples of pixels ---- */

typedef struct samples {
    int count;
    lk_vec3 colours[MOST_SAMPLES];
} samples;

static void add_disk(const lk_seen_face *face, double x, double y, double radius, samples *s)
{
    int r = (int)ceil(radius * UNIT), cx = (int)floor(x * UNIT), cy = (int)floor(y * UNIT);
    for (int dy = -r; dy <= r; dy++)
        for (int dx = -r; dx <= r; dx++) {
            int px = cx + dx, py = cy + dy;
            if (px >= 0 && py >= 0 && px < LK_LABEL_SIZE && py < LK_LABEL_SIZE && hypot(dx, dy) <= radius * UNIT &&
                s->count < MOST_SAMPLES)
                s->colours[s->count++] = face->linear[py * LK_LABEL_SIZE + px];
        }
}

static int compare_colours(const void *a, const void *b)
{
    float x = luminance(*(const lk_vec3 *)a), y = luminance(*(const lk_vec3 *)b);
    return (x > y) - (x < y);
}

/* The mean of those between two ranks of brightness, 0 darkest .. 1 brightest. */
static lk_vec3 mean_between(samples *s, double low, double high)
{
    lk_vec3 sum = {0};
    int from = (int)(low * s->count), to = (int)(high * s->count), n = 0;
    qsort(s->colours, (size_t)s->count, sizeof *s->colours, compare_colours);
    for (int i = from; i < to || (n == 0 && i < s->count); i++, n++)
        sum = lk_vec3_add(sum, s->colours[i]);
    return lk_vec3_scale(sum, 1.0f / (float)(n > 0 ? n : 1));
}

static lk_point between(lk_point a, lk_point b, double t)
{
    return (lk_point){a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t};
}

static lk_vec3 colour_at(const lk_seen_face *face, lk_point at, double radius)
{
    samples s = {0};
    add_disk(face, at.x, at.y, radius, &s);
    return mean_between(&s, 0.25, 0.75);
}

static lk_point eye_centre(const lk_seen_face *face, int first)
{
    lk_point sum = {0, 0};
    for (int k = first; k < first + 6; k++) {
        sum.x += face->landmarks[k].x / 6;
        sum.y += face->landmarks[k].y / 6;
    }
    return sum;
}

/* ---- light ---- */

/* The white of the eyes: the brightest between the iris and the corners. */
static float eye_white(const lk_seen_face *face)
{
    samples s = {0};
    for (int eye = 36; eye <= 42; eye += 6) {
        lk_point middle = eye_centre(face, eye);
        add_disk(face, (middle.x + face->landmarks[eye].x) / 2, (middle.y + face->landmarks[eye].y) / 2, 0.06, &s);
        add_disk(face, (middle.x + face->landmarks[eye + 3].x) / 2, (middle.y + face->landmarks[eye + 3].y) / 2, 0.06, &s);
    }
    return luminance(mean_between(&s, 0.8, 0.95));
}

static lk_vec3 estimate_white(const lk_seen_face *face)
{
    lk_vec3 sum = {0};
    static const int STRIDE = 5;
    samples s = {0};
    for (int i = 0; i < PIXELS && s.count < MOST_SAMPLES; i += 2 * STRIDE)
        s.colours[s.count++] = face->linear[i];
    for (int i = 0; i < s.count; i++)
        sum = lk_vec3_add(sum, s.colours[i]);
    float grey = luminance(sum) + 1e-6f;
    lk_vec3 hue = lk_v3(sqrtf(sum.x / grey + 1e-3f), sqrtf(sum.y / grey + 1e-3f), sqrtf(sum.z / grey + 1e-3f));
    float bright = luminance(mean_between(&s, 0.93, 0.97)), sclera = eye_white(face);
    return lk_vec3_scale(hue, sqrtf(lk_max(bright, 0.02f) * lk_max(sclera, 0.02f)));
}

void lk_face_see(const uint8_t *pixels, const lk_point landmarks[LK_LANDMARKS], lk_seen_face *out)
{
    for (int i = 0; i < PIXELS; i++)
        out->linear[i] = lk_srgb(pixels[3 * i], pixels[3 * i + 1], pixels[3 * i + 2]);
    memcpy(out->landmarks, landmarks, sizeof out->landmarks);
    out->white = estimate_white(out);
    const lk_point *p = out->landmarks;
    samples s = {0};
    lk_point left = between(between(p[41], p[40], 0.5), p[48], 0.45), right = between(between(p[46], p[47], 0.5), p[54], 0.45);
    add_disk(out, left.x, left.y, 0.13, &s);
    add_disk(out, right.x, right.y, 0.13, &s);
    add_disk(out, p[28].x, p[28].y, 0.06, &s);
    add_disk(out, p[29].x, p[29].y, 0.06, &s);
    out->skin = mean_between(&s, 0.3, 0.8);
}

static float lab_curve(float t)
{
    return t > 0.008856f ? cbrtf(t) : 7.787f * t + 16.0f / 116;
}

/* CIE Lab of a linear colour under a white. */
static lk_vec3 to_lab(lk_vec3 c, lk_vec3 white)
{
    lk_vec3 a = lk_v3(c.x / white.x, c.y / white.y, c.z / white.z);
    float x = lab_curve((0.4124f * a.x + 0.3576f * a.y + 0.1805f * a.z) / 0.9505f), y = lab_curve(luminance(a)),
          z = lab_curve((0.0193f * a.x + 0.1192f * a.y + 0.9505f * a.z) / 1.0891f);
    return lk_v3(116 * y - 16, 500 * (x - y), 200 * (y - z));
}

/* ---- groups ---- */

static int put(float *out, int at, lk_vec3 v)
{
    out[at] = v.x;
    out[at + 1] = v.y;
    out[at + 2] = v.z;
    return at + 3;
}

int lk_measure_skin(const lk_seen_face *face, float *out)
{
    return put(out, 0, to_lab(face->skin, face->white));
}

int lk_measure_beard(const lk_seen_face *face, float *out)
{
    const lk_point *p = face->landmarks;
    const lk_point places[] = {between(p[33], p[51], 0.55), between(p[57], p[8], 0.35),  between(p[57], p[8], 0.75),
                               between(p[48], p[5], 0.55),  between(p[54], p[11], 0.55), between(p[48], p[4], 0.75),
                               between(p[54], p[12], 0.75)};
    int n = (int)(sizeof places / sizeof *places);
    for (int i = 0; i < n; i++)
        out[i] = logf((luminance(colour_at(face, places[i], 0.06)) + 0.01f) / (luminance(face->skin) + 0.01f));
    return n;
}

/* Five columns along each brow, six rows across it. */
int lk_measure_brows(const lk_seen_face *face, float *out)
{
    int n = 0;
    float sum = 0, squares = 0;
    for (int brow = 17; brow <= 22; brow += 5)
        for (int k = brow; k < brow + 5; k++)
            for (int row = 0; row < 6; row++) {
                lk_point at = {face->landmarks[k].x, face->landmarks[k].y + 0.05 * (row - 2)};
                out[n++] = logf(luminance(colour_at(face, at, 0.025)) + 0.02f);
            }
    for (int i = 0; i < n; i++)
        sum += out[i] / (float)n;
    for (int i = 0; i < n; i++) {
        out[i] -= sum;
        squares += out[i] * out[i];
    }
    for (int i = 0; i < n; i++)
        out[i] /= sqrtf(squares + 1e-6f);
    return n;
}

int lk_measure_lips(const lk_seen_face *face, float *out)
{
    static const int RING[][2] = {{50, 61}, {51, 62}, {52, 63}, {56, 65}, {57, 66}, {58, 67}};
    samples s = {0};
    for (int i = 0; i < 6; i++) {
        lk_point at = between(face->landmarks[RING[i][0]], face->landmarks[RING[i][1]], 0.5);
        add_disk(face, at.x, at.y, 0.03, &s);
    }
    return put(out, 0, lk_vec3_sub(to_lab(mean_between(&s, 0.25, 0.75), face->white), to_lab(face->skin, face->white)));
}

/* Nothing where the eyes are nearly closed. */
int lk_measure_eyes(const lk_seen_face *face, float *out)
{
    samples s = {0};
    for (int eye = 36; eye <= 42; eye += 6) {
        const lk_point *p = face->landmarks + eye;
        double open = hypot((p[1].x + p[2].x - p[4].x - p[5].x) / 2, (p[1].y + p[2].y - p[4].y - p[5].y) / 2);
        lk_point middle = eye_centre(face, eye);
        if (open > 0.1)
            add_disk(face, middle.x, middle.y, 0.06, &s);
    }
    return s.count == 0 ? 0 : put(out, 0, to_lab(mean_between(&s, 0.3, 0.8), face->white));
}

/* ---- hair ---- */

/* Around the face: what is neither inside of it nor below the chin. */
static bool could_be_hair(int x, int y)
{
    float u = ((float)x + 0.5f) / UNIT - 2, v = ((float)y + 0.5f) / UNIT - 2.45f;
    return (u * u / (0.85f * 0.85f) + v * v / (1.15f * 1.15f) > 1) && v < 1.1f;
}

typedef struct region {
    int count;
    lk_vec3 middle, squares;
} region;

static void add_pixel(region *r, lk_vec3 lab)
{
    r->count++;
    r->middle = lk_vec3_add(r->middle, lab);
    r->squares = lk_vec3_add(r->squares, lk_vec3_multiply(lab, lab));
}

/* Minus the log of a Gaussian without covariances, cut where a pixel is an outlier anyway. */
static float misfit(const region *r, lk_vec3 lab, float least)
{
    float n = (float)r->count, sum = 0;
    const float *v = &lab.x, *m = &r->middle.x, *s = &r->squares.x;
    for (int k = 0; k < 3; k++) {
        float mean = m[k] / n, variance = lk_max(s[k] / n - mean * mean, 0) + least * least;
        sum += 0.5f * (v[k] - mean) * (v[k] - mean) / variance + 0.5f * logf(variance);
    }
    return lk_min(sum, 14);
}

double lk_hair_misfit(const lk_seen_face *face, const lk_hair_mask *mask)
{
    region hair = {0}, behind = {0};
    lk_vec3 skin = to_lab(face->skin, face->white);
    region bare = {1, skin, lk_vec3_add(lk_vec3_multiply(skin, skin), lk_v3(150, 25, 40))};
    for (int pass = 0; pass < 2; pass++) {
        double sum = 0;
        int count = 0;
        for (int y = 0; y < LK_LABEL_SIZE; y += 2)
            for (int x = 0; x < LK_LABEL_SIZE; x += 2) {
                int i = y * LK_LABEL_SIZE + x;
                if (!could_be_hair(x, y))
                    continue;
                lk_vec3 lab = to_lab(face->linear[i], face->white);
                if (pass == 0)
                    add_pixel(mask->is_hair[i] ? &hair : &behind, lab);
                else
                    sum += mask->is_hair[i] ? misfit(&hair, lab, 6) : lk_min(misfit(&behind, lab, 6), misfit(&bare, lab, 3));
                count++;
            }
        if (pass == 1)
            return sum / (count > 0 ? count : 1);
        if (behind.count == 0)
            behind = bare;
    }
    return 0;
}

int lk_measure_hair_colour(const lk_seen_face *face, const lk_hair_mask *mask, float *out)
{
    samples s = {0};
    int count = 0;
    for (int i = 0; i < PIXELS; i++)
        count += mask->is_hair[i] && could_be_hair(i % LK_LABEL_SIZE, i / LK_LABEL_SIZE);
    int stride = 1 + count / MOST_SAMPLES, seen = 0;
    for (int i = 0; i < PIXELS; i++)
        if (mask->is_hair[i] && could_be_hair(i % LK_LABEL_SIZE, i / LK_LABEL_SIZE) && seen++ % stride == 0 &&
            s.count < MOST_SAMPLES)
            s.colours[s.count++] = face->linear[i];
    return s.count < 50 ? 0 : put(out, 0, to_lab(mean_between(&s, 0.1, 0.5), face->white));
}
