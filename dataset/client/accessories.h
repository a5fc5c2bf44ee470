/* What is worn and what is in the way in the photo view: hats, glasses, locks of hair and hands over the face. */
#ifndef LK_DATASET_CLIENT_ACCESSORIES_H
#define LK_DATASET_CLIENT_ACCESSORIES_H

#include "dataset/client/drawing.h"

/* Over the shaded skin, before the strands. */
void lk_draw_hat(lk_face *face);
/* After the strands, in this order. */
void lk_draw_glasses(lk_face *face);
void lk_draw_locks(lk_face *face);
void lk_draw_hand(lk_face *face);

#endif
