/* Shading: what colour a point of the face is, from its light, skin and make-up. Declared in drawing.h. */
#include "dataset/client/drawing.h"

/* A sample of the face, interpolated over its triangle. */
typedef struct skin_point {
    lk_vec3 normal;
    lk_vec3 at; /* on the neutral face: the space of paint */
    float u, v; /* texture */
    lk_skin_vertex skin;
} skin_point;

/* What paint says about a piece of skin. */
typedef struct surface_paint {
    lk_vec3 albedo;
    float shine; /* of the skin's oil */
    float gloss; /* of wet lips */
    float occlusion;
} surface_paint;

lk_look lk_look_of(const int choices[LK_GROUP_IDS], const lk_vec3 *skin)
{
    lk_look look = {.hair = choices[LK_HAIR], .brows = choices[LK_BROWS], .beard = choices[LK_BEARD]};
    look.skin = skin ? *skin : lk_skin_colour(choices[LK_SKIN]);
    look.iris = lk_eye_colour(choices[LK_EYES]);
    look.hair_colour = lk_hair_colour(choices[LK_HAIR_COLOUR]);
    /* Brows and beards are darker and browner than the hair. */
    look.brow_colour = lk_vec3_mix(look.hair_colour, lk_srgb(36, 25, 20), 0.45f);
    look.beard_colour = lk_vec3_mix(look.hair_colour, lk_srgb(60, 36, 24), 0.25f);
    float luminance = lk_vec3_dot(look.skin, lk_v3(0.3f, 0.6f, 0.1f)), cover;
    lk_vec3 bare = lk_vec3_multiply(
        look.skin, lk_vec3_mix(lk_v3(0.72f, 0.50f, 0.52f), lk_v3(0.95f, 0.62f, 0.60f), lk_clamp01(1 - luminance * 2)));
    lk_vec3 painted = lk_lip_colour(choices[LK_LIPS], &cover);
    look.lips = lk_vec3_mix(bare, painted, cover);
    look.lip_gloss = cover > 0 ? 0.28f : 0.14f;
    look.lip_paint = cover;
    look.cap = look.hair == LK_HAIR_BALD ? 0 : LK_HAIR_TABLE[look.hair].cap;
    return look;
}

static float weigh(float a, float b, float c, const float w[3])
{
    return a * w[0] + b * w[1] + c * w[2];
}

static lk_vec3 weigh_vector(const lk_vec3 *values, const uint16_t *c, const float w[3])
{
    return lk_vec3_add_scaled(lk_vec3_add_scaled(lk_vec3_scale(values[c[0]], w[0]), w[1], values[c[1]]), w[2], values[c[2]]);
}

static void interpolate_skin(const lk_face *face, const uint16_t *c, const float w[3], skin_point *p)
{
    const lk_skin_vertex *skin = face->bake->skin, *x = &skin[c[0]], *y = &skin[c[1]], *z = &skin[c[2]];
    p->skin.occlusion = weigh(x->occlusion, y->occlusion, z->occlusion, w);
    p->skin.flush = weigh(x->flush, y->flush, z->flush, w);
    p->skin.dark = weigh(x->dark, y->dark, z->dark, w);
    p->skin.hairline = weigh(x->hairline, y->hairline, z->hairline, w);
    p->skin.inner_mouth = weigh(x->inner_mouth, y->inner_mouth, z->inner_mouth, w);
    const float(*uv)[2] = (const float(*)[2])face->mesh->uv;
    p->u = weigh(uv[c[0]][0], uv[c[1]][0], uv[c[2]][0], w);
    p->v = weigh(uv[c[0]][1], uv[c[1]][1], uv[c[2]][1], w);
}

/* ---- skin ---- */

/* Bare lips are as red as the blood below them. */
static lk_vec3 lip_colour(const lk_face *face)
{
    float red = face->scene.complexion.lip_red * (1 - face->look.lip_paint);
    if (red == 0)
        return face->look.lips;
    return lk_vec3_multiply(face->look.lips, lk_v3(1 + 0.15f * red, 1 - 0.38f * red, 1 - 0.32f * red));
}

