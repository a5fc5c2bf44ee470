/* MakeHuman's .mhclo files: how a piece of clothing, hair, brows or an eye is fitted to the base mesh.
 *
 * Vertex i of the piece's own mesh (obj_file) lies at the weighted mean of three vertices of the base mesh plus an offset, whose
 * axes are scaled by how far two vertices of the base mesh are apart along them.
 */
#ifndef LK_DATASET_CLIENT_MHCLO_H
#define LK_DATASET_CLIENT_MHCLO_H

#include "dataset/client/asset_text.h"
#include "dataset/client/vector.h"

#include <stdint.h>

enum { LK_BASE_VERTICES = 19158, LK_MOST_BINDINGS = 65535, LK_AXES = 3 };

typedef struct lk_binding {
    uint16_t vertices[3]; /* of base.obj */
    float weights[3];
    lk_vec3 offset;
} lk_binding;

typedef struct lk_axis_scale {
    uint16_t from, to; /* vertices of base.obj */
    float length;      /* how far they are apart where the scale is 1; 0: no scale */
} lk_axis_scale;

typedef struct lk_mhclo {
    char name[LK_ASSET_NAME], uuid[LK_ASSET_NAME];
    char mesh[LK_ASSET_NAME], material[LK_ASSET_NAME]; /* paths from its folder; no material: "" */
    lk_axis_scale scales[LK_AXES];
    int count;
    lk_binding *bindings;
    bool hides; /* some vertices of the base mesh: */
    uint8_t hidden[LK_BASE_VERTICES];
} lk_mhclo;

/* LK_BAD_DATA names file and line: a number that is none, a vertex that the base mesh does not have, another base mesh than hm08,
 * shear (which MakeHuman applies and this program does not), or no name, uuid, obj_file or vertex at all. */
lk_status lk_mhclo_parse(const char *text, size_t size, const char *origin, lk_mhclo *out);
void lk_mhclo_free(lk_mhclo *clothes);

#endif
