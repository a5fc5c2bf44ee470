#include "dataset/client/develop.h"

#include "base/random.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

enum { TONES = 4096, MOST_TAPS = 32 };

struct lk_darkroom {
    int size;
    float tones[TONES]; /* linear light 0..1 to sRGB 0..1 */
    lk_vec3 *picture, *scratch;
    tjhandle compressor, decompressor;
    uint8_t *jpeg;
    unsigned long jpeg_room;
};

lk_status lk_darkroom_create(int size, lk_darkroom **out)
{
    lk_darkroom *darkroom = calloc(1, sizeof *darkroom);
    if (!darkroom)
        return lk_fail(LK_INTERNAL, "no memory to develop a picture");
    size_t pixels = (size_t)size * (size_t)size;
    darkroom->size = size;
    darkroom->picture = malloc(pixels * sizeof *darkroom->picture);
    darkroom->scratch = malloc(pixels * sizeof *darkroom->scratch);
    darkroom->compressor = tjInitCompress();
    darkroom->decompressor = tjInitDecompress();
    darkroom->jpeg_room = tjBufSize(size, size, TJSAMP_420);
    darkroom->jpeg = malloc(darkroom->jpeg_room);
    if (!darkroom->picture || !darkroom->scratch || !darkroom->compressor || !darkroom->decompressor || !darkroom->jpeg) {
        lk_darkroom_free(darkroom);
        return lk_fail(LK_INTERNAL, "no memory to develop a picture of %d pixels", size);
    }
    for (int i = 0; i < TONES; i++) {
        float v = (float)i / (TONES - 1);
        darkroom->tones[i] = v < 0.0031308f ? 12.92f * v : 1.055f * powf(v, 1 / 2.4f) - 0.055f;
    }
    *out = darkroom;
    return LK_OK;
}

void lk_darkroom_free(lk_darkroom *darkroom)
{
    if (!darkroom)
        return;
    free(darkroom->picture);
    free(darkroom->scratch);
    free(darkroom->jpeg);
    if (darkroom->compressor)
        tjDestroy(darkroom->compressor);
    if (darkroom->decompressor)
        tjDestroy(darkroom->decompressor);
    free(darkroom);
}

static void average_samples(lk_darkroom *darkroom, const lk_raster *raster)
{
    int size = darkroom->size, n = raster->size / size;
    float share = 1.0f / (float)(n * n);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            lk_vec3 sum = {0};
            for (int j = 0; j < n; j++)
                for (int i = 0; i < n; i++)
                    sum = lk_vec3_add(sum, raster->colour[(y * n + j) * raster->size + x * n + i]);
            darkroom->picture[y * size + x] = lk_vec3_scale(sum, share);
        }
}

/* One pass of a separable blur; `along_x` or along y. Edges repeat. */
static void blur_pass(const lk_vec3 *from, lk_vec3 *to, int size, const float *taps, int reach, bool along_x)
{
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            lk_vec3 sum = {0};
            for (int k = -reach; k <= reach; k++) {
                int place = (along_x ? x : y) + k;
                place = place < 0 ? 0 : place >= size ? size - 1 : place;
                sum = lk_vec3_add_scaled(sum, taps[k + reach], from[along_x ? y * size + place : place * size + x]);
            }
            to[y * size + x] = sum;
        }
}

static void blur(lk_darkroom *darkroom, float deviation)
{
    float pixels = deviation * (float)darkroom->size;
    if (pixels < 0.2f)
        return;
    float taps[2 * MOST_TAPS + 1], total = 0;
    int reach = (int)ceilf(2.5f * pixels);
    reach = reach > MOST_TAPS ? MOST_TAPS : reach;
    for (int k = -reach; k <= reach; k++) {
        taps[k + reach] = expf(-0.5f * (float)(k * k) / (pixels * pixels));
        total += taps[k + reach];
    }
    for (int k = 0; k <= 2 * reach; k++)
        taps[k] /= total;
    blur_pass(darkroom->picture, darkroom->scratch, darkroom->size, taps, reach, true);
    blur_pass(darkroom->scratch, darkroom->picture, darkroom->size, taps, reach, false);
}

static float tone(const lk_darkroom *darkroom, float linear)
{
    int i = (int)(linear * (TONES - 1) + 0.5f);
    return darkroom->tones[i < 0 ? 0 : i >= TONES ? TONES - 1 : i];
}

/* About normal: the sum of four bytes. */
static float grain(lk_random *random)
{
    uint32_t bits = lk_random_bits(random);
    int sum = (int)(bits & 255) + (int)(bits >> 8 & 255) + (int)(bits >> 16 & 255) + (int)(bits >> 24);
    return (float)(sum - 510) * (1 / 147.8f);
}

static uint8_t to_byte(float v)
{
    return (uint8_t)(lk_clamp01(v) * 255 + 0.5f);
}

static void expose(const lk_darkroom *darkroom, const lk_scene *scene, uint8_t *image)
{
    const float base = 0.9f; /* leaves room above white skin in the main light */
    lk_random random = lk_random_make(scene->noise_seed, 0);
    for (int i = 0; i < darkroom->size * darkroom->size; i++) {
        lk_vec3 light = lk_vec3_multiply(lk_vec3_scale(darkroom->picture[i], base), scene->gain);
        lk_vec3 v = {tone(darkroom, light.x), tone(darkroom, light.y), tone(darkroom, light.z)};
        float grey = 0.3f * v.x + 0.59f * v.y + 0.11f * v.z;
        v = lk_vec3_mix(lk_v3(grey, grey, grey), v, scene->saturation);
        v = lk_vec3_add_scaled(lk_v3(0.5f, 0.5f, 0.5f), scene->contrast, lk_vec3_sub(v, lk_v3(0.5f, 0.5f, 0.5f)));
        if (scene->noise > 0)
            v = lk_vec3_add_scaled(v, scene->noise, lk_v3(grain(&random), grain(&random), grain(&random)));
        image[3 * i] = to_byte(v.x);
        image[3 * i + 1] = to_byte(v.y);
        image[3 * i + 2] = to_byte(v.z);
    }
}

static lk_status compress(lk_darkroom *darkroom, int quality, uint8_t *image)
{
    int size = darkroom->size;
    unsigned long bytes = darkroom->jpeg_room;
    if (tjCompress2(darkroom->compressor, image, size, 0, size, TJPF_RGB, &darkroom->jpeg, &bytes, TJSAMP_420, quality,
                    TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0)
        return lk_fail(LK_INTERNAL, "JPEG compression of a rendered face failed: %s", tjGetErrorStr2(darkroom->compressor));
    if (tjDecompress2(darkroom->decompressor, darkroom->jpeg, bytes, image, size, 0, size, TJPF_RGB, TJFLAG_ACCURATEDCT) != 0)
        return lk_fail(LK_INTERNAL, "JPEG decompression of a rendered face failed: %s", tjGetErrorStr2(darkroom->decompressor));
    return LK_OK;
}

lk_status lk_develop(lk_darkroom *darkroom, const lk_raster *raster, const lk_scene *scene, uint8_t *image)
{
    average_samples(darkroom, raster);
    blur(darkroom, scene->blur);
    expose(darkroom, scene, image);
    return scene->jpeg_quality > 0 ? compress(darkroom, scene->jpeg_quality, image) : LK_OK;
}
