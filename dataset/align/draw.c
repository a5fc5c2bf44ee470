#include "dataset/align/draw.h"

#include "dataset/align/font.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct lk_colour {
    uint8_t red, green, blue;
} lk_colour;

static const lk_colour green = {40, 220, 80}, yellow = {255, 220, 0}, red = {240, 60, 50}, blue = {60, 120, 220};
static const lk_colour black = {0, 0, 0}, grey = {170, 170, 170}, pale = {225, 225, 225};

/* What lies outside the picture is left out. Coordinates in pixels. */
static void draw_rectangle(lk_image *image, int x, int y, int width, int height, lk_colour colour)
{
    int right = x + width < image->width ? x + width : image->width,
        bottom = y + height < image->height ? y + height : image->height;
    for (int row = y < 0 ? 0 : y; row < bottom; row++) {
        for (int column = x < 0 ? 0 : x; column < right; column++) {
            uint8_t *p = image->pixels + ((size_t)row * (size_t)image->width + (size_t)column) * 3;
            p[0] = colour.red;
            p[1] = colour.green;
            p[2] = colour.blue;
        }
    }
}

static void draw_line(lk_image *image, lk_point from, lk_point to, int thickness, lk_colour colour)
{
    int steps = (int)fmin(ceil(hypot(to.x - from.x, to.y - from.y)), 1e5);
    for (int i = 0; i <= steps; i++) {
        double t = steps > 0 ? (double)i / steps : 0;
        int x = (int)floor(from.x + t * (to.x - from.x)), y = (int)floor(from.y + t * (to.y - from.y));
        draw_rectangle(image, x - thickness / 2, y - thickness / 2, thickness, thickness, colour);
    }
}

/* Letters of 5 x 7 pixels, times `scale`; other characters than ASCII show as "?". */
static void draw_text(lk_image *image, int x, int y, int scale, const char *text, lk_colour colour)
{
    for (; *text; text++) {
        if (((unsigned char)*text & 0xc0) == 0x80)
            continue; /* the rest of a character of UTF-8 */
        int glyph = *text >= LK_FONT_FIRST && *text < LK_FONT_FIRST + LK_FONT_COUNT ? *text - LK_FONT_FIRST : '?' - LK_FONT_FIRST;
        for (int row = 0; row < LK_FONT_HEIGHT; row++)
            for (int column = 0; column < LK_FONT_WIDTH; column++)
                if (lk_font[glyph][row] >> column & 1)
                    draw_rectangle(image, x + column * scale, y + row * scale, scale, scale, colour);
        x += LK_FONT_WIDTH * scale;
    }
}

void lk_draw_aligned(lk_image *photo, const lk_aligned *face, int size)
{
    int longer = photo->width > photo->height ? photo->width : photo->height, thick = longer / 500 + 1;
    const lk_face_box *b = &face->box;
    lk_point box[] = {{b->left, b->top}, {b->right, b->top}, {b->right, b->bottom}, {b->left, b->bottom}};
    lk_point crop[] = {{0, 0}, {size, 0}, {size, size}, {0, size}}, left, right;
    for (int i = 0; i < 4; i++)
        crop[i] = lk_similarity_apply(&face->frame, crop[i]);
    for (int i = 0; i < 4; i++) {
        draw_line(photo, box[i], box[(i + 1) % 4], thick, yellow);
        draw_line(photo, crop[i], crop[(i + 1) % 4], thick, face->rejected ? red : green);
    }
    for (int i = 0; i < LK_LANDMARKS; i++)
        draw_line(photo, face->landmarks[i], face->landmarks[i], 2 * thick, green);
    lk_eye_centres(face->landmarks, &left, &right);
    draw_line(photo, left, right, thick, red);
    char text[96];
    snprintf(text, sizeof text, "%s x%.2f turn %.0f sharp %.3f", face->rejected ? face->rejected : "taken", face->enlarge,
             face->turn, face->sharpness);
    draw_text(photo, (int)b->left + 2, (int)b->top + 3, thick, text, face->rejected ? red : green);
}

