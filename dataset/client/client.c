#include "dataset/client/client.h"

#include "base/file.h"
#include "base/random.h"
#include "base/thread.h"
#include "dataset/client/accessories.h"
#include "dataset/client/develop.h"
#include "dataset/client/drawing.h"
#include "dataset/client/morph.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SET_COUNT = LK_HAIR_STYLES + LK_BROW_STYLES + LK_BEARD_STYLES, MOST_THREADS = 8 };
enum { SMALLEST = 32, LARGEST = 1024 };

struct lk_client {
    const lk_schema *schema;
    lk_mesh *mesh;
    lk_morph *morph;
    lk_bake bake;
    lk_scalp *scalp;
    lk_strand_set hair[LK_HAIR_STYLES], brows[LK_BROW_STYLES], beards[LK_BEARD_STYLES];
    /* The schema's groups and choices in the client's numbers; group_of is -1 where the schema lacks one. */
    int group_of[LK_GROUP_IDS];
    int choice_of[LK_GROUP_IDS][LK_MAX_CHOICES];
    /* MakeHuman's assets, if there are any, and which of them a choice is; NULL: the client's own. */
    lk_assets *assets;
    const lk_asset *asset_of[LK_ASSET_KINDS][LK_MAX_CHOICES];
};

/* The groups of the kinds of assets, and what the client draws below them. */
static const struct {
    lk_group_id group;
    int below;
} ASSET_GROUPS[LK_ASSET_KINDS] = {[LK_ASSET_HAIR] = {LK_HAIR, LK_HAIR_BALD},
                                  [LK_ASSET_BROWS] = {LK_BROWS, 0},
                                  [LK_ASSET_LASHES] = {LK_LASHES, 0},
                                  [LK_ASSET_EYES] = {LK_EYES, 0},
                                  [LK_ASSET_SKIN] = {LK_SKIN, 0}};

/* ---- where the data is ---- */

/* The folder of the running program, then `up` folders further. */
static lk_status beside_program(const char *relative, char out[LK_PATH_SIZE])
{
    char program[LK_PATH_SIZE];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    if (length <= 0)
        return lk_fail(LK_INTERNAL, "cannot tell where the program lies (/proc/self/exe); set LIKENESS_CLIENT");
    program[length] = 0;
    char *slash = strrchr(program, '/');
    *slash = 0;
    return lk_path_join(out, program, relative);
}

static lk_status find_beside(const char *const *places, int count, const char *inside, char out[LK_PATH_SIZE])
{
    char wanted[LK_PATH_SIZE];
    for (int i = 0; i < count; i++) {
        LK_TRY(beside_program(places[i], out));
        lk_path_kind kind;
        LK_TRY(lk_path_join(wanted, out, inside));
        LK_TRY(lk_path_look(wanted, &kind));
        if (kind != LK_ABSENT)
            return LK_OK;
    }
    return lk_fail(LK_BAD_DATA,
                   "%s not found: neither installed beside the program nor linked there by make; run make deps all, or name the "
                   "folder in LIKENESS_CLIENT",
                   inside);
}

static lk_status find_folder(char out[LK_PATH_SIZE])
{
    /* prefix/bin; build; build/VARIANT; build/VARIANT/tests */
    static const char *const PLACES[] = {"../share/likeness/client", "client", "../client", "../../client"};
    const char *named = getenv("LIKENESS_CLIENT");
    if (named && *named)
        return strlen(named) < LK_PATH_SIZE ? (strcpy(out, named), LK_OK) : lk_fail(LK_USAGE, "LIKENESS_CLIENT is too long");
    return find_beside(PLACES, sizeof PLACES / sizeof *PLACES, "3dobjs/base.obj", out);
}

static lk_status find_configuration(const char *name, char out[LK_PATH_SIZE])
{
    static const char *const PLACES[] = {"../share/likeness", "../configs", "../../configs", "../../../configs"};
    char folder[LK_PATH_SIZE];
    LK_TRY(find_beside(PLACES, sizeof PLACES / sizeof *PLACES, name, folder));
    return lk_path_join(out, folder, name);
}