/* Lips from the UV mask, whose edge is sharpened. Returns how much is lip. */
static float paint_lips(const lk_face *face, const skin_point *p, float s, float t, surface_paint *surface)
{
    if (p->at.z <= 0 || p->at.y >= -0.3f)
        return 0;
    float lip = lk_smooth(0.25f, 0.75f, lk_mesh_lip(face->mesh, p->u, p->v));
    if (lip > 0) {
        float grain = 1 + 0.10f * lk_noise(face->bake, s * 3, t * 0.4f);
        float cover = face->assets[LK_ASSET_SKIN] ? lip * face->look.lip_paint : lip; /* its texture has lips */
        surface->albedo = lk_vec3_mix(surface->albedo, lk_vec3_scale(lip_colour(face), grain), cover);
        surface->gloss = face->look.lip_gloss * (face->assets[LK_ASSET_SKIN] ? 0.5f * lip + 0.5f * cover : lip);
    }
    return lip;
}

/* Brows are painted below their hairs, so that they read as one shape at small sizes. */
static void paint_brows(const lk_face *face, const skin_point *p, surface_paint *surface)
{
    if (p->at.y <= 0.05f || p->at.y >= 0.5f || p->at.z <= -0.4f || face->assets[LK_ASSET_BROWS])
        return;
    const lk_brow_style *style = &LK_BROW_TABLE[face->look.brows];
    float along, cover = lk_brow_cover(style, p->at, &along);
    if (cover > -0.3f) {
        float amount = 0.6f * lk_min(1, style->density) * lk_smooth(-0.3f, 0.5f, cover);
        surface->albedo = lk_vec3_mix(surface->albedo, lk_vec3_scale(face->look.brow_colour, 0.9f), amount);
    }
}

static void paint_beard(const lk_face *face, const skin_point *p, float lip, float grain, surface_paint *surface)
{
    int beard = face->look.beard;
    if (beard == LK_BEARD_NONE || p->at.y >= -0.05f)
        return;
    float cover = lk_beard_cover(beard, p->at) * (1 - lip);
    if (cover <= 0)
        return;
    float paint = LK_BEARD_TABLE[beard].paint + (beard == LK_BEARD_STUBBLE ? 0.05f * grain : 0);
    paint *= 1 + face->scene.complexion.beard;
    lk_vec3 below =
        lk_vec3_mix(lk_vec3_scale(face->look.hair_colour, 0.8f), face->look.skin, beard == LK_BEARD_STUBBLE ? 0.25f : 0.1f);
    surface->albedo = lk_vec3_mix(surface->albedo, below, cover * lk_clamp01(paint));
    surface->shine *= 1 - 0.7f * cover;
}

/* The scalp under the hair, and the shade that hair throws on the forehead. */
static void paint_scalp(const lk_face *face, const skin_point *p, float s, float t, surface_paint *surface)
{
    float hairline = p->skin.hairline, cap = face->look.cap;
    if (cap <= 0)
        return;
    if (hairline > -0.05f) {
        float cover = lk_smooth(-0.03f, 0.07f, hairline + 0.03f * lk_noise(face->bake, s * 3.1f, t * 3.1f));
        float grain = lk_noise(face->bake, s * 5, t * 5);
        if (face->look.hair == LK_HAIR_BUZZ)
            cover *= 0.75f + 0.25f * grain;
        else if (face->look.hair == LK_HAIR_MOHAWK && fabsf(p->at.x) >= 0.17f)
            cover *= 0.8f + 0.2f * grain;
        surface->albedo = lk_vec3_mix(surface->albedo, lk_vec3_scale(face->look.hair_colour, 0.45f), cover * cap);
        surface->shine *= 1 - cover;
    } else if (hairline > -0.25f && cap > 0.9f) {
        surface->occlusion *= 1 - 0.22f * lk_smooth(-0.25f, -0.03f, hairline);
    }
}

