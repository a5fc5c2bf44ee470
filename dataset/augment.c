#include "dataset/augment.h"

#include "base/random.h"
#include "dataset/mirror.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum { MOST_TAPS = 16, WEIGHT_ONE = 1 << 14, CELLS = 5 };

/* One generator a purpose: a strength that changes leaves the other draws alone. */
enum { STREAM_FLIP, STREAM_CROP, STREAM_OCCLUDE, STREAM_COLOUR, STREAM_BLUR, STREAM_NOISE, STREAM_JPEG, STREAM_WARP };

struct lk_augmenter {
    int size;
    uint8_t *scratch;
    tjhandle compressor, decompressor;
    uint8_t *jpeg;
    unsigned long jpeg_room;
};

bool lk_augment_any(const lk_augment *a)
{
    return a->flip > 0 || a->colour > 0 || a->blur > 0 || a->noise > 0 || a->jpeg > 0 || a->occlude > 0 || a->crop > 0 ||
           a->warp > 0;
}

uint64_t lk_augment_key(uint64_t seed, int64_t epoch, int64_t sample)
{
    return lk_random_mix(lk_random_mix(lk_random_mix(seed, 0x6175676d), (uint64_t)epoch), (uint64_t)sample);
}

lk_status lk_augmenter_create(int size, lk_augmenter **out)
{
    lk_augmenter *a = calloc(1, sizeof *a);
    *out = a;
    if (!a)
        return lk_fail(LK_INTERNAL, "out of memory for augmentation");
    a->size = size;
    a->scratch = malloc((size_t)size * (size_t)size * 3);
    a->compressor = tjInitCompress();
    a->decompressor = tjInitDecompress();
    a->jpeg_room = tjBufSize(size, size, TJSAMP_420);
    a->jpeg = malloc(a->jpeg_room);
    if (a->scratch && a->compressor && a->decompressor && a->jpeg)
        return LK_OK;
    lk_augmenter_free(a);
    *out = NULL;
    return lk_fail(LK_INTERNAL, "out of memory for augmentation of pictures of %d px", size);
}

void lk_augmenter_free(lk_augmenter *a)
{
    if (!a)
        return;
    if (a->compressor)
        tjDestroy(a->compressor);
    if (a->decompressor)
        tjDestroy(a->decompressor);
    free(a->scratch);
    free(a->jpeg);
    free(a);
}

static bool happens(lk_random *random, double share)
{
    return lk_random_uniform(random) < (float)share;
}

static uint8_t to_byte(float v)
{
    return (uint8_t)(v <= 0 ? 0 : v >= 255 ? 255 : v + 0.5f);
}

/* ---- geometry ---- */

static void flip(const lk_augmenter *a, uint8_t *image)
{
    for (int y = 0; y < a->size; y++) {
        uint8_t *row = image + (size_t)y * (size_t)a->size * 3;
        for (int x = 0; x < a->size / 2; x++)
            for (int k = 0; k < 3; k++) {
                uint8_t *left = row + 3 * x + k, *right = row + 3 * (a->size - 1 - x) + k, kept = *left;
                *left = *right;
                *right = kept;
            }
    }
}

static const uint8_t *pixel_at(const lk_augmenter *a, int x, int y)
{
    x = x < 0 ? 0 : x >= a->size ? a->size - 1 : x;
    y = y < 0 ? 0 : y >= a->size ? a->size - 1 : y;
    return a->scratch + ((size_t)y * (size_t)a->size + (size_t)x) * 3;
}

/* Bilinear; edges repeat. */
static void sample(const lk_augmenter *a, float x, float y, uint8_t *out)
{
    float left = floorf(x), top = floorf(y), s = x - left, t = y - top;
    int i = (int)left, j = (int)top;
    const uint8_t *p = pixel_at(a, i, j), *q = pixel_at(a, i + 1, j), *r = pixel_at(a, i, j + 1), *u = pixel_at(a, i + 1, j + 1);
    for (int k = 0; k < 3; k++)
        out[k] = to_byte(((float)p[k] * (1 - s) + (float)q[k] * s) * (1 - t) + ((float)r[k] * (1 - s) + (float)u[k] * s) * t);
}

/* Where the pixels of a picture are taken from: its crop is off, and places of the face have moved. */
typedef struct motion {
    float dx, dy, cosine, sine; /* of the crop */
    bool bent;
    float bend[CELLS + 1][CELLS + 1][2]; /* at the corners of CELLS x CELLS cells: pixels to the right, down */
} motion;

