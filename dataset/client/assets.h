/* Assets: hair, brows, lashes, eyes and skins of a MakeHuman data folder, as choices beside the client's own.
 *
 *     DIR/hair/NAME/FILE.mhclo         group hair       choice hair/FILE
 *     DIR/eyebrows/NAME/FILE.mhclo     group brows      choice eyebrows/FILE
 *     DIR/eyelashes/NAME/FILE.mhclo    group eyelashes  choice eyelashes/FILE
 *     DIR/eyes/materials/FILE.mhmat    group eyes       choice eyes/FILE, on the first eye of DIR/eyes (high-poly where it is)
 *     DIR/skins/NAME/FILE.mhmat        group skin       choice skins/FILE
 *
 * Immutable after binding.
 */
#ifndef LK_DATASET_CLIENT_ASSETS_H
#define LK_DATASET_CLIENT_ASSETS_H

#include "base/file.h"
#include "dataset/client/mesh.h"
#include "dataset/client/mhclo.h"
#include "dataset/client/mhmat.h"
#include "dataset/client/texture.h"
#include "dataset/client/wavefront.h"
#include "dataset/schema.h"

typedef enum lk_asset_kind {
    LK_ASSET_HAIR,
    LK_ASSET_BROWS,
    LK_ASSET_LASHES,
    LK_ASSET_EYES,
    LK_ASSET_SKIN,
    LK_ASSET_KINDS
} lk_asset_kind;

typedef struct lk_asset {
    lk_asset_kind kind;
    char choice[LK_ASSET_NAME];
    char clothes_path[LK_PATH_SIZE], material_path[LK_PATH_SIZE]; /* "": a skin has no clothes */
    char material_name[LK_ASSET_NAME];                            /* from DIR, of eyes and skins */
    /* Loaded, if the schema names it. */
    bool loaded;
    lk_mhclo clothes;
    lk_wavefront mesh;
    lk_mhmat material;
    lk_texture texture;
    /* Bound to a mesh, in whose numbers the clothes' vertices are from then on. */
    lk_vec3 *neutral;  /* [clothes.count] */
    bool *hidden;      /* [triangles of the skin] that it hides; NULL: none */
    lk_vec3 mean;      /* of a skin: the colour of the face */
    float place_scale; /* of a skin: how far a decimetre of the face reaches on the texture, 0..1 */
} lk_asset;

typedef struct lk_assets {
    int count, room;
    lk_asset *items; /* sorted by kind and choice */
} lk_assets;

/* The names alone. LK_BAD_DATA: no such folder, nothing in it, or two assets of one name. */
lk_status lk_assets_find(const char *folder, lk_assets **out);
void lk_assets_free(lk_assets *assets);

/* The schema with every asset as one more choice of its group; the group of lashes is added behind the others. */
lk_status lk_assets_extend(const lk_assets *assets, const lk_schema *schema, lk_schema **out);

/* The asset of a kind by its choice, or NULL. */
lk_asset *lk_assets_choice(const lk_assets *assets, lk_asset_kind kind, const char *choice);
/* Reads those that the schema names. LK_BAD_DATA names file and line of what is wrong. */
lk_status lk_assets_load(lk_assets *assets, const lk_schema *schema, int threads);
/* Marks the vertices of base.obj that loaded assets need: wanted[LK_BASE_VERTICES]. */
void lk_assets_want(const lk_assets *assets, uint8_t *wanted);
lk_status lk_assets_bind(lk_assets *assets, const lk_mesh *mesh, const lk_vec3 *neutral);

/* The asset's vertices on a face whose vertices are `neutral` plus `moves` (NULL: 0). */
void lk_asset_fit(const lk_asset *asset, const lk_vec3 *neutral, const lk_vec3 *moves, lk_vec3 *positions);

/* The lines with which a .mhm names it. */
void lk_asset_describe(const lk_asset *asset, FILE *out);

/* The client's group of a kind ("hair", "brows" ...). */
const char *lk_asset_group(lk_asset_kind kind);

#endif