/* Lines of age on the neutral face: the forehead's, from the nose to the mouth's corners, at the eyes' outer corners. */
static float wrinkle_depth(lk_vec3 at)
{
    float x = fabsf(at.x), depth = 0;
    if (at.z < -0.3f)
        return 0;
    if (at.y > 0.38f && at.y < 0.85f)
        depth += lk_smooth(0.55f, 0.95f, sinf(at.y * 46 + 3 * x * x)) * lk_smooth(0.38f, 0.46f, at.y) * lk_smooth(0.62f, 0.3f, x);
    float fold = x - (0.21f - 0.42f * (at.y + 0.42f));
    depth += lk_smooth(0.035f, 0, fabsf(fold)) * lk_smooth(-0.78f, -0.66f, at.y) * lk_smooth(-0.36f, -0.46f, at.y);
    if (x > 0.44f && x < 0.62f && fabsf(at.y) < 0.12f)
        depth += 0.7f * lk_smooth(0.5f, 0.95f, sinf((at.y + 0.35f * at.y * x) * 85)) * lk_smooth(0.44f, 0.5f, x) *
                 lk_smooth(0.62f, 0.54f, x);
    return depth;
}

/* What skin does besides its colour. */
static void paint_complexion(const lk_face *face, const skin_point *p, float s, float t, surface_paint *surface)
{
    const lk_complexion *c = &face->scene.complexion;
    float patches = lk_cloud(face->bake, s * 0.55f + c->noise_u, t * 0.55f + c->noise_v);
    float red = c->redness * p->skin.flush + 0.35f * lk_max(0, c->redness) * lk_max(0, patches);
    surface->albedo = lk_vec3_multiply(surface->albedo, lk_v3(1 + 0.03f * red, 1 - 0.20f * red, 1 - 0.18f * red));
    surface->albedo = lk_vec3_scale(surface->albedo, 1 + c->blotches * patches);
    if (c->freckles > 0 && p->at.z > -0.1f && p->at.y > -0.75f && p->at.y < 0.2f) {
        float spot = lk_noise(face->bake, s * 2.3f + c->noise_v, t * 2.3f + c->noise_u);
        float much = c->freckles * (0.3f + 0.7f * p->skin.flush) * lk_smooth(0.55f, 0.9f, spot);
        surface->albedo = lk_vec3_multiply(surface->albedo, lk_v3(1 - 0.30f * much, 1 - 0.42f * much, 1 - 0.48f * much));
    }
    float deep = c->wrinkles * face->age;
    if (deep > 0.02f)
        surface->occlusion *= 1 - 0.4f * deep * lk_clamp01(wrinkle_depth(p->at));
    surface->shine = lk_max(0, surface->shine + c->shine);
}

/* Cloth over the shoulders. */
static bool paint_cloth(const lk_face *face, const skin_point *p, surface_paint *surface)
{
    const lk_accessories *worn = &face->scene.worn;
    float edge = worn->neckline + 0.30f * lk_smooth(0.15f, 0.85f, fabsf(p->at.x)) - 0.22f * lk_min(0, p->at.z + 0.45f);
    if (!worn->clothed || p->at.y > edge)
        return false;
    float stripe = sinf(p->at.y * worn->cloth_scale) > 0.3f;
    float folds = 0.85f + 0.25f * lk_cloud(face->bake, p->at.x * 22 + worn->cloth_scale, p->at.y * 13);
    surface->albedo = lk_vec3_scale(lk_vec3_mix(worn->cloth_colour, worn->cloth_stripe, stripe), lk_max(0.3f, folds));
    surface->albedo = lk_vec3_scale(surface->albedo, 0.55f + 0.45f * lk_smooth(0, -0.05f, p->at.y - edge));
    surface->shine = surface->gloss = 0;
    return true;
}

