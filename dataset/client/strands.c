#include "dataset/client/strands.h"

#include <stdlib.h>
#include <string.h>

/* Generators of different sets never meet. */
enum { SEED_HAIR = 1000, SEED_BROWS = 300, SEED_BEARD = 500 };
enum { MOST_STEPS = 60, MOST_PICKS = 2000000, BUN_STRANDS = 900, BUN_POINTS = 9, BROW_HAIRS = 520 };

/* ---- the set ---- */

static lk_strand_point *add_point(lk_strand_set *set, lk_vec3 rest)
{
    if (set->point_count == set->point_room) {
        int room = set->point_room ? 2 * set->point_room : 8192;
        lk_strand_point *larger = realloc(set->points, (size_t)room * sizeof *larger);
        if (!larger)
            return NULL;
        set->points = larger;
        set->point_room = room;
    }
    lk_strand_point *point = &set->points[set->point_count++];
    *point = (lk_strand_point){.rest = rest};
    return point;
}

/* A point that moves with the triangle it was grown on. */
static bool add_rooted(lk_strand_set *set, const lk_root *root, lk_vec3 rest)
{
    lk_strand_point *point = add_point(set, rest);
    if (!point)
        return false;
    for (int k = 0; k < 3; k++) {
        point->vertices[k] = root->corners[k];
        point->weights[k] = root->weights[k];
    }
    point->vertices[3] = root->corners[0];
    return true;
}

static bool add_bound(lk_strand_set *set, const lk_scalp *scalp, lk_vec3 rest)
{
    lk_strand_point *point = add_point(set, rest);
    if (point)
        lk_scalp_bind(scalp, rest, point->vertices, point->weights);
    return point != NULL;
}

/* Makes a strand of the points from `first` on. */
static bool add_strand(lk_strand_set *set, int first, float shade, float width, float depth)
{
    if (set->strand_count == set->strand_room) {
        int room = set->strand_room ? 2 * set->strand_room : 512;
        lk_strand *larger = realloc(set->strands, (size_t)room * sizeof *larger);
        if (!larger)
            return false;
        set->strands = larger;
        set->strand_room = room;
    }
    set->strands[set->strand_count++] = (lk_strand){first, set->point_count - first, shade, width, depth};
    return true;
}

static lk_status finish(lk_strand_set *set, bool complete)
{
    if (complete)
        return LK_OK;
    lk_strands_free(set);
    return lk_fail(LK_INTERNAL, "no memory for strands of hair");
}

void lk_strands_free(lk_strand_set *set)
{
    free(set->points);
    free(set->strands);
    *set = (lk_strand_set){0};
}

static float signed_uniform(lk_random *random)
{
    return lk_random_range(random, -1, 1);
}

/* ---- hair ---- */

/* What stays the same along one strand while it grows. */
typedef struct growth_state {
    const lk_hair_style *style;
    const lk_scalp *scalp;
    lk_vec3 root, sideways;
    float length;
    float layer;         /* 0 at the skin .. 1 on top */
    float offset;        /* how far it is held off the head */
    float radius, phase; /* of the curl */
} growth_state;

static lk_vec3 first_direction(const growth_state *growth, lk_vec3 normal)
{
    const lk_hair_style *style = growth->style;
    if (!style->flow)
        return normal;
    lk_vec3 flow = style->flow(growth->root, growth->root);
    return lk_vec3_normalize(lk_vec3_add_scaled(lk_vec3_scale(normal, style->rise), style->comb, flow));
}

static lk_vec3 bend(const growth_state *growth, lk_vec3 at, lk_vec3 direction, float grown)
{
    const lk_hair_style *style = growth->style;
    lk_vec3 force = {0};
    if (style->flow)
        force = lk_vec3_scale(style->flow(growth->root, at), style->comb * lk_max(0, 1 - grown * style->hold));
    force.y -= style->gravity * lk_smooth(0, 0.5f, grown / lk_max(style->length, 1));
    return lk_vec3_normalize(lk_vec3_add_scaled(lk_vec3_scale(direction, style->stiffness * 3), style->step * 14, force));
}

