/* Strands: hair, brows and beards as thin lines, grown once on the neutral head and carried along by its vertices. */
#ifndef LK_DATASET_CLIENT_STRANDS_H
#define LK_DATASET_CLIENT_STRANDS_H

#include "dataset/client/scalp.h"
#include "dataset/client/styles.h"

enum { LK_CARRIERS = 4 };

typedef struct lk_strand_point {
    lk_vec3 rest; /* on the neutral head */
    float weights[LK_CARRIERS];
    uint16_t vertices[LK_CARRIERS]; /* it moves with the weighted mean of their moves */
} lk_strand_point;

typedef struct lk_strand {
    int first, count; /* points */
    float shade;      /* brightness around 1 */
    float width;      /* decimetres */
    float depth;      /* 0 below all others .. 1 on top */
} lk_strand;

/* Strands stand in random order: any part of them from the front is a thinner set of the same shape. */
typedef struct lk_strand_set {
    lk_strand_point *points;
    lk_strand *strands;
    int point_count, point_room, strand_count, strand_room;
    float step; /* decimetres from point to point */
} lk_strand_set;

/* Each depends on the scalp and the style's number alone. LK_HAIR_BALD and LK_BEARD_NONE give empty sets. */
/* Hair that the head hides from every camera of a scene is left out. */
lk_status lk_strands_grow_hair(const lk_scalp *scalp, int style, lk_strand_set *out);
lk_status lk_strands_grow_brows(const lk_scalp *scalp, int style, lk_strand_set *out);
lk_status lk_strands_grow_beard(const lk_scalp *scalp, int style, lk_strand_set *out);
void lk_strands_free(lk_strand_set *set);

#endif
