/* The triptych: the input, what the decoder draws, the client's render, side by side. Declared in evaluate.h. */
#include "base/log.h"
#include "dataset/client/client.h"
#include "dataset/image.h"
#include "trainer/evaluate/evaluate.h"

#include <stdlib.h>
#include <string.h>

/* The client's canonical pictures of the faces' parameters. */
static lk_status render_faces(const lk_client *client, const lk_schema *schema, const lk_faces *faces, uint8_t *pixels)
{
    lk_renderer *renderer = NULL;
    LK_TRY(lk_renderer_create(client, faces->size, &renderer));
    lk_status status = LK_OK;
    for (int i = 0; status == LK_OK && i < faces->count; i++)
        status = lk_render(renderer, faces->continuous + (size_t)i * (size_t)schema->continuous_count,
                           faces->discrete + (size_t)i * (size_t)schema->group_count, LK_CANONICAL, 0,
                           pixels + (size_t)i * (size_t)faces->size * (size_t)faces->size * 3);
    lk_renderer_free(renderer);
    return status;
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

lk_status lk_draw_triptych(const lk_schema *schema, const lk_faces *faces, const char *assets, int columns, const char *path)
{
    lk_client *client = NULL;
    lk_image sheet = {0};
    uint8_t *rendered = malloc((size_t)(faces->count + 1) * (size_t)faces->size * (size_t)faces->size * 3);
    lk_status status = rendered ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %d renders", faces->count);
    if (status != LK_OK)
        goto done;
    if (lk_client_open_assets(NULL, assets, schema, &client) != LK_OK)
        lk_warn("no client renders in the picture: %s", lk_error_text());
    else
        LK_TRY_OR(done, render_faces(client, schema, faces, rendered));
    const uint8_t *const pictures[3] = {faces->inputs, faces->decoded, rendered};
    LK_TRY_OR(done, lk_lay_triptychs(faces->size, faces->count, client ? 3 : 2, pictures, columns, &sheet));
    status = lk_image_save_png(path, &sheet);
done:
    lk_image_free(&sheet);
    lk_client_close(client);
    free(rendered);
    return status;
}
