/* The neutral head as a ground for hair: random points on the skin, how far the head reaches in each direction, and which
 * vertices carry a point in the air beside it. Immutable after making.
 */
#ifndef LK_DATASET_CLIENT_SCALP_H
#define LK_DATASET_CLIENT_SCALP_H

#include "base/random.h"
#include "dataset/client/mesh.h"

typedef struct lk_scalp lk_scalp;

/* `neutral` and `normals` [mesh->count] must outlive it. */
lk_status lk_scalp_make(const lk_mesh *mesh, const lk_vec3 *neutral, const lk_vec3 *normals, int threads, lk_scalp **out);
void lk_scalp_free(lk_scalp *scalp);

/* A point on the skin, uniform by area, within about the region where such hair grows; the ears and lips are in none but the
 * head. */
typedef struct lk_root {
    lk_vec3 at, normal;
    const uint16_t *corners; /* of its triangle */
    float weights[3];
} lk_root;
typedef enum lk_region { LK_REGION_HEAD, LK_REGION_HAIR, LK_REGION_BROWS, LK_REGION_BEARD, LK_REGION_COUNT } lk_region;
lk_root lk_scalp_pick(const lk_scalp *scalp, lk_region region, lk_random *random);

/* The axis that hair is kept away from, and the head's reach from it along a direction (of any length). */
extern const lk_vec3 LK_HEAD_CENTRE;
float lk_scalp_reach(const lk_scalp *scalp, lk_vec3 direction);

/* The four vertices of the head nearest to `at`, weighted by nearness. */
void lk_scalp_bind(const lk_scalp *scalp, lk_vec3 at, uint16_t vertices[4], float weights[4]);

#endif
