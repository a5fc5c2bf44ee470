/* A prior over a character creator's parameters: how random faces are drawn.
 *
 * The decoder learns from parameters that are uniform (patent CN109902767B, paragraph 60), so that it knows the whole space. The
 * encoder learns from faces as they are met: continuous parameters about their middles, and the dependencies people have (sex,
 * origin and age decide on hair, skin, beard). Such a table is a YAML file in a schema's own names, for the built-in client
 * configs/client-prior.yaml, which says how it is written. A studio writes one for its own creator.
 */
#ifndef LK_DATASET_CLIENT_PRIOR_H
#define LK_DATASET_CLIENT_PRIOR_H

#include "base/error.h"
#include "dataset/schema.h"

#include <stdint.h>

typedef struct lk_prior lk_prior; /* immutable after loading; any thread may draw from it */

/* Errors are LK_BAD_CONFIG and name file, line and what the schema does not know. `schema` must outlive the prior. NULL is fine
 * to free. */
lk_status lk_prior_load(const char *path, const lk_schema *schema, lk_prior **out);
lk_status lk_prior_parse(const char *text, size_t size, const char *origin, const lk_schema *schema, lk_prior **out);
void lk_prior_free(lk_prior *prior);

/* Parameters of face `index` under `seed`: continuous in [0,1], discrete indices, in schema order; the same for the same
 * arguments on any machine and thread. */
void lk_prior_draw(const lk_prior *prior, uint64_t seed, uint64_t index, float *continuous, uint8_t *discrete);

#endif
