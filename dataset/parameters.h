/* Parameter files: one face's parameters as the client writes and reads them.
 *
 * JSON: {"continuous": {name: value in client units}, "discrete": {group: choice}}; MakeHuman's .mhm: text lines
 * "modifier group/name value". Both must name every parameter of the schema exactly once and nothing else: a missing or
 * unknown name, a value that is not finite or outside min..max, an unknown choice is LK_BAD_DATA and is named.
 */
#ifndef LK_DATASET_PARAMETERS_H
#define LK_DATASET_PARAMETERS_H

#include "dataset/schema.h"

#include <stddef.h>

/* `continuous` has schema->continuous_count entries in [0,1], `discrete` schema->group_count indices. `origin` names the
 * source in errors. */
lk_status lk_parameters_parse_json(const lk_schema *schema, const char *text, size_t size, const char *origin, float *continuous,
                                   uint8_t *discrete);
lk_status lk_parameters_load(const lk_schema *schema, const char *path, float *continuous, uint8_t *discrete);

/* Values in client units, pretty-printed, in schema order. */
lk_status lk_parameters_save(const lk_schema *schema, const char *path, const float *continuous, const uint8_t *discrete);

#endif