lk_status lk_client_schema_path(char out[LK_PATH_SIZE])
{
    return find_configuration("client-schema.yaml", out);
}

lk_status lk_client_prior_path(char out[LK_PATH_SIZE])
{
    return find_configuration("client-prior.yaml", out);
}

/* ---- opening ---- */

static int find_choice(lk_group_id id, const char *name)
{
    for (int c = 0; c < LK_GROUPS[id].count; c++)
        if (strcmp(LK_GROUPS[id].choices[c], name) == 0)
            return c;
    return -1;
}

static lk_status match_choice(lk_client *client, lk_group_id id, const lk_choice_group *wanted, int c)
{
    int choice = find_choice(id, wanted->choices[c]);
    for (int kind = 0; choice < 0 && kind < LK_ASSET_KINDS; kind++) {
        const lk_asset *asset = lk_assets_choice(client->assets, (lk_asset_kind)kind, wanted->choices[c]);
        if (!asset || ASSET_GROUPS[kind].group != id)
            continue;
        client->asset_of[kind][c] = asset;
        choice = ASSET_GROUPS[kind].below;
    }
    if (choice < 0)
        return lk_fail(LK_BAD_DATA, "the client knows no choice \"%s\" of the group \"%s\"; %s", wanted->choices[c], wanted->name,
                       strchr(wanted->choices[c], '/') ? "--assets names the folder that has it"
                                                       : "configs/client-schema.yaml lists them");
    client->choice_of[id][c] = choice;
    return LK_OK;
}

static lk_status match_group(lk_client *client, int group)
{
    const lk_choice_group *wanted = &client->schema->groups[group];
    for (int id = 0; id < LK_GROUP_IDS; id++) {
        if (strcmp(LK_GROUPS[id].group, wanted->name) != 0)
            continue;
        client->group_of[id] = group;
        for (int c = 0; c < wanted->count; c++)
            LK_TRY(match_choice(client, (lk_group_id)id, wanted, c));
        return LK_OK;
    }
    return lk_fail(LK_BAD_DATA, "the client knows no group \"%s\"; configs/client-schema.yaml lists them", wanted->name);
}

static lk_status grow_set(void *context, int64_t i, int worker)
{
    (void)worker;
    lk_client *client = context;
    int number = (int)i;
    if (number < LK_HAIR_STYLES)
        return lk_strands_grow_hair(client->scalp, number, &client->hair[number]);
    number -= LK_HAIR_STYLES;
    if (number < LK_BROW_STYLES)
        return lk_strands_grow_brows(client->scalp, number, &client->brows[number]);
    number -= LK_BROW_STYLES;
    return lk_strands_grow_beard(client->scalp, number, &client->beards[number]);
}

lk_status lk_client_open(const char *folder, const lk_schema *schema, lk_client **out)
{
    return lk_client_open_assets(folder, NULL, schema, out);
}

lk_status lk_client_assets_schema(const char *assets_folder, lk_schema **out)
{
    char path[LK_PATH_SIZE];
    lk_schema *own = NULL;
    lk_assets *assets = NULL;
    LK_TRY(lk_client_schema_path(path));
    LK_TRY(lk_schema_load(path, &own));
    lk_status status = lk_assets_find(assets_folder, &assets);
    if (status == LK_OK)
        status = lk_assets_extend(assets, own, out);
    lk_assets_free(assets);
    lk_schema_free(own);
    return status;
}

