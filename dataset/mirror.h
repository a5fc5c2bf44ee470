/* What a face's parameters become when its picture is mirrored, as the schema's optional section says:
 *
 *     mirror:
 *       swap: [[ear-left, ear-right]]            two continuous parameters, or two groups of the same choices, change places
 *       negate: [head-tilt]                      the value is mirrored within its range: v becomes min + max - v
 *       choices: {hair: [[left_part, right_part]]}
 *
 * Whatever it does not name is the same on both sides.
 */
#ifndef LK_DATASET_MIRROR_H
#define LK_DATASET_MIRROR_H

#include "base/error.h"
#include "configs/yaml.h"
#include "dataset/schema.h"

#include <stdio.h>

/* For the schema's own reader. `node` is the section; errors have the status `refusal`. */
lk_status lk_mirror_read(const lk_schema *schema, const lk_yaml_node *node, const char *origin, lk_status refusal,
                         lk_mirror **out);
void lk_mirror_free(lk_mirror *mirror, int group_count);
/* The section as canonical YAML. */
void lk_mirror_write(const lk_schema *schema, const lk_mirror *mirror, FILE *out);

/* In place; continuous in [0,1]. A schema without the section leaves both as they are. Any thread. */
void lk_schema_mirror_face(const lk_schema *schema, float *continuous, uint8_t *discrete);

#endif
