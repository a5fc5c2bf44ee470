/* What is to be expected of a face, given what was seen of it: a population drawn from a prior (dataset/client/prior.h), each
 * person of which counts by how well he agrees with what was seen (importance sampling). So a beard makes a man likelier,
 * grey hair age, dark skin dark eyes, as far as the prior's table says so.
 */
#ifndef LK_DATASET_LABEL_PEOPLE_H
#define LK_DATASET_LABEL_PEOPLE_H

#include "dataset/client/prior.h"
#include "dataset/label/fit.h"

typedef struct lk_people lk_people; /* immutable; shared by threads */

/* `prior` is not needed afterwards, `schema` must outlive it. */
lk_status lk_people_draw(const lk_schema *schema, const lk_prior *prior, lk_people **out);
void lk_people_free(lk_people *people); /* NULL is fine */

/* Person i of the first few thousand, who are as good as any. */
void lk_people_member(const lk_people *people, int i, const float **continuous, const uint8_t **discrete);

/* Moments of the continuous parameters, and how probable each choice is [choice_count] (NULL: not wanted). `likelihood`
 * [choice_count], group after group: how likely what was seen is if the face has this choice; NULL: nothing is known. Evidence
 * that hardly anybody fits is taken less seriously until a few dozen do. LK_INTERNAL: out of memory. */
lk_status lk_people_expect(const lk_people *people, const float *likelihood, lk_expectation *expectation, float *probability);

#endif