lk_status lk_client_open_assets(const char *folder, const char *assets_folder, const lk_schema *schema, lk_client **out)
{
    char found[LK_PATH_SIZE];
    uint8_t wanted[LK_BASE_VERTICES] = {0};
    if (!folder) {
        LK_TRY(find_folder(found));
        folder = found;
    }
    lk_client *client = calloc(1, sizeof *client);
    if (!client)
        return lk_fail(LK_INTERNAL, "no memory for the client");
    lk_status status = LK_OK;
    int threads = lk_core_count() < MOST_THREADS ? lk_core_count() : MOST_THREADS;
    client->schema = schema;
    for (int id = 0; id < LK_GROUP_IDS; id++)
        client->group_of[id] = -1;
    if (assets_folder)
        LK_TRY_OR(failed, lk_assets_find(assets_folder, &client->assets));
    for (int group = 0; group < schema->group_count; group++)
        LK_TRY_OR(failed, match_group(client, group));
    if (client->assets) {
        LK_TRY_OR(failed, lk_assets_load(client->assets, schema, threads));
        lk_assets_want(client->assets, wanted);
    }
    LK_TRY_OR(failed, lk_mesh_load(folder, client->assets ? wanted : NULL, &client->mesh));
    LK_TRY_OR(failed, lk_morph_open(folder, client->mesh, schema, threads, &client->morph));
    const lk_vec3 *neutral = lk_morph_neutral(client->morph);
    if (client->assets)
        LK_TRY_OR(failed, lk_assets_bind(client->assets, client->mesh, neutral));
    LK_TRY_OR(failed, lk_bake_make(client->mesh, neutral, threads, &client->bake));
    LK_TRY_OR(failed, lk_scalp_make(client->mesh, neutral, client->bake.normals, threads, &client->scalp));
    LK_TRY_OR(failed, lk_parallel_for(threads, SET_COUNT, grow_set, client));
    *out = client;
    return LK_OK;
failed:
    lk_client_close(client);
    return status;
}

void lk_client_close(lk_client *client)
{
    if (!client)
        return;
    for (int i = 0; i < LK_HAIR_STYLES; i++)
        lk_strands_free(&client->hair[i]);
    for (int i = 0; i < LK_BROW_STYLES; i++)
        lk_strands_free(&client->brows[i]);
    for (int i = 0; i < LK_BEARD_STYLES; i++)
        lk_strands_free(&client->beards[i]);
    lk_assets_free(client->assets);
    lk_scalp_free(client->scalp);
    lk_bake_free(&client->bake);
    lk_morph_close(client->morph);
    lk_mesh_free(client->mesh);
    free(client);
}

const lk_schema *lk_client_schema(const lk_client *client)
{
    return client->schema;
}

const lk_mesh *lk_client_mesh(const lk_client *client)
{
    return client->mesh;
}

const lk_morph *lk_client_morph(const lk_client *client)
{
    return client->morph;
}

/* ---- drawing ---- */

struct lk_renderer {
    const lk_client *client;
    lk_face face;
    lk_darkroom *darkroom;
    const lk_backgrounds *backgrounds;
};

/* Along each edge of a pixel; large pictures are smooth enough without. */
static int samples_per_pixel(int size)
{
    return size <= 512 ? 2 : 1;
}

static float foremost(const lk_mesh *mesh, lk_part part, const lk_vec3 *positions)
{
    float front = -1e9f;
    for (int i = 0; i < mesh->parts[part].count * 3; i++)
        front = lk_max(front, positions[mesh->parts[part].corners[i / 3][i % 3]].z);
    return front;
}

lk_status lk_renderer_create(const lk_client *client, int size, lk_renderer **out)
{
    if (size < SMALLEST || size > LARGEST)
        return lk_fail(LK_USAGE, "pictures are %d to %d pixels wide, not %d", SMALLEST, LARGEST, size);
    lk_renderer *renderer = calloc(1, sizeof *renderer);
    if (!renderer)
        return lk_fail(LK_INTERNAL, "no memory to draw a face");
    lk_status status = LK_OK;
    size_t n = (size_t)client->mesh->count;
    lk_face *face = &renderer->face;
    renderer->client = client;
    face->mesh = client->mesh;
    face->bake = &client->bake;
    face->neutral = lk_morph_neutral(client->morph);
    face->teeth_front = foremost(client->mesh, LK_PART_UPPER_TEETH, face->neutral);
    lk_vec3 **arrays[] = {&face->positions, &face->moves, &face->normals, &face->screen, &face->outside};
    for (int i = 0; i < 5; i++)
        if (!(*arrays[i] = malloc(n * sizeof **arrays[i]))) {
            status = lk_fail(LK_INTERNAL, "no memory to draw a face");
            goto failed;
        }
    face->hat.corners = malloc((size_t)client->mesh->parts[LK_PART_SKIN].count * sizeof *face->hat.corners);
    if (!face->hat.corners) {
        status = lk_fail(LK_INTERNAL, "no memory to draw a face");
        goto failed;
    }
    if (client->assets)
        LK_TRY_OR(failed, lk_fitting_allocate(client->assets, &face->fitting));
    LK_TRY_OR(failed, lk_raster_allocate(size * samples_per_pixel(size), &face->raster));
    LK_TRY_OR(failed, lk_darkroom_create(size, &renderer->darkroom));
    *out = renderer;
    return LK_OK;
failed:
    lk_renderer_free(renderer);
    return status;
}

