/* EXIF: how a photo must be turned to stand upright; and photos that were. */
#ifndef LK_DATASET_ALIGN_EXIF_H
#define LK_DATASET_ALIGN_EXIF_H

#include "base/error.h"
#include "dataset/image.h"

#include <stddef.h>
#include <stdint.h>

/* The orientation that a JPEG (APP1) or PNG (eXIf; without it a text "Raw profile type exif") says, 1 to 8; 1 where it says none
 * or nothing sensible. */
int lk_exif_orientation(const uint8_t *data, size_t size);

/* Turns and mirrors the decoded picture accordingly (EXIF 2.3, tag 0x0112). */
lk_status lk_exif_apply(int orientation, lk_image *image);

/* A photo (PNG or JPEG) the right way up: lk_image_decode, then what its orientation says. On failure *out is empty. */
lk_status lk_photo_decode(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_image *out);

#endif