/* ---- the contact sheet ---- */

enum { TILE = 192, GAP = 6, LINE = 9, BARS = 40 };

typedef struct sheet {
    const lk_schema *schema;
    lk_image page;
    int columns, tile_height;
    uint8_t *image; /* one sample's */
    float *continuous;
    uint8_t *discrete;
} sheet;

static void draw_bars(lk_image *page, int x, int y, const float *values, int count)
{
    draw_rectangle(page, x, y, TILE, BARS, pale);
    draw_rectangle(page, x, y + BARS / 2, TILE, 1, grey);
    for (int i = 0; i < count; i++) {
        int from = x + (int)((int64_t)i * TILE / count), to = x + (int)((int64_t)(i + 1) * TILE / count);
        int height = (int)lroundf(values[i] * BARS), width = to - from > 2 ? to - from - 1 : 1;
        draw_rectangle(page, from, y + BARS - height, width, height, blue);
    }
}

static lk_status draw_tile(sheet *s, int size, int number, const char *key)
{
    int x = GAP + number % s->columns * (TILE + GAP), y = GAP + number / s->columns * (s->tile_height + GAP);
    lk_image picture = {size, size, s->image}, tile;
    LK_TRY(lk_image_allocate(TILE, TILE, &tile));
    lk_status status = lk_resize(&picture, TILE, tile.pixels);
    if (status == LK_OK)
        lk_image_paste(&s->page, &tile, x, y);
    lk_image_free(&tile);
    LK_TRY(status);
    y += TILE + 2;
    char text[TILE / LK_FONT_WIDTH + 1];
    size_t length = strlen(key), most = sizeof text - 1; /* the end of a long key tells more than its start */
    snprintf(text, sizeof text, "%s", key + (length > most ? length - most : 0));
    draw_text(&s->page, x, y, 1, text, black);
    draw_bars(&s->page, x, y + LINE, s->continuous, s->schema->continuous_count);
    y += LINE + BARS + 3;
    for (int g = 0; g < s->schema->group_count; g++, y += LINE) {
        const lk_choice_group *group = &s->schema->groups[g];
        snprintf(text, sizeof text, "%s: %s", group->name, group->choices[s->discrete[g]]);
        draw_text(&s->page, x, y, 1, text, black);
    }
    return LK_OK;
}

lk_status lk_draw_contact_sheet(const lk_dataset *dataset, int count, const char *path)
{
    sheet s = {.schema = lk_dataset_schema(dataset)};
    int64_t samples = lk_dataset_count(dataset);
    int size = lk_dataset_size(dataset);
    if (count > samples)
        count = (int)samples;
    s.columns = 1;
    while (s.columns * s.columns < count)
        s.columns++;
    int rows = (count + s.columns - 1) / s.columns;
    s.tile_height = TILE + 2 + LINE + BARS + 3 + s.schema->group_count * LINE;
    s.image = malloc((size_t)size * (size_t)size * 3);
    s.continuous = malloc((size_t)s.schema->continuous_count * sizeof *s.continuous);
    s.discrete = malloc((size_t)s.schema->group_count);
    lk_status status = s.image && s.continuous && s.discrete ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for a contact sheet");
    if (status == LK_OK)
        status = lk_image_allocate(GAP + s.columns * (TILE + GAP), GAP + rows * (s.tile_height + GAP), &s.page);
    if (status == LK_OK)
        draw_rectangle(&s.page, 0, 0, s.page.width, s.page.height, (lk_colour){255, 255, 255});
    for (int i = 0; i < count && status == LK_OK; i++) {
        char key[LK_KEY_SIZE];
        status = lk_dataset_read(dataset, i * samples / count, s.image, s.continuous, s.discrete, key);
        if (status == LK_OK)
            status = draw_tile(&s, size, i, key);
    }
    if (status == LK_OK)
        status = lk_image_save_png(path, &s.page);
    lk_image_free(&s.page);
    free(s.image);
    free(s.continuous);
    free(s.discrete);
    return status;
}