/* Keeps the strand off the head by its layer's offset, and near it where the style clings. */
static lk_vec3 keep_off_head(const growth_state *growth, lk_vec3 at, float grown, lk_vec3 *direction)
{
    const float neck = -0.9f; /* further down hair just hangs: the reach there is that of the shoulders */
    if (at.y < neck)
        return at;
    lk_vec3 out = lk_vec3_sub(at, LK_HEAD_CENTRE);
    float distance = lk_vec3_length(out);
    out = lk_vec3_scale(out, 1 / distance);
    float surface = lk_scalp_reach(growth->scalp, out) + growth->offset * (0.45f + 0.55f * lk_smooth(0, 0.3f, grown));
    float outermost = surface + growth->style->cling * (0.3f + 0.7f * growth->layer), innermost = surface + 0.01f;
    float along = lk_vec3_dot(*direction, out);
    if (growth->style->cling > 0 && at.y > -0.55f && distance > outermost) {
        if (along > 0)
            *direction = lk_vec3_normalize(lk_vec3_add_scaled(*direction, -0.9f * along, out));
        return lk_vec3_add_scaled(LK_HEAD_CENTRE, outermost, out);
    }
    if (distance < innermost) {
        if (along < 0)
            *direction = lk_vec3_normalize(lk_vec3_add_scaled(*direction, -along, out));
        return lk_vec3_add_scaled(LK_HEAD_CENTRE, innermost, out);
    }
    return at;
}

/* Where the point stands once it is curled around the strand's path. */
static lk_vec3 curl(const growth_state *growth, lk_vec3 at, float grown)
{
    lk_vec3 out = lk_vec3_normalize(lk_vec3_sub(at, LK_HEAD_CENTRE)), other = lk_vec3_cross(growth->sideways, out);
    float radius = growth->radius * lk_smooth(0, 0.2f, grown), angle = growth->phase + grown * growth->style->turns;
    return lk_vec3_add_scaled(lk_vec3_add_scaled(at, radius * sinf(angle), growth->sideways), radius * cosf(angle), other);
}

/* Does the head stand between the whole strand and the viewer, however far scenes turn it? */
static bool is_hidden(const lk_strand_set *set, int first, const lk_scalp *scalp)
{
    for (int i = first; i < set->point_count; i++) {
        lk_vec3 at = lk_vec3_sub(set->points[i].rest, LK_HEAD_CENTRE), outline = {at.x, at.y, 0};
        if (at.z > -0.1f || set->points[i].rest.y < -0.5f || lk_vec3_length(outline) > 0.7f * lk_scalp_reach(scalp, outline))
            return false;
    }
    return true;
}

static bool grow_strand(lk_strand_set *set, const growth_state *growth, const lk_root *root, lk_random *random)
{
    const lk_hair_style *style = growth->style;
    int first = set->point_count;
    lk_vec3 at = lk_vec3_add_scaled(root->at, 0.004f, root->normal), direction = first_direction(growth, root->normal);
    bool complete = add_rooted(set, root, at);
    float grown = 0;
    for (int step = 0; complete && step < MOST_STEPS && grown < growth->length; step++) {
        direction = bend(growth, at, direction, grown);
        at = lk_vec3_add_scaled(at, style->step, direction);
        grown += style->step;
        at = keep_off_head(growth, at, grown, &direction);
        if (style->ends && style->ends(root->at, at, random))
            break;
        complete = add_bound(set, growth->scalp, curl(growth, at, grown));
    }
    if (set->point_count - first < 2 || is_hidden(set, first, growth->scalp)) {
        set->point_count = first;
        return complete;
    }
    float shade = lk_random_range(random, 0.8f, 1.2f), width = style->width * lk_random_range(random, 0.7f, 1.3f);
    return complete && add_strand(set, first, shade, width, growth->layer);
}