static surface_paint paint_skin(const lk_face *face, const skin_point *p)
{
    float s = (p->at.x + 0.6f * p->at.z) * 90, t = p->at.y * 90;
    float coarse = lk_noise(face->bake, s * 0.35f, t * 0.35f), fine = lk_noise(face->bake, s * 1.7f, t * 1.7f);
    surface_paint surface = {.occlusion = p->skin.occlusion};
    surface.albedo = lk_vec3_scale(face->look.skin, 1 + 0.035f * coarse + 0.035f * fine);
    float flush = p->skin.flush, alpha;
    const lk_asset *skin = face->assets[LK_ASSET_SKIN];
    if (skin) {
        surface.albedo = lk_texture_at(&skin->texture, face->skin_level, p->u, p->v, &alpha);
        surface.albedo = lk_vec3_multiply(surface.albedo, skin->material.colour);
    } else {
        surface.albedo = lk_vec3_multiply(surface.albedo, lk_v3(1 - 0.02f * flush, 1 - 0.26f * flush, 1 - 0.26f * flush));
        surface.albedo = lk_vec3_scale(surface.albedo, 1 - 0.30f * p->skin.dark);
    }
    surface.shine = 0.10f + 0.05f * lk_clamp01(1 - fabsf(p->at.x) * 3) - 0.03f * fine;
    if (skin) /* the texture has some of its own */
        surface.shine *= 0.5f;
    if (face->scene.lively)
        paint_complexion(face, p, s, t, &surface);
    if (paint_cloth(face, p, &surface))
        return surface;
    float lip = paint_lips(face, p, s, t, &surface);
    if (p->skin.inner_mouth > 0.02f)
        surface.albedo = lk_vec3_mix(surface.albedo, lk_v3(0.10f, 0.02f, 0.02f), lk_clamp01(p->skin.inner_mouth * 1.5f));
    paint_brows(face, p, &surface);
    paint_beard(face, p, lip, fine, &surface);
    paint_scalp(face, p, s, t, &surface);
    return surface;
}

/* Skin lets light through: each colour wraps around the terminator by its own amount, red furthest. */
static float wrapped(float cosine, float wrap)
{
    return lk_clamp01((cosine + wrap) / (1 + wrap));
}

static lk_vec3 light_skin(const lk_face *face, const skin_point *p, const surface_paint *surface)
{
    const lk_scene *scene = &face->scene;
    float key = lk_vec3_dot(p->normal, scene->key_direction), fill = lk_clamp01(lk_vec3_dot(p->normal, scene->fill_direction));
    float open = surface->occlusion;
    lk_vec3 light = lk_vec3_scale(lk_ambient(scene, p->normal), open);
    float soft = scene->softness, rim = lk_clamp01(lk_vec3_dot(p->normal, scene->rim_direction));
    light.x += (scene->key_colour.x * wrapped(key, 0.30f * soft) + scene->fill_colour.x * fill) * (0.35f + 0.65f * open);
    light.y += (scene->key_colour.y * wrapped(key, 0.16f * soft) + scene->fill_colour.y * fill) * (0.32f + 0.68f * open);
    light.z += (scene->key_colour.z * wrapped(key, 0.12f * soft) + scene->fill_colour.z * fill) * (0.30f + 0.70f * open);
    light = lk_vec3_add_scaled(light, rim * open, scene->rim_colour);
    lk_vec3 colour = lk_vec3_multiply(surface->albedo, light);
    float facing = lk_clamp01(lk_vec3_dot(p->normal, face->halfway));
    float power2 = facing * facing, power4 = power2 * power2, power8 = power4 * power4, power16 = power8 * power8;
    float edge = 1 - lk_clamp01(p->normal.z);
    edge *= edge;
    float glint = (surface->shine * (power16 * 1.1f + power8 * 0.35f) + 0.05f * edge * edge) * open;
    glint += surface->gloss * power16 * power16 * 1.4f;
    return lk_vec3_add_scaled(colour, glint, scene->key_colour);
}

/* ---- eyes ---- */

