#include "dataset/client/texture.h"

#include "base/file.h"
#include "dataset/image.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_FILE_BYTES = 256 << 20, TONES = 256 };

static float linear_tones[TONES];
static pthread_once_t tones_once = PTHREAD_ONCE_INIT;

static void make_tones(void)
{
    for (int i = 0; i < TONES; i++) {
        float v = (float)i / (TONES - 1);
        linear_tones[i] = v < 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
    }
}

/* Colours count by their opacity: what is hidden in a cut-out must not bleed into its edge. */
static void average(const lk_texture *t, int level, int x, int y, uint8_t out[4])
{
    unsigned sum[3] = {0}, plain[3] = {0}, alpha = 0;
    for (int k = 0; k < 4; k++) {
        int sx = 2 * x + k % 2, sy = 2 * y + k / 2;
        sx = sx < t->width[level] ? sx : t->width[level] - 1;
        sy = sy < t->height[level] ? sy : t->height[level] - 1;
        const uint8_t *from = t->texels[level] + 4 * ((size_t)sy * (size_t)t->width[level] + (size_t)sx);
        for (int c = 0; c < 3; c++) {
            sum[c] += (unsigned)from[c] * from[3];
            plain[c] += from[c];
        }
        alpha += from[3];
    }
    for (int c = 0; c < 3; c++)
        out[c] = (uint8_t)(alpha ? (sum[c] + alpha / 2) / alpha : plain[c] / 4);
    out[3] = (uint8_t)((alpha + 2) / 4);
}

static lk_status make_levels(const char *path, lk_texture *t)
{
    t->levels = 1;
    while (t->levels < LK_TEXTURE_LEVELS && (t->width[t->levels - 1] > 1 || t->height[t->levels - 1] > 1)) {
        int from = t->levels - 1, w = (t->width[from] + 1) / 2, h = (t->height[from] + 1) / 2;
        uint8_t *texels = malloc((size_t)w * (size_t)h * 4);
        if (!texels)
            return lk_fail(LK_INTERNAL, "%s: out of memory", path);
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++)
                average(t, from, x, y, texels + 4 * ((size_t)y * (size_t)w + (size_t)x));
        t->texels[t->levels] = texels;
        t->width[t->levels] = w;
        t->height[t->levels++] = h;
    }
    return LK_OK;
}

lk_status lk_texture_decode(const void *data, size_t size, int64_t most_texels, const char *origin, lk_texture *out)
{
    lk_rgba picture;
    *out = (lk_texture){0};
    pthread_once(&tones_once, make_tones);
    lk_status status = lk_image_decode_rgba(data, size, most_texels, origin, &picture);
    out->width[0] = picture.width;
    out->height[0] = picture.height;
    out->texels[0] = picture.pixels;
    if (status == LK_OK && (picture.width > LK_MOST_TEXTURE_EDGE || picture.height > LK_MOST_TEXTURE_EDGE))
        status = lk_fail(LK_BAD_DATA, "%s: a texture of %d x %d texels; at most %d a side are read", origin, picture.width,
                         picture.height, LK_MOST_TEXTURE_EDGE);
    if (status == LK_OK)
        status = make_levels(origin, out);
    if (status != LK_OK)
        lk_texture_free(out);
    return status;
}

lk_status lk_texture_load(const char *path, lk_texture *out)
{
    char *data;
    size_t size;
    *out = (lk_texture){0};
    LK_TRY(lk_read_file(path, MAX_FILE_BYTES, &data, &size));
    lk_status status = lk_texture_decode(data, size, (int64_t)LK_MOST_TEXTURE_EDGE * LK_MOST_TEXTURE_EDGE, path, out);
    free(data);
    return status;
}

void lk_texture_free(lk_texture *texture)
{
    for (int level = 0; level < LK_TEXTURE_LEVELS; level++)
        free(texture->texels[level]);
    *texture = (lk_texture){0};
}

static int wrap(int i, int n)
{
    return (i % n + n) % n;
}

lk_vec3 lk_texture_at(const lk_texture *texture, int level, float u, float v, float *alpha)
{
    int width = texture->width[level], height = texture->height[level];
    float x = (u - floorf(u)) * (float)width - 0.5f, y = (1 - (v - floorf(v))) * (float)height - 0.5f;
    float left = floorf(x), top = floorf(y), s = x - left, t = y - top;
    lk_vec3 colour = {0};
    *alpha = 0;
    for (int k = 0; k < 4; k++) {
        int tx = wrap((int)left + k % 2, width), ty = wrap((int)top + k / 2, height);
        const uint8_t *texel = texture->texels[level] + 4 * ((size_t)ty * (size_t)width + (size_t)tx);
        float share = (k % 2 ? s : 1 - s) * (k / 2 ? t : 1 - t), opaque = share * (float)texel[3] / 255;
        colour =
            lk_vec3_add_scaled(colour, opaque, lk_v3(linear_tones[texel[0]], linear_tones[texel[1]], linear_tones[texel[2]]));
        *alpha += opaque;
    }
    return *alpha > 0 ? lk_vec3_scale(colour, 1 / *alpha) : colour;
}

int lk_texture_level(const lk_texture *texture, float texels)
{
    int level = 0;
    for (; level < texture->levels - 1 && texels > 1.5f; level++)
        texels *= 0.5f;
    return level;
}
