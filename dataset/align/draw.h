/* Drawing into pictures that people look at: lines, boxes, text, the marks of an alignment, the contact sheet of a data set. */
#ifndef LK_DATASET_ALIGN_DRAW_H
#define LK_DATASET_ALIGN_DRAW_H

#include "base/error.h"
#include "dataset/image.h"
#include "dataset/align/align.h"
#include "dataset/shard.h"

typedef struct lk_colour {
    uint8_t red, green, blue;
} lk_colour;

/* What lies outside the picture is left out. Coordinates in pixels. */
void lk_draw_rectangle(lk_image *image, int x, int y, int width, int height, lk_colour colour);
void lk_draw_line(lk_image *image, lk_point from, lk_point to, int thickness, lk_colour colour);
/* Letters of 5 x 7 pixels, times `scale`; other characters than ASCII show as "?". Returns the x behind the text. */
int lk_draw_text(lk_image *image, int x, int y, int scale, const char *text, lk_colour colour);

/* The face's box, landmarks, eye centres and the frame of its crop of `size`, with what it was judged by. */
void lk_draw_aligned(lk_image *photo, const lk_aligned *face, int size);

/* `count` samples spread evenly over the data set, each with its key, a bar for every continuous parameter (grey line: the middle
 * of its range) and its choices. */
lk_status lk_draw_contact_sheet(const lk_dataset *dataset, int count, const char *path);

#endif