static void draw_crop(const lk_augmenter *a, float strength, lk_random *random, motion *m)
{
    float edge = (float)a->size;
    m->dx = 0.014f * strength * lk_random_normal(random) * edge;
    m->dy = 0.014f * strength * lk_random_normal(random) * edge;
    float scale = 1 / (1 + 0.028f * strength * lk_random_normal(random)), roll = 0.0367f * strength * lk_random_normal(random);
    m->cosine = scale * cosf(roll);
    m->sine = scale * sinf(roll);
}

static void draw_warp(const lk_augmenter *a, float strength, lk_random *random, motion *m)
{
    m->bent = true;
    for (int i = 0; i < (CELLS + 1) * (CELLS + 1) * 2; i++)
        (&m->bend[0][0][0])[i] = 0.035f * strength * lk_random_normal(random) * (float)a->size;
}

/* Between corners bends change smoothly. */
static float between(float from, float to, float share)
{
    return from + (to - from) * share * share * (3 - 2 * share);
}

static void move(lk_augmenter *a, const motion *m, uint8_t *image)
{
    float edge = (float)a->size, middle = 0.5f * edge - 0.5f, cells = CELLS / edge;
    memcpy(a->scratch, image, (size_t)a->size * (size_t)a->size * 3);
    for (int y = 0; y < a->size; y++) {
        float bend[CELLS + 1][2] = {{0}}, down = (float)y * cells;
        int i = (int)down;
        for (int j = 0; j < 2 * (CELLS + 1) && m->bent; j++)
            bend[j / 2][j % 2] = between(m->bend[i][j / 2][j % 2], m->bend[i + 1][j / 2][j % 2], down - (float)i);
        for (int x = 0; x < a->size; x++) {
            float u = (float)x - middle - m->dx, v = (float)y - middle - m->dy, across = (float)x * cells;
            int j = (int)across;
            if (m->bent) {
                u += between(bend[j][0], bend[j + 1][0], across - (float)j);
                v += between(bend[j][1], bend[j + 1][1], across - (float)j);
            }
            sample(a, middle + m->cosine * u + m->sine * v, middle - m->sine * u + m->cosine * v,
                   image + ((size_t)y * (size_t)a->size + (size_t)x) * 3);
        }
    }
}

/* A patch, round or square, of one colour. */
static void occlude(const lk_augmenter *a, lk_random *random, uint8_t *image)
{
    float edge = (float)a->size, area = lk_random_range(random, 0.03f, 0.15f), shape = lk_random_range(random, 0.4f, 2.5f);
    float width = 0.5f * edge * sqrtf(area * shape), height = 0.5f * edge * sqrtf(area / shape);
    float cx = lk_random_uniform(random) * edge, cy = lk_random_uniform(random) * edge;
    bool round = lk_random_uniform(random) < 0.5f;
    uint32_t colour = lk_random_bits(random);
    for (int y = 0; y < a->size; y++)
        for (int x = 0; x < a->size; x++) {
            float u = fabsf((float)x - cx) / width, v = fabsf((float)y - cy) / height;
            if (round ? u * u + v * v < 1.27f : u < 1 && v < 1)
                for (int k = 0; k < 3; k++)
                    image[((size_t)y * (size_t)a->size + (size_t)x) * 3 + (size_t)k] = (uint8_t)(colour >> (8 * k));
        }
}

/* ---- colour and the camera ---- */

static void recolour(const lk_augmenter *a, float strength, lk_random *random, uint8_t *image)
{
    float exposure = exp2f(strength * lk_random_range(random, -1, 1) * 0.6f),
          contrast = 1 + 0.3f * strength * lk_random_range(random, -1, 1);
    float saturation = 1 + 0.5f * strength * lk_random_range(random, -1, 1), gain[3];
    for (int k = 0; k < 3; k++)
        gain[k] = exposure * (1 + 0.2f * strength * lk_random_range(random, -1, 1));
    for (size_t i = 0; i < (size_t)a->size * (size_t)a->size; i++) {
        uint8_t *p = image + 3 * i;
        float v[3] = {(float)p[0] * gain[0], (float)p[1] * gain[1], (float)p[2] * gain[2]};
        float grey = 0.3f * v[0] + 0.59f * v[1] + 0.11f * v[2];
        for (int k = 0; k < 3; k++)
            p[k] = to_byte(127.5f + contrast * (grey + saturation * (v[k] - grey) - 127.5f));
    }
}

