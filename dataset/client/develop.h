/* Developing: from samples in linear light to a picture of bytes, with the faults that a scene's camera has. */
#ifndef LK_DATASET_CLIENT_DEVELOP_H
#define LK_DATASET_CLIENT_DEVELOP_H

#include "base/error.h"
#include "dataset/client/raster.h"
#include "dataset/client/scene.h"

#include <stdint.h>

/* Scratch memory for pictures of one size; one thread. */
typedef struct lk_darkroom lk_darkroom;

lk_status lk_darkroom_create(int size, lk_darkroom **out);
void lk_darkroom_free(lk_darkroom *darkroom);

/* Averages the raster's samples to the darkroom's size, applies the scene's faults, writes image[size * size * 3]. The
 * raster's size is a whole multiple of the picture's. */
lk_status lk_develop(lk_darkroom *darkroom, const lk_raster *raster, const lk_scene *scene, uint8_t *image);

#endif
