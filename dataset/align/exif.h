/* EXIF: how a photo must be turned to stand upright. */
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

#endif
