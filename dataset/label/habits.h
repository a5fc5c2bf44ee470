/* The habits of a landmark model: by how much what it sees differs from where the landmarks lie on the client's mesh. It knows
 * faces, so it sees unusual ones less unusual than they are; it has a rule of its own for where a brow or a jaw is; and it
 * scatters. All this is measured on the client's own pictures, where the truth is known, so it holds for any landmark model.
 */
#ifndef LK_DATASET_LABEL_HABITS_H
#define LK_DATASET_LABEL_HABITS_H

#include "dataset/align/align.h"
#include "dataset/client/client.h"
#include "dataset/label/people.h"

/* Edge of the crops in which landmarks are looked for. */
enum { LK_LABEL_SIZE = 192 };

/* Shows the landmark model a few dozen random faces as cameras see them. About a second of one core; the same digits for any
 * number of threads. */
lk_status lk_habits_measure(const lk_client *client, const lk_people *people, const lk_face_model *model, int threads,
                            lk_habits *out);

/* An aligner for crops of LK_LABEL_SIZE, for the next. */
lk_status lk_label_aligner_create(const lk_face_model *model, lk_aligner **out);

/* The landmarks of a crop [LK_LABEL_SIZE, LK_LABEL_SIZE, 3], eyes at their places, in eye distances (fit.h). */
lk_status lk_label_landmarks(lk_aligner *aligner, const uint8_t *crop, lk_point out[LK_LANDMARKS]);

#endif