void lk_renderer_free(lk_renderer *renderer)
{
    if (!renderer)
        return;
    free(renderer->face.positions);
    free(renderer->face.moves);
    free(renderer->face.normals);
    free(renderer->face.screen);
    free(renderer->face.outside);
    free(renderer->face.hat.corners);
    lk_fitting_free(&renderer->face.fitting);
    lk_raster_free(&renderer->face.raster);
    lk_darkroom_free(renderer->darkroom);
    free(renderer);
}

void lk_renderer_set_backgrounds(lk_renderer *renderer, const lk_backgrounds *backgrounds)
{
    renderer->backgrounds = backgrounds;
}

/* Geometry: morph, turn, normals, camera. */
static void pose(lk_face *face, const lk_morph *morph, const float *continuous)
{
    const lk_scene *scene = &face->scene;
    lk_morph_apply(morph, continuous, scene->lively ? scene->expression : NULL, face->positions);
    face->age = lk_morph_age(morph, continuous);
    face->turn = lk_turn_of(scene->yaw, scene->pitch);
    for (int i = 0; i < face->mesh->count; i++) {
        face->moves[i] = lk_vec3_sub(face->positions[i], face->neutral[i]);
        face->positions[i] = lk_turn_apply(&face->turn, face->positions[i]);
    }
    lk_mesh_normals(face->mesh, face->positions, face->normals);
    face->camera = lk_scene_camera(scene, face->mesh, face->positions, face->raster.size);
    for (int i = 0; i < face->mesh->count; i++)
        face->screen[i] = lk_project(&face->camera, face->positions[i]);
    face->halfway = lk_vec3_normalize(lk_vec3_add(scene->key_direction, lk_v3(0, 0, 1)));
}

static void draw_background(lk_face *face)
{
    lk_raster *raster = &face->raster;
    float step = 1.0f / (float)raster->size;
    for (int y = 0; y < raster->size; y++)
        for (int x = 0; x < raster->size; x++)
            if (raster->fragment[y * raster->size + x] == 0)
                raster->colour[y * raster->size + x] =
                    lk_scene_background(&face->scene, face->bake, ((float)x + 0.5f) * step, ((float)y + 0.5f) * step);
}

/* What is worn of assets. */
static void choose_assets(const lk_client *client, const uint8_t *discrete, const lk_asset *worn[LK_ASSET_KINDS])
{
    for (int kind = 0; kind < LK_ASSET_KINDS; kind++) {
        int group = client->group_of[ASSET_GROUPS[kind].group];
        worn[kind] = group < 0 ? NULL : client->asset_of[kind][discrete[group]];
    }
}

lk_status lk_client_describe_assets(const lk_client *client, const uint8_t *discrete, char **lines)
{
    const lk_asset *worn[LK_ASSET_KINDS];
    size_t size;
    *lines = NULL;
    FILE *out = open_memstream(lines, &size);
    if (!out)
        return lk_fail(LK_INTERNAL, "out of memory for the names of assets");
    choose_assets(client, discrete, worn);
    for (int kind = 0; kind < LK_ASSET_KINDS; kind++)
        if (worn[kind])
            lk_asset_describe(worn[kind], out);
    return fclose(out) == 0 ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the names of assets");
}

lk_status lk_render(lk_renderer *renderer, const float *continuous, const uint8_t *discrete, lk_view view, uint64_t seed,
                    uint8_t *image)
{
    lk_scene scene = view == LK_CANONICAL ? lk_scene_canonical()
                     : view == LK_VARIED  ? lk_scene_varied(seed)
                                          : lk_scene_photo(seed, renderer->backgrounds);
    return lk_render_scene(renderer, continuous, discrete, &scene, image);
}

