/* Augmentation: random changes of a picture on its way to the encoder, so that few faces look like many. What is drawn for a
 * sample follows from (seed, epoch, sample) alone: the same for any number of ranks and threads, and after a resume.
 *
 * Each strength is 0 (never) to 1. Labels change with `flip` alone, as the schema's section `mirror` says.
 */
#ifndef LK_DATASET_AUGMENT_H
#define LK_DATASET_AUGMENT_H

#include "base/error.h"
#include "dataset/schema.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct lk_augment {
    double flip;    /* share of the faces that are mirrored */
    double colour;  /* exposure, white balance, contrast, saturation: at 1 by up to .6 stops, 20 %, 30 %, 50 % */
    double blur;    /* half of the faces: at 1 by up to 1.2 % of the edge */
    double noise;   /* half of the faces: at 1 a standard deviation of up to 9 % */
    double jpeg;    /* share of the faces that are compressed at a quality of 25 to 95 */
    double occlude; /* share of the faces with a patch of another colour over 3 to 15 % of the picture */
    double crop; /* how far a crop is off, as dlib's landmarks scatter: at 1 standard deviations of 1.4 %, 2.8 %, 2.1 degrees */
    double warp; /* how far places a fifth of the edge apart move by themselves: at 1 a standard deviation of 3.5 % */
} lk_augment;

bool lk_augment_any(const lk_augment *augment);

/* Scratch memory of one thread for pictures of one size. */
typedef struct lk_augmenter lk_augmenter;
lk_status lk_augmenter_create(int size, lk_augmenter **out);
void lk_augmenter_free(lk_augmenter *augmenter);

/* image [size, size, 3], continuous and discrete in schema order; all in place. `key` decides what is drawn. */
lk_status lk_augmenter_apply(lk_augmenter *augmenter, const lk_augment *augment, const lk_schema *schema, uint64_t key,
                             uint8_t *image, float *continuous, uint8_t *discrete);

/* The key of a sample. */
uint64_t lk_augment_key(uint64_t seed, int64_t epoch, int64_t sample);

#endif
