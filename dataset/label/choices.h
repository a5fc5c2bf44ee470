/* The discrete parameters of a photo by trying: the client draws the fitted face with each choice of a group, in the photo's
 * pose, and what is measured in those pictures is compared with the photo (measures.h). How near each comes is evidence,
 * which people.h weighs against what faces are like. Groups that are not the built-in client's are left open.
 */
#ifndef LK_DATASET_LABEL_CHOICES_H
#define LK_DATASET_LABEL_CHOICES_H

#include "dataset/label/measures.h"

/* Draws a face with these choices. */
typedef lk_status lk_draw_choices(void *context, const uint8_t *discrete, uint8_t *picture);

typedef struct lk_chooser lk_chooser; /* scratch memory of one thread */
lk_status lk_chooser_create(const lk_schema *schema, const lk_people *people, lk_chooser **out);
void lk_chooser_free(lk_chooser *chooser); /* NULL is fine */

/* photo [LK_LABEL_SIZE, LK_LABEL_SIZE, 3] with its landmarks; `drawn` are those of the client's pictures. Group after group,
 * each with the choices found before. Sets discrete and certainty [group_count], and what is then to be expected of the
 * continuous parameters. */
lk_status lk_choose(lk_chooser *chooser, const uint8_t *photo, const lk_point landmarks[LK_LANDMARKS],
                    const lk_point drawn[LK_LANDMARKS], lk_draw_choices *draw, void *context, uint8_t *discrete, float *certainty,
                    lk_expectation *expectation);

#endif
