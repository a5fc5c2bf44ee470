/* Morphs: MakeHuman's targets applied to the base mesh, as MakeHuman applies them.
 *
 * A modifier "group/stem-low|high" of value v adds v times the target group/stem-high where v > 0 and -v times
 * group/stem-low where v < 0; "group/name" has its positive target alone. Where only l- and r- targets exist both are added:
 * left and right are tied. asym/ modifiers have -l as the negative and -r as the positive target.
 *
 * Macros carry MakeHuman's names and units: macrodetails/Gender (0 female, 1 male), macrodetails/Age (0.5 is 25 years, 1 old),
 * macrodetails/African, Asian, Caucasian (nonnegative, only their proportions count), macrodetails-universal/Muscle (0.5
 * average). What a schema does not name stays average.
 */
#ifndef LK_DATASET_CLIENT_MORPH_H
#define LK_DATASET_CLIENT_MORPH_H

#include "dataset/client/mesh.h"
#include "dataset/schema.h"

typedef struct lk_morph lk_morph;

/* Reads the targets that the schema's continuous parameters need on `threads` threads. A name without a target is
 * LK_BAD_DATA. `mesh` and `schema` must outlive it. */
lk_status lk_morph_open(const char *folder, const lk_mesh *mesh, const lk_schema *schema, int threads, lk_morph **out);
void lk_morph_close(lk_morph *morph);

/* The average young face, [mesh->count], origin between the eyes: the space in which faces are painted and hair grows. */
const lk_vec3 *lk_morph_neutral(const lk_morph *morph);

/* MakeHuman's expression units, mixed of the three origins as the face is. Left and right are the person's. */
typedef enum lk_expression {
    LK_SMILE,
    LK_BARE_TEETH,
    LK_STRETCH_MOUTH,
    LK_PART_LIPS,
    LK_OPEN_MOUTH,
    LK_PURSE_LIPS,
    LK_FROWN_MOUTH,
    LK_CLOSE_LEFT_EYE,
    LK_CLOSE_RIGHT_EYE,
    LK_NARROW_LEFT_EYE,
    LK_NARROW_RIGHT_EYE,
    LK_RAISE_LEFT_BROW,
    LK_RAISE_RIGHT_BROW,
    LK_LOWER_LEFT_BROW,
    LK_LOWER_RIGHT_BROW,
    LK_WORRY_LEFT_BROW,
    LK_WORRY_RIGHT_BROW,
    LK_EXPRESSIONS
} lk_expression;

/* continuous: schema order, [0,1]; expression: a weight a unit, 0 at rest, or NULL. Writes positions[mesh->count], moved so that
 * the eyes stay around the origin. */
void lk_morph_apply(const lk_morph *morph, const float *continuous, const float *expression, lk_vec3 *positions);

/* 0 young .. 1 old; 0 where the schema has no age. */
float lk_morph_age(const lk_morph *morph, const float *continuous);

#endif
