/* Schema: the parameters of a character creator, in the order in which vectors hold them.
 *
 * Written as YAML by the studio, carried as text by every shard and checkpoint:
 *
 *     name: makehuman-face
 *     continuous:
 *       - {name: head/head-scale-vert-decr|incr, min: -0.35, max: 0.35, default: 0}
 *     discrete:
 *       - {name: hair, choices: [bald, short, bob]}
 *
 * A creator that tells left from right adds a section `mirror` (dataset/mirror.h).
 *
 * A face is nc floats in [0,1] (patent CN109902767B: pc, the client value mapped by (v - min) / (max - min)) and one choice
 * index per group (pd, one-hot where the decoder needs it). Immutable after loading; any thread may read it.
 */
#ifndef LK_DATASET_SCHEMA_H
#define LK_DATASET_SCHEMA_H

#include "base/error.h"

#include <stdint.h>
#include <stdio.h>

/* At least one continuous parameter and one group; names (of the schema, parameters, groups, choices) are 1 to LK_MAX_NAME bytes
 * of UTF-8 without control characters, each once in its list. */
enum { LK_MAX_CONTINUOUS = 1024, LK_MAX_GROUPS = 64, LK_MAX_CHOICES = 255, LK_MAX_NAME = 200, LK_MAX_SCHEMA_TEXT = 1 << 20 };

typedef struct lk_continuous {
    char *name;
    float min, max;      /* client units, min < max */
    float default_value; /* client units, min <= default <= max */
} lk_continuous;

typedef struct lk_choice_group {
    char *name;
    int count; /* 2 .. LK_MAX_CHOICES */
    char **choices;
} lk_choice_group;

typedef struct lk_mirror lk_mirror; /* dataset/mirror.h */

typedef struct lk_schema {
    char *name;
    int continuous_count;
    lk_continuous *continuous;
    int group_count;
    lk_choice_group *groups;
    int choice_count;  /* sum of the groups' counts: the width of the one-hot vector */
    lk_mirror *mirror; /* NULL: a mirrored face has the same parameters */
    char *text;        /* canonical YAML: equal schemas have equal text */
    uint64_t hash;     /* XXH3-64 of text */
} lk_schema;

/* From a YAML file (errors name file, line and key; LK_BAD_CONFIG) or from text that a shard or checkpoint carried
 * (`origin` names it in errors; LK_BAD_DATA). On failure *out is NULL. Free with lk_schema_free; NULL is fine. */
lk_status lk_schema_load(const char *path, lk_schema **out);
lk_status lk_schema_parse(const char *text, const char *origin, lk_schema **out);
void lk_schema_free(lk_schema *schema);

/* LK_BAD_DATA with a sentence that names the first difference if the two are not the same. */
lk_status lk_schema_require_equal(const lk_schema *a, const char *a_origin, const lk_schema *b, const char *b_origin);

/* -1 if there is none of that name. */
int lk_schema_find_continuous(const lk_schema *schema, const char *name);
int lk_schema_find_group(const lk_schema *schema, const char *name);
int lk_choice_group_find(const lk_choice_group *group, const char *choice);

/* LK_BAD_DATA with a sentence that names the first continuous value outside [0,1] or not finite, or the first choice that its
 * group does not have. The caller adds which face with lk_fail_in(). */
lk_status lk_schema_check_face(const lk_schema *schema, const float *continuous, const uint8_t *discrete);

/* In double quotes, as canonical texts have it. */
void lk_schema_write_quoted(FILE *out, const char *text);

/* The shortest decimal that reads back as the same float: 0.35, not 0.349999994. */
enum { LK_FLOAT_TEXT = 24 };
void lk_float_text(float value, char out[LK_FLOAT_TEXT]);

#endif
