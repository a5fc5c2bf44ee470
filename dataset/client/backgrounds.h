/* Backgrounds: a user's own pictures behind the faces of the photo view. Filled once, then read by any thread. */
#ifndef LK_DATASET_CLIENT_BACKGROUNDS_H
#define LK_DATASET_CLIENT_BACKGROUNDS_H

#include "base/error.h"
#include "dataset/client/vector.h"
#include "dataset/image.h"

typedef struct lk_backgrounds lk_backgrounds;

lk_status lk_backgrounds_create(lk_backgrounds **out);
void lk_backgrounds_free(lk_backgrounds *backgrounds);

/* Keeps a copy of the middle square of the picture, reduced to at most LK_BACKGROUND_SIZE pixels. */
enum { LK_BACKGROUND_SIZE = 192, LK_MOST_BACKGROUNDS = 20000 };
lk_status lk_backgrounds_add(lk_backgrounds *backgrounds, const lk_image *picture);
int lk_backgrounds_count(const lk_backgrounds *backgrounds);

/* Linear light at a place of picture `number`, 0..1 from its top left. */
lk_vec3 lk_backgrounds_at(const lk_backgrounds *backgrounds, int number, float x, float y);

#endif
