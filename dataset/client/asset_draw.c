/* Assets drawn on the face: fitted, sorted, and laid over what is drawn already. Declared in drawing.h. */
#include "dataset/client/drawing.h"

#include <stdlib.h>
#include <string.h>

typedef struct painter {
    lk_face *face;
    const lk_asset *asset;
    const lk_corner *corners;
    int level;
    lk_vec3 head_centre;
} painter;

static lk_vec3 weigh_corners(const lk_vec3 *values, const lk_corner *c, const float w[3])
{
    return lk_vec3_add_scaled(lk_vec3_add_scaled(lk_vec3_scale(values[c[0].vertex], w[0]), w[1], values[c[1].vertex]), w[2],
                              values[c[2].vertex]);
}

/* Hair is lit as the round of the head that it lies on, with a sheen. */
static lk_vec3 light_hair(const painter *p, lk_vec3 normal, lk_vec3 at, lk_vec3 albedo)
{
    const lk_scene *scene = &p->face->scene;
    lk_vec3 outward = lk_vec3_normalize(lk_vec3_sub(at, p->head_centre));
    normal = lk_vec3_normalize(lk_vec3_mix(normal, outward, 0.7f));
    float sheen = lk_clamp01(lk_vec3_dot(normal, p->face->halfway));
    sheen *= sheen;
    sheen *= sheen;
    sheen *= sheen;
    lk_vec3 tint = lk_vec3_add(lk_vec3_scale(albedo, 0.6f), lk_v3(0.03f, 0.03f, 0.03f));
    lk_vec3 colour = lk_vec3_multiply(albedo, lk_matt_light(scene, normal));
    return lk_vec3_add_scaled(colour, 0.5f * sheen, lk_vec3_multiply(tint, scene->key_colour));
}

static float paint_asset(void *context, const float w[3], lk_vec3 *colour)
{
    const painter *p = context;
    const lk_corner *c = p->corners;
    const lk_asset *asset = p->asset;
    const lk_fitting *fitting = &p->face->fitting;
    float alpha;
    lk_vec3 neutral = weigh_corners(asset->neutral, c, w);
    if (asset->kind == LK_ASSET_HAIR && lk_under_hat(&p->face->scene.worn, neutral))
        return 0;
    lk_vec3 albedo = lk_texture_at(&asset->texture, p->level, c[0].u * w[0] + c[1].u * w[1] + c[2].u * w[2],
                                   c[0].v * w[0] + c[1].v * w[1] + c[2].v * w[2], &alpha);
    alpha *= asset->material.opacity;
    if (alpha < 1.0f / 255)
        return 0;
    albedo = lk_vec3_multiply(albedo, asset->material.colour);
    lk_vec3 normal = lk_vec3_normalize(weigh_corners(fitting->normals, c, w)), lit;
    if (normal.z < 0)
        normal = lk_vec3_scale(normal, -1);
    if (asset->kind == LK_ASSET_EYES)
        lit = lk_light_eye(p->face, neutral, normal, albedo);
    else if (asset->kind == LK_ASSET_HAIR)
        lit = light_hair(p, normal, weigh_corners(fitting->positions, c, w), albedo);
    else
        lit = lk_vec3_multiply(albedo, lk_matt_light(&p->face->scene, lk_vec3_normalize(lk_vec3_add(normal, lk_v3(0, 0, 0.5f)))));
    *colour = lk_vec3_mix(*colour, lit, alpha);
    return alpha;
}

static int further_first(const void *a, const void *b)
{
    const lk_sorted_triangle *x = a, *y = b;
    return x->nearness < y->nearness ? -1 : x->nearness > y->nearness ? 1 : x->triangle - y->triangle;
}