/* An eye's light and reflections; `local` is the place on the eyeball, of its radius. */
static lk_vec3 light_eye(const lk_face *face, lk_vec3 local, lk_vec3 normal, lk_vec3 colour)
{
    const lk_scene *scene = &face->scene;
    float corner = fabsf(local.x);
    float shade = (0.45f + 0.55f * lk_smooth(0.62f, 0.05f, local.y)) * (0.75f + 0.25f * lk_smooth(1, 0.5f, corner));
    float key = wrapped(lk_vec3_dot(normal, scene->key_direction), 0.4f);
    lk_vec3 light = lk_vec3_add_scaled(lk_ambient(scene, normal), 0.85f * key, scene->key_colour);
    colour = lk_vec3_scale(lk_vec3_multiply(colour, light), shade);
    /* Reflections: the main light where it stands, and a faint one opposite. */
    float hx = local.x - 0.34f * scene->key_direction.x, hy = local.y - 0.40f * scene->key_direction.y;
    float reflection = lk_smooth(0.11f, 0.06f, sqrtf(hx * hx + hy * hy));
    hx = local.x + 0.4f * scene->key_direction.x;
    hy = local.y + 0.42f * scene->key_direction.y;
    reflection += 0.18f * lk_smooth(0.13f, 0.05f, sqrtf(hx * hx + hy * hy));
    return lk_vec3_add_scaled(colour, 0.72f * reflection, scene->key_colour);
}

static lk_vec3 shade_eye(const lk_face *face, const skin_point *p, int eye)
{
    const float iris_edge = 0.46f, pupil_edge = 0.19f; /* of the eyeball's radius */
    lk_vec3 iris_colour = face->look.iris;
    lk_vec3 local = lk_vec3_scale(lk_vec3_sub(p->at, face->bake->eye_centre[eye]), 1 / face->bake->eye_radius);
    float radius = sqrtf(local.x * local.x + local.y * local.y), corner = fabsf(local.x);
    lk_vec3 colour = lk_vec3_mix(lk_v3(0.70f, 0.68f, 0.66f), lk_v3(0.60f, 0.36f, 0.33f), 0.55f * lk_smooth(0.55f, 1.05f, corner));
    if (radius < iris_edge + 0.05f) {
        float streaks = lk_noise(face->bake, atan2f(local.y, local.x) * 40 + 100, radius * 25);
        float ring = lk_smooth(pupil_edge, iris_edge * 0.9f, radius) * lk_smooth(iris_edge, iris_edge * 0.7f, radius);
        lk_vec3 iris = lk_vec3_scale(iris_colour, 0.85f + 0.6f * ring + 0.25f * streaks);
        iris = lk_vec3_mix(iris, lk_vec3_scale(iris_colour, 0.2f), lk_smooth(iris_edge * 0.82f, iris_edge, radius));
        colour = lk_vec3_mix(iris, colour, lk_smooth(iris_edge - 0.03f, iris_edge + 0.05f, radius));
        colour = lk_vec3_mix(lk_v3(0.004f, 0.004f, 0.005f), colour, lk_smooth(pupil_edge - 0.025f, pupil_edge + 0.025f, radius));
    }
    lk_vec3 normal = radius < iris_edge ? lk_vec3_normalize(lk_vec3_add(p->normal, lk_v3(0, 0, 0.6f))) : p->normal;
    return light_eye(face, local, normal, colour);
}

lk_vec3 lk_light_eye(const lk_face *face, lk_vec3 at, lk_vec3 normal, lk_vec3 albedo)
{
    const lk_vec3 *centres = face->bake->eye_centre;
    int eye = fabsf(at.x - centres[1].x) < fabsf(at.x - centres[0].x);
    lk_vec3 local = lk_vec3_scale(lk_vec3_sub(at, centres[eye]), 1 / face->bake->eye_radius);
    return light_eye(face, local, normal, albedo);
}

