/* Pictures: uint8 RGB, rows from the top, 3 bytes a pixel, no padding; PNG (libspng) and JPEG (libjpeg-turbo). */
#ifndef LK_DATASET_IMAGE_H
#define LK_DATASET_IMAGE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef struct lk_image {
    int width, height;
    uint8_t *pixels; /* width * height * 3 */
} lk_image;

/* Black. Both edges 1 to 65535. */
lk_status lk_image_allocate(int width, int height, lk_image *out);
void lk_image_free(lk_image *image);

/* Written atomically; equal pixels give equal bytes. */
lk_status lk_image_save_png(const char *path, const lk_image *image);
/* The same bytes in memory; *data is freed by the caller with free(). */
lk_status lk_image_encode_png(const lk_image *image, uint8_t **data, size_t *size);

/* Width times height as the header of a PNG or JPEG says; 0 where it is none. Nothing is decoded. */
int64_t lk_image_pixels(const void *data, size_t size);

/* Decodes PNG or JPEG by content; refuses more than max_pixels before allocating for them. `origin` names it in errors
 * (LK_BAD_DATA). Grey is spread to RGB, alpha dropped over white, 16 bit reduced, inks (CMYK, YCCK) multiplied to RGB; profiles
 * are passed over. EXIF orientation is not applied here. A picture that decodes with a warning (cut short, bad codes) is damaged:
 * LK_BAD_DATA. On failure *out is empty. It takes up to LK_DECODING_COST bytes a pixel, the picture included. */
enum { LK_DECODING_COST = 12 };
lk_status lk_image_decode(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_image *out);

/* The same with its transparency: RGBA, 4 bytes a pixel, freed by the caller with free(); a JPEG is opaque. */
typedef struct lk_rgba {
    int width, height;
    uint8_t *pixels; /* width * height * 4 */
} lk_rgba;
lk_status lk_image_decode_rgba(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_rgba *out);

/* JPEG bytes of a picture at a quality of 1..100, 4:4:4; *data is freed by the caller with free(). */
lk_status lk_image_encode_jpeg(const lk_image *image, int quality, uint8_t **data, size_t *size);

/* Copies `tile` (of tile size) into `sheet` with its top left corner at (x, y); it must fit. */
void lk_image_paste(lk_image *sheet, const lk_image *tile, int x, int y);

#endif
