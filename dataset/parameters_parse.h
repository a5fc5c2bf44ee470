/* What the readers of parameter files share (parameters.c: JSON, mhm.c: MakeHuman's files); others use dataset/parameters.h. */
#ifndef LK_DATASET_PARAMETERS_PARSE_H
#define LK_DATASET_PARAMETERS_PARSE_H

#include "dataset/schema.h"

#include <stdbool.h>
#include <stddef.h>

/* One parse: where values go, and which have come already. */
typedef struct lk_parse {
    const lk_schema *schema;
    const char *origin; /* names the source in errors */
    float *continuous;
    uint8_t *discrete;
    bool has_continuous[LK_MAX_CONTINUOUS];
    bool has_group[LK_MAX_GROUPS];
} lk_parse;

/* Client units and [0,1] (patent CN109902767B: normalised continuous parameters). */
float lk_from_client_units(const lk_continuous *parameter, float value);
float lk_in_client_units(const lk_continuous *parameter, float share);

/* A value by its name: LK_BAD_DATA if the schema does not know it, it stood there before, or is out of range. */
lk_status lk_parse_continuous(lk_parse *parse, const char *name, double value);
lk_status lk_parse_choice(lk_parse *parse, const char *group, const char *choice);

/* LK_BAD_DATA if a group got no choice; `how` says how to give one. */
lk_status lk_parse_require_groups(const lk_parse *parse, const char *how);
/* LK_BAD_DATA for more than LK_PARAMETERS_BYTES. */
lk_status lk_parse_check_size(const char *origin, size_t size);

#endif
