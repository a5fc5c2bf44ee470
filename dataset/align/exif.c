#include "dataset/align/exif.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

/* A few texts, and so much of each: a file of a few megabytes could hold tens of thousands, each unpacked a thousandfold. */
enum { ORIENTATION_TAG = 0x0112, MAX_TEXTS = 8, MAX_TEXT = 256 << 10 };

static const char exif_mark[6] = "Exif\0"; /* with its second zero */

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

/* The whole number that an entry of a directory holds: SHORT by the standard, LONG out of some programs, or their signed kin. */
static uint32_t entry_value(const bytes *b, size_t entry)
{
    switch (get16(b, entry + 2)) {
    case 3:
    case 8: return get16(b, entry + 8);
    case 4:
    case 9: return get32(b, entry + 8);
    default: return 0;
    }
}

/* TIFF, as EXIF is; the mark in front of it belongs to JPEG but is found elsewhere too. */
static int of_tiff(const uint8_t *data, size_t size)
{
    if (size >= sizeof exif_mark && memcmp(data, exif_mark, sizeof exif_mark) == 0) {
        data += sizeof exif_mark;
        size -= sizeof exif_mark;
    }
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
        if (get16(&b, entry) == ORIENTATION_TAG) {
            uint32_t value = entry_value(&b, entry);
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
        if (marker == 0xe1 && length >= 8 && memcmp(data + at + 4, exif_mark, sizeof exif_mark) == 0)
            return of_tiff(data + at + 4, length - 2);
        at += 2 + length;
    }
    return 1;
}

/* ---- PNG: a chunk of its own, or EXIF as hexadecimal text under a name that ImageMagick gave it ---- */

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The text is "\nexif\n  SIZE\n", then digits in lines. They are turned into bytes in place. */
static int of_hexadecimal(uint8_t *text, size_t size)
{
    size_t at = 0, count = 0;
    for (int lines = 0; lines < 3 && at < size; at++)
        lines += text[at] == '\n';
    for (int high = -1; at < size; at++) {
        int value = digit(text[at]);
        if (value < 0)
            continue;
        if (high >= 0)
            text[count++] = (uint8_t)(high << 4 | value);
        high = high >= 0 ? -1 : value;
    }
    return of_tiff(text, count);
}

/* Where the text of a tEXt, zTXt or iTXt chunk begins and whether it is compressed; NULL where the chunk holds no EXIF. */
static const uint8_t *find_text(const uint8_t *chunk, size_t size, bool *compressed)
{
    const uint8_t *data = chunk + 8, *end = data + size, *zero = memchr(data, 0, size);
    bool international = memcmp(chunk + 4, "iTXt", 4) == 0;
    if (!zero || (strcasecmp((const char *)data, "Raw profile type exif") != 0 &&
                  strcasecmp((const char *)data, "Raw profile type APP1") != 0))
        return NULL;
    *compressed = memcmp(chunk + 4, "zTXt", 4) == 0;
    data = zero + 1;
    if (international) {
        *compressed = data < end && data[0] == 1;
        data = end - data > 2 ? data + 2 : end;
        for (int i = 0; i < 2; i++) { /* language, translated name */
            zero = memchr(data, 0, (size_t)(end - data));
            data = zero ? zero + 1 : end;
        }
    } else if (*compressed && data < end) {
        data++; /* the method */
    }
    return data;
}

/* *texts counts those that hold EXIF. */
static int of_text(const uint8_t *chunk, size_t size, int *texts)
{
    bool compressed;
    const uint8_t *text = find_text(chunk, size, &compressed);
    if (!text || ++*texts > MAX_TEXTS)
        return 1;
    size_t length = (size_t)(chunk + 8 + size - text);
    uLongf room = compressed ? MAX_TEXT : length < MAX_TEXT ? length : MAX_TEXT;
    uint8_t copy[MAX_TEXT];
    if (compressed) /* of a text that is longer, its beginning */
        uncompress(copy, &room, text, length);
    else
        memcpy(copy, text, room);
    return of_hexadecimal(copy, room);
}

static int of_png(const uint8_t *data, size_t size)
{
    bytes b = {data, size, true};
    size_t at = 8;
    int in_text = 1, texts = 0;
    while (at + 12 <= size) {
        size_t length = get32(&b, at);
        if (length > size - at - 12)
            break;
        const uint8_t *type = data + at + 4;
        if (memcmp(type, "eXIf", 4) == 0)
            return of_tiff(data + at + 8, length);
        if (in_text == 1 && (memcmp(type, "tEXt", 4) == 0 || memcmp(type, "zTXt", 4) == 0 || memcmp(type, "iTXt", 4) == 0))
            in_text = of_text(data + at, length, &texts);
        at += 12 + length;
    }
    return in_text;
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

lk_status lk_photo_decode(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_image *out)
{
    LK_TRY(lk_image_decode(data, size, max_pixels, origin, out));
    lk_status status = lk_exif_apply(lk_exif_orientation(data, size), out);
    if (status != LK_OK)
        lk_image_free(out);
    return status;
}