/* The bun itself: strands wound around a ball. */
static bool wind_bun(lk_strand_set *set, const lk_scalp *scalp, lk_random *random)
{
    bool complete = true;
    for (int s = 0; complete && s < BUN_STRANDS; s++) {
        lk_vec3 tilt = {signed_uniform(random), signed_uniform(random), signed_uniform(random)};
        lk_vec3 any = {signed_uniform(random), signed_uniform(random), signed_uniform(random)};
        lk_vec3 axis = lk_vec3_normalize(lk_vec3_add_scaled(lk_v3(0, 1, 0.2f), 0.5f, tilt));
        lk_vec3 u = lk_vec3_normalize(lk_vec3_cross(axis, any)), v = lk_vec3_cross(axis, u);
        float layer = lk_random_uniform(random), radius = LK_BUN_RADIUS * (0.8f + 0.2f * layer);
        float height = 0.2f * signed_uniform(random), ring = sqrtf(lk_max(0.01f, radius * radius - height * height));
        float start = lk_random_range(random, 0, 6.28f);
        int first = set->point_count;
        for (int k = 0; complete && k < BUN_POINTS; k++) {
            float angle = start + 0.22f * (float)k;
            lk_vec3 on_ring = lk_vec3_add_scaled(lk_vec3_scale(u, ring * cosf(angle)), ring * sinf(angle), v);
            complete = add_bound(set, scalp, lk_vec3_add(lk_vec3_add_scaled(LK_BUN_CENTRE, height, axis), on_ring));
        }
        complete = complete && add_strand(set, first, lk_random_range(random, 0.8f, 1.2f), 0.014f, 0.3f + 0.7f * layer);
    }
    return complete;
}

/* Mixes the strands (Fisher-Yates), so that a part of them is a fair sample. */
static void shuffle(lk_strand_set *set, lk_random *random)
{
    for (int i = set->strand_count - 1; i > 0; i--) {
        int j = (int)lk_random_below(random, (uint32_t)i + 1);
        lk_strand other = set->strands[i];
        set->strands[i] = set->strands[j];
        set->strands[j] = other;
    }
}

lk_status lk_strands_grow_hair(const lk_scalp *scalp, int number, lk_strand_set *out)
{
    *out = (lk_strand_set){0};
    const lk_hair_style *style = &LK_HAIR_TABLE[number];
    lk_random random = lk_random_make(SEED_HAIR, (uint64_t)number);
    bool complete = true;
    int grown = 0;
    out->step = style->step;
    for (int pick = 0; complete && grown < style->strands && pick < MOST_PICKS; pick++) {
        lk_root root = lk_scalp_pick(scalp, LK_REGION_HAIR, &random);
        float inside = lk_hairline(root.at) + 0.03f * signed_uniform(&random);
        if (inside < 0)
            continue;
        float length = style->length + style->spread * signed_uniform(&random);
        if (style->trim)
            length = style->trim(root.at, length, &random);
        if (length <= 0)
            continue;
        growth_state growth = {
            .style = style, .scalp = scalp, .root = root.at, .length = length, .layer = lk_random_uniform(&random)};
        growth.sideways = lk_vec3_normalize(lk_vec3_cross(root.normal, lk_v3(0.3f, 0.2f, 1)));
        growth.offset = style->lift * (0.1f + 0.9f * growth.layer) * (0.35f + 0.65f * lk_smooth(0, 0.25f, inside));
        growth.radius = style->curl * lk_random_range(&random, 0.6f, 1.4f);
        growth.phase = lk_random_range(&random, 0, 6.28f);
        if (style->locks)
            growth.phase = 7 * sinf(root.at.x * 6) + 5 * sinf(root.at.y * 7 + root.at.z * 5) + 0.6f * signed_uniform(&random);
        complete = grow_strand(out, &growth, &root, &random);
        grown++;
    }
    if (complete && number == LK_HAIR_BUN)
        complete = wind_bun(out, scalp, &random);
    shuffle(out, &random);
    return finish(out, complete);
}

/* ---- brows and beards ---- */

