/* The triptych: the input, what the decoder draws, the client's render, side by side. Declared in evaluate.h. */
#include "dataset/align/warp.h"
#include "dataset/image.h"
#include "trainer/evaluate/evaluate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The client's pictures of the faces' parameters. */
static lk_status draw_faces(lk_any_client *client, const lk_schema *schema, const lk_faces *faces, uint8_t *pixels)
{
    size_t bytes = (size_t)faces->size * (size_t)faces->size * 3;
    for (int i = 0; i < faces->count; i++) {
        char name[32];
        lk_image image;
        snprintf(name, sizeof name, "face-%d", i + 1);
        LK_TRY(lk_any_client_draw(client, 0, name, NULL, faces->continuous + (size_t)i * (size_t)schema->continuous_count,
                                  faces->discrete + (size_t)i * (size_t)schema->group_count, &image));
        lk_status status = LK_OK;
        if (image.width == faces->size)
            memcpy(pixels + (size_t)i * bytes, image.pixels, bytes);
        else
            status = lk_resize(&image, faces->size, pixels + (size_t)i * bytes);
        lk_image_free(&image);
        LK_TRY(status);
    }
    return LK_OK;
}

lk_status lk_lay_triptychs(int size, int count, int parts, const uint8_t *const *pictures, int columns, lk_image *out)
{
    enum { GAP = LK_TRIPTYCH_GAP };
    size_t tile_bytes = (size_t)size * (size_t)size * 3;
    int rows = (count + columns - 1) / columns;
    LK_TRY(lk_image_allocate(columns * (parts * size + GAP) - GAP, rows * (size + GAP) - GAP, out));
    memset(out->pixels, 255, (size_t)out->width * (size_t)out->height * 3);
    for (int i = 0; i < count; i++)
        for (int part = 0; part < parts; part++) {
            lk_image tile = {size, size, (uint8_t *)(uintptr_t)(pictures[part] + (size_t)i * tile_bytes)};
            lk_image_paste(out, &tile, i % columns * (parts * size + GAP) + part * size, i / columns * (size + GAP));
        }
    return LK_OK;
}

lk_status lk_draw_triptych(const lk_schema *schema, const lk_faces *faces, lk_any_client *client, int columns, const char *path)
{
    lk_image sheet = {0};
    uint8_t *drawn = malloc((size_t)(faces->count + 1) * (size_t)faces->size * (size_t)faces->size * 3);
    lk_status status = drawn ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %d pictures", faces->count);
    if (status == LK_OK && client)
        status = draw_faces(client, schema, faces, drawn);
    const uint8_t *const pictures[3] = {faces->inputs, faces->decoded, drawn};
    if (status == LK_OK)
        status = lk_lay_triptychs(faces->size, faces->count, client ? 3 : 2, pictures, columns, &sheet);
    if (status == LK_OK)
        status = lk_image_save_png(path, &sheet);
    lk_image_free(&sheet);
    free(drawn);
    return status;
}