/* One pass of a separable blur in whole numbers; `step` is 3 along x and a row along y. */
static void blur_pass(const uint8_t *from, uint8_t *to, int size, const int *taps, int reach, bool along_x)
{
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            int sum[3] = {WEIGHT_ONE / 2, WEIGHT_ONE / 2, WEIGHT_ONE / 2};
            for (int k = -reach; k <= reach; k++) {
                int place = (along_x ? x : y) + k;
                place = place < 0 ? 0 : place >= size ? size - 1 : place;
                const uint8_t *p = from + ((size_t)(along_x ? y : place) * (size_t)size + (size_t)(along_x ? place : x)) * 3;
                for (int c = 0; c < 3; c++)
                    sum[c] += taps[k + reach] * p[c];
            }
            for (int c = 0; c < 3; c++)
                to[((size_t)y * (size_t)size + (size_t)x) * 3 + (size_t)c] = (uint8_t)(sum[c] / WEIGHT_ONE);
        }
}

static void blur(lk_augmenter *a, float strength, lk_random *random, uint8_t *image)
{
    float deviation = strength * lk_random_uniform(random) * 0.012f * (float)a->size, weights[2 * MOST_TAPS + 1], total = 0;
    int reach = (int)ceilf(2.5f * deviation), taps[2 * MOST_TAPS + 1], rest = WEIGHT_ONE;
    if (deviation < 0.2f)
        return;
    reach = reach > MOST_TAPS ? MOST_TAPS : reach;
    for (int k = -reach; k <= reach; k++)
        total += weights[k + reach] = expf(-0.5f * (float)(k * k) / (deviation * deviation));
    for (int k = 0; k <= 2 * reach; k++)
        rest -= taps[k] = (int)(weights[k] / total * WEIGHT_ONE);
    taps[reach] += rest; /* a flat picture stays as it is */
    blur_pass(image, a->scratch, a->size, taps, reach, true);
    blur_pass(a->scratch, image, a->size, taps, reach, false);
}

/* About normal: the sum of four bytes. */
static void add_noise(const lk_augmenter *a, float strength, lk_random *random, uint8_t *image)
{
    float deviation = strength * lk_random_uniform(random) * 0.09f * 255 / 147.8f;
    for (size_t i = 0; i < (size_t)a->size * (size_t)a->size * 3; i++) {
        uint32_t bits = lk_random_bits(random);
        int sum = (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24);
        image[i] = to_byte((float)image[i] + deviation * (float)(sum - 510));
    }
}

static lk_status compress(lk_augmenter *a, int quality, uint8_t *image)
{
    unsigned long bytes = a->jpeg_room;
    if (tjCompress2(a->compressor, image, a->size, 0, a->size, TJPF_RGB, &a->jpeg, &bytes, TJSAMP_420, quality,
                    TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0)
        return lk_fail(LK_INTERNAL, "data.augment.jpeg: compression failed: %s", tjGetErrorStr2(a->compressor));
    if (tjDecompress2(a->decompressor, a->jpeg, bytes, image, a->size, 0, a->size, TJPF_RGB, TJFLAG_ACCURATEDCT) != 0)
        return lk_fail(LK_INTERNAL, "data.augment.jpeg: decompression failed: %s", tjGetErrorStr2(a->decompressor));
    return LK_OK;
}

lk_status lk_augmenter_apply(lk_augmenter *a, const lk_augment *how, const lk_schema *schema, uint64_t key, uint8_t *image,
                             float *continuous, uint8_t *discrete)
{
    lk_random random = lk_random_make(key, STREAM_FLIP);
    if (happens(&random, how->flip)) {
        flip(a, image);
        lk_schema_mirror_face(schema, continuous, discrete);
    }
    motion moved = {.cosine = 1};
    random = lk_random_make(key, STREAM_CROP);
    if (how->crop > 0)
        draw_crop(a, (float)how->crop, &random, &moved);
    random = lk_random_make(key, STREAM_WARP);
    if (how->warp > 0)
        draw_warp(a, (float)how->warp, &random, &moved);
    if (how->crop > 0 || how->warp > 0)
        move(a, &moved, image);
    random = lk_random_make(key, STREAM_OCCLUDE);
    if (happens(&random, how->occlude))
        occlude(a, &random, image);
    random = lk_random_make(key, STREAM_COLOUR);
    if (how->colour > 0)
        recolour(a, (float)how->colour, &random, image);
    random = lk_random_make(key, STREAM_BLUR);
    if (how->blur > 0 && happens(&random, 0.5))
        blur(a, (float)how->blur, &random, image);
    random = lk_random_make(key, STREAM_NOISE);
    if (how->noise > 0 && happens(&random, 0.5))
        add_noise(a, (float)how->noise, &random, image);
    random = lk_random_make(key, STREAM_JPEG);
    if (happens(&random, how->jpeg))
        return compress(a, 25 + (int)lk_random_below(&random, 71), image);
    return LK_OK;
}