lk_status lk_strands_grow_brows(const lk_scalp *scalp, int number, lk_strand_set *out)
{
    *out = (lk_strand_set){0};
    const lk_brow_style *style = &LK_BROW_TABLE[number];
    lk_random random = lk_random_make(SEED_BROWS, (uint64_t)number);
    int wanted = (int)(BROW_HAIRS * style->density);
    out->step = style->hair / 2;
    bool complete = true;
    for (int pick = 0; complete && out->strand_count < wanted && pick < MOST_PICKS; pick++) {
        lk_root root = lk_scalp_pick(scalp, LK_REGION_BROWS, &random);
        float along, cover = lk_brow_cover(style, root.at, &along);
        if (cover < 0 || cover < 0.25f * lk_random_uniform(&random))
            continue;
        /* Hairs stand up at the inner end and lie along the brow further out. */
        lk_vec3 lie = lk_v3((root.at.x > 0 ? 1.0f : -1.0f) * (0.35f + 0.65f * lk_clamp01(along * 2.2f)),
                            0.8f - 1.05f * lk_clamp01(along * 1.3f), 0);
        lie.x += 0.15f * signed_uniform(&random);
        lie.y += 0.15f * signed_uniform(&random);
        lie = lk_vec3_normalize(lie);
        lie = lk_vec3_normalize(lk_vec3_add_scaled(lie, -lk_vec3_dot(lie, root.normal), root.normal));
        float length = style->hair * lk_random_range(&random, 0.6f, 1) * (1 - 0.3f * lk_clamp01(along));
        int first = out->point_count;
        for (int k = 0; complete && k < 3; k++) {
            lk_vec3 at = lk_vec3_add_scaled(root.at, length * 0.5f * (float)k, lie);
            complete = add_rooted(out, &root, lk_vec3_add_scaled(at, k == 1 ? 0.014f : 0.008f, root.normal));
        }
        complete =
            complete && add_strand(out, first, lk_random_range(&random, 0.8f, 1.2f), 0.0085f, lk_random_range(&random, 0.6f, 1));
    }
    return finish(out, complete);
}

static lk_vec3 beard_direction(const lk_root *root, lk_random *random)
{
    lk_vec3 lie = lk_is_moustache(root->at) ? lk_v3(root->at.x * 5, -0.8f, 0.15f)
                                            : lk_v3(root->at.x * 0.35f, -1, fabsf(root->at.x) < 0.3f ? 0.25f : 0);
    lie.x += 0.3f * signed_uniform(random);
    lie.y += 0.2f * signed_uniform(random);
    lie.z += 0.2f * signed_uniform(random);
    lie = lk_vec3_normalize(lie);
    const float lift = 0.28f;
    return lk_vec3_normalize(lk_vec3_add_scaled(lie, lift - lk_vec3_dot(lie, root->normal), root->normal));
}

lk_status lk_strands_grow_beard(const lk_scalp *scalp, int number, lk_strand_set *out)
{
    *out = (lk_strand_set){0};
    const lk_beard_style *style = &LK_BEARD_TABLE[number];
    lk_random random = lk_random_make(SEED_BEARD, (uint64_t)number);
    out->step = style->length / 3;
    bool complete = true;
    for (int pick = 0; complete && out->strand_count < style->strands && pick < MOST_PICKS; pick++) {
        lk_root root = lk_scalp_pick(scalp, LK_REGION_BEARD, &random);
        if (lk_beard_cover(number, root.at) < lk_random_range(&random, 0.3f, 0.8f))
            continue;
        lk_vec3 lie = beard_direction(&root, &random);
        float length = lk_is_moustache(root.at) ? lk_min(style->length, 0.11f) : style->length;
        if (number == LK_BEARD_FULL)
            length += 0.12f * lk_smooth(0.2f, -0.3f, root.at.y - LK_CHIN_Y);
        length *= lk_random_range(&random, 0.6f, 1.2f);
        float hang = length > 0.1f ? 0.04f : 0;
        int first = out->point_count;
        for (int k = 0; complete && k < 4; k++) {
            float t = (float)k / 3, wave = k > 0 ? 0.01f : 0;
            lk_vec3 at = lk_vec3_add_scaled(lk_vec3_add_scaled(root.at, length * t, lie), 0.006f, root.normal);
            at = lk_vec3_add(at, lk_v3(wave * signed_uniform(&random), -hang * t * t, wave * signed_uniform(&random)));
            complete = add_rooted(out, &root, at);
        }
        complete = complete && add_strand(out, first, lk_random_range(&random, 0.75f, 1.25f), style->width,
                                          lk_random_range(&random, 0.5f, 1));
    }
    return finish(out, complete);
}
