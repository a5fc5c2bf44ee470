/* Pictures that people look at: a photo with the marks of its alignment, the contact sheet of a data set. */
#ifndef LK_DATASET_ALIGN_DRAW_H
#define LK_DATASET_ALIGN_DRAW_H

#include "base/error.h"
#include "dataset/image.h"
#include "dataset/align/align.h"
#include "dataset/shard.h"

/* The face's box, landmarks, eye centres and the frame of its crop of `size`, with what it was judged by. */
void lk_draw_aligned(lk_image *photo, const lk_aligned *face, int size);

/* `count` samples spread evenly over the data set, each with its key, a bar for every continuous parameter (grey line: the middle
 * of its range) and its choices. */
lk_status lk_draw_contact_sheet(const lk_dataset *dataset, int count, const char *path);

#endif
