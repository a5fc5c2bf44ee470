#include "dataset/client/backgrounds.h"

#include "dataset/client/styles.h"

#include <stdlib.h>

struct lk_backgrounds {
    int count;
    lk_image *pictures;
    float linear[256]; /* of an sRGB byte */
};

lk_status lk_backgrounds_create(lk_backgrounds **out)
{
    lk_backgrounds *b = calloc(1, sizeof *b);
    if (!b)
        return lk_fail(LK_INTERNAL, "no memory for backgrounds");
    for (int i = 0; i < 256; i++)
        b->linear[i] = lk_srgb((float)i, 0, 0).x;
    *out = b;
    return LK_OK;
}

void lk_backgrounds_free(lk_backgrounds *b)
{
    if (!b)
        return;
    for (int i = 0; i < b->count; i++)
        lk_image_free(&b->pictures[i]);
    free(b->pictures);
    free(b);
}

/* The mean of the source's pixels that pixel (x, y) of the smaller picture covers. */
static void reduce_pixel(const lk_image *from, int left, int top, int edge, int size, int x, int y, uint8_t *out)
{
    int x0 = left + x * edge / size, x1 = left + (x + 1) * edge / size;
    int y0 = top + y * edge / size, y1 = top + (y + 1) * edge / size;
    for (int k = 0; k < 3; k++) {
        long sum = 0;
        for (int j = y0; j < y1; j++)
            for (int i = x0; i < x1; i++)
                sum += from->pixels[((size_t)j * (size_t)from->width + (size_t)i) * 3 + (size_t)k];
        out[k] = (uint8_t)(sum / ((long)(x1 - x0) * (y1 - y0)));
    }
}

lk_status lk_backgrounds_add(lk_backgrounds *b, const lk_image *picture)
{
    int edge = picture->width < picture->height ? picture->width : picture->height;
    int size = edge < LK_BACKGROUND_SIZE ? edge : LK_BACKGROUND_SIZE;
    if (b->count == LK_MOST_BACKGROUNDS)
        return lk_fail(LK_BAD_DATA, "more than %d backgrounds; give fewer pictures", LK_MOST_BACKGROUNDS);
    lk_image *grown = realloc(b->pictures, (size_t)(b->count + 1) * sizeof *grown);
    if (!grown)
        return lk_fail(LK_INTERNAL, "no memory for backgrounds");
    b->pictures = grown;
    lk_image *kept = &grown[b->count];
    LK_TRY(lk_image_allocate(size, size, kept));
    b->count++;
    int left = (picture->width - edge) / 2, top = (picture->height - edge) / 2;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            reduce_pixel(picture, left, top, edge, size, x, y, kept->pixels + ((size_t)y * (size_t)size + (size_t)x) * 3);
    return LK_OK;
}

int lk_backgrounds_count(const lk_backgrounds *b)
{
    return b ? b->count : 0;
}

static lk_vec3 texel(const lk_backgrounds *b, const lk_image *picture, int x, int y)
{
    x = x < 0 ? 0 : x >= picture->width ? picture->width - 1 : x;
    y = y < 0 ? 0 : y >= picture->height ? picture->height - 1 : y;
    const uint8_t *p = picture->pixels + ((size_t)y * (size_t)picture->width + (size_t)x) * 3;
    return lk_v3(b->linear[p[0]], b->linear[p[1]], b->linear[p[2]]);
}

lk_vec3 lk_backgrounds_at(const lk_backgrounds *b, int number, float x, float y)
{
    const lk_image *picture = &b->pictures[number];
    float u = x * (float)picture->width - 0.5f, v = y * (float)picture->height - 0.5f;
    int i = (int)floorf(u), j = (int)floorf(v);
    float s = u - (float)i, t = v - (float)j;
    return lk_vec3_mix(lk_vec3_mix(texel(b, picture, i, j), texel(b, picture, i + 1, j), s),
                       lk_vec3_mix(texel(b, picture, i, j + 1), texel(b, picture, i + 1, j + 1), s), t);
}
