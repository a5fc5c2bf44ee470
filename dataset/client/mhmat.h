/* MakeHuman's .mhmat files: the material of a skin or an asset. Of what they say, its colour, texture and transparency count. */
#ifndef LK_DATASET_CLIENT_MHMAT_H
#define LK_DATASET_CLIENT_MHMAT_H

#include "dataset/client/asset_text.h"
#include "dataset/client/vector.h"

typedef struct lk_mhmat {
    char texture[LK_ASSET_NAME]; /* path from its folder; "": none */
    lk_vec3 colour;              /* 0..1 as written, of which the texture is multiplied */
    float opacity;               /* 0..1 */
    bool backface_cull;
} lk_mhmat;

/* LK_BAD_DATA names file and line. */
lk_status lk_mhmat_parse(const char *text, size_t size, const char *origin, lk_mhmat *out);

#endif