lk_status lk_render_scene(lk_renderer *renderer, const float *continuous, const uint8_t *discrete, const lk_scene *scene,
                          uint8_t *image)
{
    const lk_client *client = renderer->client;
    lk_face *face = &renderer->face;
    int choices[LK_GROUP_IDS];
    static const lk_strand_set none;
    for (int id = 0; id < LK_GROUP_IDS; id++) {
        int group = client->group_of[id];
        if (group >= 0 && discrete[group] >= client->schema->groups[group].count)
            return lk_fail(LK_BAD_DATA, "choice %d of the group \"%s\" does not exist", discrete[group], LK_GROUPS[id].group);
        choices[id] = group < 0 ? LK_GROUPS[id].usual : client->choice_of[id][discrete[group]];
    }
    face->scene = *scene;
    choose_assets(client, discrete, face->assets);
    const lk_asset *skin = face->assets[LK_ASSET_SKIN], *hair = face->assets[LK_ASSET_HAIR];
    face->look = lk_look_of(choices, skin ? &skin->mean : NULL);
    pose(face, client->morph, continuous);
    lk_raster_clear(&face->raster);
    lk_raster_triangles(&face->raster, &face->mesh->parts[LK_PART_SKIN], LK_PART_SKIN, hair ? hair->hidden : NULL, face->screen);
    for (int part = LK_PART_LEFT_EYE; !face->assets[LK_ASSET_EYES] && part <= LK_PART_RIGHT_EYE; part++)
        lk_raster_triangles(&face->raster, &face->mesh->parts[part], (lk_part)part, NULL, face->screen);
    for (int part = LK_PART_UPPER_TEETH; face->scene.mouth_open && part <= LK_PART_TONGUE; part++)
        lk_raster_triangles(&face->raster, &face->mesh->parts[part], (lk_part)part, NULL, face->screen);
    draw_background(face);
    lk_shade(face);
    lk_draw_asset(face, LK_ASSET_EYES);
    if (!face->assets[LK_ASSET_LASHES])
        lk_draw_lashes(face);
    lk_draw_asset(face, LK_ASSET_LASHES);
    lk_draw_asset(face, LK_ASSET_BROWS);
    lk_draw_hat(face);
    lk_draw_strands(face, face->assets[LK_ASSET_BROWS] ? &none : &client->brows[choices[LK_BROWS]],
                    &client->beards[choices[LK_BEARD]], &client->hair[choices[LK_HAIR]]);
    lk_draw_glasses(face);
    lk_draw_locks(face);
    lk_draw_hand(face);
    return lk_develop(renderer->darkroom, &face->raster, &face->scene, image);
}

/* ---- random faces ---- */

void lk_client_random(const lk_schema *schema, uint64_t seed, uint64_t index, float *continuous, uint8_t *discrete)
{
    enum { PURPOSE_CONTINUOUS = 0x636f6e74, PURPOSE_DISCRETE = 0x64697363 };
    lk_random random = lk_random_make(lk_random_mix(seed, PURPOSE_CONTINUOUS), index);
    for (int i = 0; i < schema->continuous_count; i++)
        continuous[i] = lk_random_uniform(&random);
    random = lk_random_make(lk_random_mix(seed, PURPOSE_DISCRETE), index);
    for (int g = 0; g < schema->group_count; g++) {
        const lk_choice_group *group = &schema->groups[g];
        int none = strcmp(group->name, LK_GROUPS[LK_BEARD].group) == 0
                       ? lk_choice_group_find(group, LK_GROUPS[LK_BEARD].choices[LK_BEARD_NONE])
                       : -1;
        uint32_t choice = lk_random_below(&random, (uint32_t)group->count - (none >= 0));
        bool bare = none >= 0 && lk_random_uniform(&random) < 0.5f;
        discrete[g] = (uint8_t)(bare ? (uint32_t)none : choice + (none >= 0 && choice >= (uint32_t)none));
    }
}