/* Teeth and tongue: darker the deeper they lie. */
static lk_vec3 shade_mouth(const lk_face *face, const skin_point *p, int part)
{
    bool tongue = part == LK_PART_TONGUE;
    float open = (0.3f + 0.65f * lk_smooth(-0.45f, -0.05f, p->at.z - face->teeth_front)) * (tongue ? 0.5f : 1);
    lk_vec3 normal = lk_vec3_normalize(lk_vec3_add(lk_vec3_scale(p->normal, 0.4f), lk_v3(0, 0, 1)));
    lk_vec3 albedo = tongue ? lk_v3(0.38f, 0.13f, 0.13f) : face->scene.teeth;
    return lk_vec3_scale(lk_vec3_multiply(albedo, lk_matt_light(&face->scene, normal)), open);
}

lk_vec3 lk_matt_light(const lk_scene *scene, lk_vec3 normal)
{
    float key = wrapped(lk_vec3_dot(normal, scene->key_direction), 0.4f), fill = lk_vec3_dot(normal, scene->fill_direction);
    lk_vec3 light = lk_vec3_add_scaled(lk_ambient(scene, normal), 0.8f * key, scene->key_colour);
    light = lk_vec3_add_scaled(light, 0.6f * lk_clamp01(fill), scene->fill_colour);
    return lk_vec3_add_scaled(light, 0.8f * lk_clamp01(lk_vec3_dot(normal, scene->rim_direction)), scene->rim_colour);
}

void lk_shade(lk_face *face)
{
    lk_raster *raster = &face->raster;
    int samples = raster->size * raster->size;
    const lk_asset *asset = face->assets[LK_ASSET_SKIN];
    if (asset)
        face->skin_level =
            lk_texture_level(&asset->texture, (float)asset->texture.width[0] * asset->place_scale / face->camera.scale);
    for (int i = 0; i < samples; i++) {
        uint32_t fragment = raster->fragment[i];
        if (fragment == 0)
            continue;
        int part = (int)(fragment >> LK_FRAGMENT_PART_SHIFT) - 1;
        const uint16_t *corners = face->mesh->parts[part].corners[fragment & LK_FRAGMENT_TRIANGLE];
        float w[3] = {raster->weights[i][0], raster->weights[i][1], 1 - raster->weights[i][0] - raster->weights[i][1]};
        skin_point p;
        p.normal = lk_vec3_normalize(weigh_vector(face->normals, corners, w));
        p.at = weigh_vector(face->neutral, corners, w);
        if (part == LK_PART_SKIN) {
            interpolate_skin(face, corners, w, &p);
            surface_paint surface = paint_skin(face, &p);
            raster->colour[i] = light_skin(face, &p, &surface);
        } else if (part >= LK_PART_UPPER_TEETH) {
            raster->colour[i] = shade_mouth(face, &p, part);
        } else {
            raster->colour[i] = shade_eye(face, &p, part - LK_PART_LEFT_EYE);
        }
    }
}

/* ---- lashes ---- */

typedef struct lash_row {
    const lk_face *face;
    const lk_triangles *strip;
    float opacity;
} lash_row;

/* Solid at the lid, then single lashes that thin out. */
static void paint_lash(void *context, int triangle, const float w[3], lk_vec3 *colour)
{
    const lash_row *lashes = context;
    const uint16_t *c = lashes->strip->corners[triangle];
    const float *tips = lashes->face->mesh->lash_tip;
    float tip = weigh(tips[c[0]], tips[c[1]], tips[c[2]], w);
    float x = weigh_vector(lashes->face->neutral, c, w).x;
    float opacity = tip < 0.25f ? lashes->opacity : (1 - tip) * lk_smooth(-0.2f, 0.6f, sinf(x * 230)) * 1.1f;
    *colour = lk_vec3_mix(*colour, lk_v3(0.012f, 0.009f, 0.008f), lk_clamp01(opacity));
}

void lk_draw_lashes(lk_face *face)
{
    lash_row upper = {face, &face->mesh->parts[LK_PART_UPPER_LASHES], 1},
             lower = {face, &face->mesh->parts[LK_PART_LOWER_LASHES], 0.22f};
    lk_raster_overlay(&face->raster, upper.strip, face->screen, paint_lash, &upper);
    lk_raster_overlay(&face->raster, lower.strip, face->screen, paint_lash, &lower);
}