/* Positions, normals and places on the screen of the asset's vertices, and its triangles from far to near. */
static void fit(lk_face *face, const lk_asset *asset)
{
    lk_fitting *f = &face->fitting;
    int count = asset->clothes.count;
    lk_asset_fit(asset, face->neutral, face->moves, f->positions);
    memset(f->normals, 0, (size_t)count * sizeof *f->normals);
    for (int i = 0; i < count; i++) {
        f->positions[i] = lk_turn_apply(&face->turn, f->positions[i]);
        f->screen[i] = lk_project(&face->camera, f->positions[i]);
    }
    for (int t = 0; t < asset->mesh.triangle_count; t++) {
        const lk_corner *c = asset->mesh.triangles[t];
        lk_vec3 a = f->positions[c[0].vertex];
        lk_vec3 n = lk_vec3_cross(lk_vec3_sub(f->positions[c[1].vertex], a), lk_vec3_sub(f->positions[c[2].vertex], a));
        f->order[t] = (lk_sorted_triangle){0, t};
        for (int k = 0; k < 3; k++) {
            f->normals[c[k].vertex] = lk_vec3_add(f->normals[c[k].vertex], n);
            f->order[t].nearness += f->screen[c[k].vertex].z;
        }
    }
    qsort(f->order, (size_t)asset->mesh.triangle_count, sizeof *f->order, further_first);
}

/* How many texels of the full texture a sample is wide on this triangle. */
static float texels_of(const lk_asset *asset, const lk_corner *c, const lk_vec3 *screen)
{
    lk_vec3 a = screen[c[0].vertex], b = screen[c[1].vertex], d = screen[c[2].vertex];
    float area = fabsf((b.x - a.x) * (d.y - a.y) - (b.y - a.y) * (d.x - a.x));
    float places = fabsf((c[1].u - c[0].u) * (c[2].v - c[0].v) - (c[1].v - c[0].v) * (c[2].u - c[0].u));
    return sqrtf(places * (float)asset->texture.width[0] * (float)asset->texture.height[0] / (area + 1e-6f));
}

void lk_draw_asset(lk_face *face, lk_asset_kind kind)
{
    const lk_asset *asset = face->assets[kind];
    if (!asset)
        return;
    /* What lies on the skin may be drawn a little below it. */
    float tolerance = kind == LK_ASSET_BROWS || kind == LK_ASSET_LASHES ? 0.002f : 0.0004f;
    uint32_t flags = kind == LK_ASSET_EYES   ? 0
                     : kind == LK_ASSET_HAIR ? LK_FRAGMENT_STRAND | LK_FRAGMENT_HAIR
                                             : LK_FRAGMENT_STRAND;
    painter p = {.face = face, .asset = asset, .head_centre = lk_turn_apply(&face->turn, LK_HEAD_CENTRE)};
    fit(face, asset);
    for (int i = 0; i < asset->mesh.triangle_count; i++) {
        p.corners = asset->mesh.triangles[face->fitting.order[i].triangle];
        lk_vec3 corners[3];
        for (int k = 0; k < 3; k++)
            corners[k] = face->fitting.screen[p.corners[k].vertex];
        p.level = lk_texture_level(&asset->texture, texels_of(asset, p.corners, face->fitting.screen));
        lk_raster_cover(&face->raster, corners, !asset->material.backface_cull, tolerance, flags, paint_asset, &p);
    }
}

lk_status lk_fitting_allocate(const lk_assets *assets, lk_fitting *out)
{
    size_t vertices = 1, triangles = 1;
    for (int i = 0; i < assets->count; i++) {
        const lk_asset *asset = &assets->items[i];
        vertices = (size_t)asset->clothes.count > vertices ? (size_t)asset->clothes.count : vertices;
        triangles = (size_t)asset->mesh.triangle_count > triangles ? (size_t)asset->mesh.triangle_count : triangles;
    }
    out->positions = malloc(vertices * sizeof *out->positions);
    out->normals = malloc(vertices * sizeof *out->normals);
    out->screen = malloc(vertices * sizeof *out->screen);
    out->order = malloc(triangles * sizeof *out->order);
    return out->positions && out->normals && out->screen && out->order ? LK_OK : lk_fail(LK_INTERNAL, "no memory to draw assets");
}

void lk_fitting_free(lk_fitting *fitting)
{
    free(fitting->positions);
    free(fitting->normals);
    free(fitting->screen);
    free(fitting->order);
    *fitting = (lk_fitting){0};
}
