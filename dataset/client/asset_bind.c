/* Assets on the base mesh: in its numbers, on the neutral face, on any face. Declared in assets.h. */
#include "dataset/client/assets.h"

#include <stdlib.h>
#include <string.h>

void lk_assets_want(const lk_assets *assets, uint8_t *wanted)
{
    for (int i = 0; i < assets->count; i++) {
        const lk_mhclo *clothes = &assets->items[i].clothes;
        for (int b = 0; assets->items[i].loaded && b < clothes->count; b++)
            for (int k = 0; k < 3; k++)
                wanted[clothes->bindings[b].vertices[k]] = 1;
        for (int axis = 0; assets->items[i].loaded && axis < LK_AXES; axis++)
            wanted[clothes->scales[axis].from] = wanted[clothes->scales[axis].to] = 1;
    }
}

/* A triangle of the skin is hidden if all of its vertices are. */
static lk_status bind_hidden(lk_asset *asset, const lk_mesh *mesh)
{
    const lk_triangles *skin = &mesh->parts[LK_PART_SKIN];
    bool *hidden = calloc((size_t)mesh->count, sizeof *hidden);
    asset->hidden = calloc((size_t)skin->count, sizeof *asset->hidden);
    for (int i = 0; hidden && i < mesh->raw_count && i < LK_BASE_VERTICES; i++)
        if (mesh->kept[i] >= 0)
            hidden[mesh->kept[i]] = asset->clothes.hidden[i];
    for (int t = 0; hidden && asset->hidden && t < skin->count; t++)
        asset->hidden[t] = hidden[skin->corners[t][0]] && hidden[skin->corners[t][1]] && hidden[skin->corners[t][2]];
    bool complete = hidden && asset->hidden;
    free(hidden);
    return complete ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", asset->clothes_path);
}

static lk_status bind_clothes(lk_asset *asset, const lk_mesh *mesh, const lk_vec3 *neutral)
{
    lk_mhclo *clothes = &asset->clothes;
    if (mesh->raw_count < LK_BASE_VERTICES)
        return lk_fail(LK_BAD_DATA, "%s: the client's base mesh has %d vertices, MakeHuman's %d", asset->clothes_path,
                       mesh->raw_count, LK_BASE_VERTICES);
    for (int b = 0; b < clothes->count; b++)
        for (int k = 0; k < 3; k++)
            clothes->bindings[b].vertices[k] = (uint16_t)mesh->kept[clothes->bindings[b].vertices[k]];
    for (int axis = 0; axis < LK_AXES; axis++) {
        lk_axis_scale *scale = &clothes->scales[axis];
        scale->from = (uint16_t)mesh->kept[scale->from];
        scale->to = (uint16_t)mesh->kept[scale->to];
    }
    asset->neutral = malloc((size_t)clothes->count * sizeof *asset->neutral);
    if (!asset->neutral)
        return lk_fail(LK_INTERNAL, "%s: out of memory", asset->clothes_path);
    lk_asset_fit(asset, neutral, NULL, asset->neutral);
    return clothes->hides ? bind_hidden(asset, mesh) : LK_OK;
}

/* Of the face's front: its mean colour, and how large it is on the texture. */
static void measure_skin(lk_asset *asset, const lk_mesh *mesh, const lk_vec3 *neutral)
{
    const lk_triangles *skin = &mesh->parts[LK_PART_SKIN];
    float area = 0, places = 0, weight = 0, alpha;
    int level = lk_texture_level(&asset->texture, 16);
    lk_vec3 sum = {0};
    for (int t = 0; t < skin->count; t++) {
        const uint16_t *c = skin->corners[t];
        lk_vec3 a = neutral[c[0]], ab = lk_vec3_sub(neutral[c[1]], a), ac = lk_vec3_sub(neutral[c[2]], a);
        const float *u = mesh->uv[c[0]], *v = mesh->uv[c[1]], *w = mesh->uv[c[2]];
        if (a.z < -0.3f || a.y < -1 || mesh->inner_mouth[c[0]] > 0.2f)
            continue;
        float one = lk_vec3_length(lk_vec3_cross(ab, ac));
        area += one;
        places += fabsf((v[0] - u[0]) * (w[1] - u[1]) - (v[1] - u[1]) * (w[0] - u[0]));
        sum = lk_vec3_add_scaled(sum, one, lk_texture_at(&asset->texture, level, u[0], u[1], &alpha));
        weight += one;
    }
    asset->mean = lk_vec3_multiply(lk_vec3_scale(sum, 1 / (weight + 1e-9f)), asset->material.colour);
    asset->place_scale = sqrtf(places / (area + 1e-9f));
}

lk_status lk_assets_bind(lk_assets *assets, const lk_mesh *mesh, const lk_vec3 *neutral)
{
    for (int i = 0; i < assets->count; i++) {
        lk_asset *asset = &assets->items[i];
        if (asset->loaded && asset->kind == LK_ASSET_SKIN)
            measure_skin(asset, mesh, neutral);
        else if (asset->loaded)
            LK_TRY(bind_clothes(asset, mesh, neutral));
    }
    return LK_OK;
}

static lk_vec3 place_of(const lk_vec3 *neutral, const lk_vec3 *moves, int vertex)
{
    return moves ? lk_vec3_add(neutral[vertex], moves[vertex]) : neutral[vertex];
}

void lk_asset_fit(const lk_asset *asset, const lk_vec3 *neutral, const lk_vec3 *moves, lk_vec3 *positions)
{
    const lk_axis_scale *s = asset->clothes.scales;
    lk_vec3 apart[LK_AXES];
    for (int axis = 0; axis < LK_AXES; axis++)
        apart[axis] = lk_vec3_sub(place_of(neutral, moves, s[axis].from), place_of(neutral, moves, s[axis].to));
    lk_vec3 scale =
        lk_v3(s[0].length > 0 ? fabsf(apart[0].x) / s[0].length : 1, s[1].length > 0 ? fabsf(apart[1].y) / s[1].length : 1,
              s[2].length > 0 ? fabsf(apart[2].z) / s[2].length : 1);
    for (int i = 0; i < asset->clothes.count; i++) {
        const lk_binding *binding = &asset->clothes.bindings[i];
        lk_vec3 at = lk_vec3_multiply(scale, binding->offset);
        for (int k = 0; k < 3; k++)
            if (binding->weights[k] != 0)
                at = lk_vec3_add_scaled(at, binding->weights[k], place_of(neutral, moves, binding->vertices[k]));
        positions[i] = at;
    }
}
