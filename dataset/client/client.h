/* The game client: parameters -> face picture, drawn by our own software rasteriser from the MakeHuman base mesh and face
 * morph targets (CC0) with procedural hair, brows, beards, paint.
 *
 * Its schema (configs/client-schema.yaml): continuous = the face modifiers that visibly change a frontal face, left and right
 * tied; discrete = hair, hair_colour, brows, beard, lips, skin, eyes. Three kinds of picture from the same parameters:
 * canonical (fixed light, plain background, fixed camera) for the decoder; varied (light, background, small yaw and pitch,
 * blur, noise, compression); photo (besides, expressions, turned heads, glasses, hats, any camera) for the encoder. The first two
 * put the eyes where dataset/crop.h says, the third a little beside, as the alignment of photos does.
 */
#ifndef LK_DATASET_CLIENT_CLIENT_H
#define LK_DATASET_CLIENT_CLIENT_H

#include "base/error.h"
#include "base/file.h"
#include "dataset/client/backgrounds.h"
#include "dataset/client/morph.h"
#include "dataset/client/scene.h"
#include "dataset/image.h"
#include "dataset/schema.h"

#include <stdint.h>

typedef struct lk_client lk_client; /* mesh, targets, strands: immutable after opening, shared by threads */

/* `folder` holds 3dobjs/, targets/ and textures/ as in MakeHuman's mpfb2 data (make deps puts it into .deps/client). NULL:
 * $LIKENESS_CLIENT, then share/likeness/client of the program's prefix, then client beside the program, which make links to
 * the dependencies. The schema must name only modifiers and choices that the client knows (LK_BAD_DATA names the first that it
 * does not). `schema` must outlive the client. */
lk_status lk_client_open(const char *folder, const lk_schema *schema, lk_client **out);
/* With the assets of a MakeHuman data folder (dataset/client/assets.h) as choices that the schema may name; LK_BAD_DATA names
 * file and line of what is wrong with one that it does name. NULL: none. */
lk_status lk_client_open_assets(const char *folder, const char *assets_folder, const lk_schema *schema, lk_client **out);
/* The client's own schema with every asset of the folder as one more choice of its group. */
lk_status lk_client_assets_schema(const char *assets_folder, lk_schema **out);
/* The lines with which a .mhm names what a face wears of assets, "" if nothing. The caller's to free. */
lk_status lk_client_describe_assets(const lk_client *client, const uint8_t *discrete, char **lines);
void lk_client_close(lk_client *client);

/* What it was opened with, and what it read: for those who fit faces to photos (dataset/label/). */
const lk_schema *lk_client_schema(const lk_client *client);
const lk_mesh *lk_client_mesh(const lk_client *client);
const lk_morph *lk_client_morph(const lk_client *client);

/* Where the client's own schema lies: share/likeness/client-schema.yaml of the program's prefix, or configs/ of its sources. */
lk_status lk_client_schema_path(char out[LK_PATH_SIZE]);
/* The same for the prior that goes with it, client-prior.yaml (dataset/client/prior.h). */
lk_status lk_client_prior_path(char out[LK_PATH_SIZE]);

/* Scratch memory of one drawing thread. */
typedef struct lk_renderer lk_renderer;
/* size: edge of the square picture in pixels, 32..1024. */
lk_status lk_renderer_create(const lk_client *client, int size, lk_renderer **out);
void lk_renderer_free(lk_renderer *renderer);

/* The user's own pictures behind the faces of LK_PHOTO; NULL: none. Must outlive the renderer. */
void lk_renderer_set_backgrounds(lk_renderer *renderer, const lk_backgrounds *backgrounds);

typedef enum lk_view { LK_CANONICAL, LK_VARIED, LK_PHOTO, LK_VIEWS } lk_view;

/* Draws into image (size*size*3). continuous in [0,1], discrete indices, both in schema order. `seed` decides everything that
 * varies and is ignored in LK_CANONICAL. The same bytes for the same arguments on any thread. */
lk_status lk_render(lk_renderer *renderer, const float *continuous, const uint8_t *discrete, lk_view view, uint64_t seed,
                    uint8_t *image);

/* The same under a scene of the caller's. */
lk_status lk_render_scene(lk_renderer *renderer, const float *continuous, const uint8_t *discrete, const lk_scene *scene,
                          uint8_t *image);

/* Random parameters of sample `index` under `seed`, as data sets use them: continuous uniform in [0,1] (the patent's decoder
 * training draws p uniformly), discrete uniform except that half of the faces have no beard. */
void lk_client_random(const lk_schema *schema, uint64_t seed, uint64_t index, float *continuous, uint8_t *discrete);

#endif
