#include "dataset/align/exif.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { ORIENTATION_TAG = 0x0112, TYPE_SHORT = 3 };

/* Bytes with their order; reads beyond the end are 0. */
typedef struct bytes {
    const uint8_t *data;
    size_t size;
    bool big;
} bytes;

static uint32_t get16(const bytes *b, size_t at)
{
    if (b->size < 2 || at > b->size - 2)
        return 0;
    const uint8_t *p = b->data + at;
    return b->big ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
}

static uint32_t get32(const bytes *b, size_t at)
{
    uint32_t first = get16(b, at), second = get16(b, at + 2);
    return b->big ? first << 16 | second : second << 16 | first;
}

static int of_tiff(const uint8_t *data, size_t size)
{
    bytes b = {data, size, false};
    if (size < 8)
        return 1;
    b.big = data[0] == 'M';
    if (memcmp(data, b.big ? "MM" : "II", 2) != 0 || get16(&b, 2) != 42)
        return 1;
    size_t directory = get32(&b, 4);
    if (directory > size)
        return 1;
    uint32_t count = get16(&b, directory);
    for (uint32_t i = 0; i < count; i++) {
        size_t entry = directory + 2 + 12 * (size_t)i;
        if (entry + 12 > size)
            break;
        if (get16(&b, entry) == ORIENTATION_TAG && get16(&b, entry + 2) == TYPE_SHORT) {
            uint32_t value = get16(&b, entry + 8);
            return value >= 1 && value <= 8 ? (int)value : 1;
        }
    }
    return 1;
}

static int of_jpeg(const uint8_t *data, size_t size)
{
    bytes b = {data, size, true};
    size_t at = 2;
    while (at + 4 <= size && data[at] == 0xff) {
        uint8_t marker = data[at + 1];
        if (marker == 0xff) { /* fill byte */
            at++;
            continue;
        }
        if (marker == 0xda || marker == 0xd9)
            break;
        size_t length = get16(&b, at + 2);
        if (length < 2 || length > size - at - 2)
            break;
        if (marker == 0xe1 && length >= 8 && memcmp(data + at + 4, "Exif\0\0", 6) == 0)
            return of_tiff(data + at + 10, length - 8);
        at += 2 + length;
    }
    return 1;
}

static int of_png(const uint8_t *data, size_t size)
{
    bytes b = {data, size, true};
    size_t at = 8;
    while (at + 12 <= size) {
        size_t length = get32(&b, at);
        if (length > size - at - 12)
            break;
        if (memcmp(data + at + 4, "eXIf", 4) == 0)
            return of_tiff(data + at + 8, length);
        at += 12 + length;
    }
    return 1;
}

int lk_exif_orientation(const uint8_t *data, size_t size)
{
    if (size >= 4 && data[0] == 0xff && data[1] == 0xd8)
        return of_jpeg(data, size);
    if (size >= 8 && memcmp(data, "\x89PNG\r\n\x1a\n", 8) == 0)
        return of_png(data, size);
    return 1;
}

lk_status lk_exif_apply(int orientation, lk_image *image)
{
    /* What each value says of the stored rows and columns: whether they are swapped, then which axes run backwards. */
    static const struct {
        bool swapped, from_right, from_bottom;
    } table[9] = {[1] = {0, 0, 0}, [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1},
                  [5] = {1, 0, 0}, [6] = {1, 0, 1}, [7] = {1, 1, 1}, [8] = {1, 1, 0}};
    if (orientation < 2 || orientation > 8)
        return LK_OK;
    bool swapped = table[orientation].swapped;
    lk_image turned;
    LK_TRY(lk_image_allocate(swapped ? image->height : image->width, swapped ? image->width : image->height, &turned));
    for (int y = 0; y < turned.height; y++) {
        for (int x = 0; x < turned.width; x++) {
            int from_x = swapped ? y : x, from_y = swapped ? x : y;
            if (table[orientation].from_right)
                from_x = image->width - 1 - from_x;
            if (table[orientation].from_bottom)
                from_y = image->height - 1 - from_y;
            memcpy(turned.pixels + ((size_t)y * (size_t)turned.width + (size_t)x) * 3,
                   image->pixels + ((size_t)from_y * (size_t)image->width + (size_t)from_x) * 3, 3);
        }
    }
    lk_image_free(image);
    *image = turned;
    return LK_OK;
}
