/* Strands of hair, brows and beard as lines of samples. Declared in drawing.h. */
#include "dataset/client/drawing.h"

enum { SET_WHOLE = 1000, THINNEST = 6, COARSEST = 3 };

/* Of small pictures: strands about this many samples wide, points this many apart. */
static const float STRAND_SAMPLES = 2.6f, STEP_SAMPLES = 7;

/* How a set of strands takes light. */
typedef struct strand_look {
    lk_vec3 colour;
    float shine;
    bool hair; /* grows around the head; else flat on the face */
    lk_vec3 head_centre;
} strand_look;

/* Kajiya and Kay's lighting of a fibre ("Rendering fur with three dimensional textures", 1989), with the head as a shade. */
static lk_vec3 light_strand(const lk_face *face, const strand_look *fibre, const lk_strand *strand, lk_vec3 at, lk_vec3 along,
                            int point)
{
    const lk_scene *scene = &face->scene;
    lk_vec3 normal = lk_vec3_normalize(fibre->hair ? lk_vec3_sub(at, fibre->head_centre) : lk_v3(at.x * 0.5f, 0.1f, 0.6f));
    float key = lk_vec3_dot(along, scene->key_direction), sine = sqrtf(lk_max(0, 1 - key * key));
    float lit = lk_clamp01((lk_vec3_dot(normal, scene->key_direction) + 0.35f) / 1.35f);
    float half = lk_vec3_dot(along, face->halfway), glint = lk_max(0, 1 - half * half);
    glint *= glint;
    glint *= glint;
    glint *= glint;
    glint *= glint;
    float open = fibre->hair ? 0.35f + 0.65f * strand->depth : 1;
    float root = fibre->hair && strand->count > 4 ? 0.6f + 0.4f * lk_smooth(0, 4, (float)point) : 1;
    lk_vec3 light = lk_vec3_add_scaled(lk_vec3_scale(lk_ambient(scene, normal), 1.1f), 0.9f * (0.25f + 0.75f * sine) * lit,
                                       scene->key_colour);
    light = lk_vec3_add_scaled(light, lk_clamp01(lk_vec3_dot(normal, scene->fill_direction)), scene->fill_colour);
    lk_vec3 colour = lk_vec3_scale(lk_vec3_multiply(fibre->colour, light), strand->shade * open * root);
    lk_vec3 tint = lk_vec3_add(lk_vec3_scale(fibre->colour, 0.6f), lk_v3(0.05f, 0.05f, 0.05f));
    return lk_vec3_add_scaled(colour, fibre->shine * glint * lit * strand->shade * open,
                              lk_vec3_multiply(tint, scene->key_colour));
}

static lk_vec3 carried(const lk_face *face, const lk_strand_point *point)
{
    lk_vec3 at = point->rest;
    for (int k = 0; k < LK_CARRIERS; k++)
        at = lk_vec3_add_scaled(at, point->weights[k], face->moves[point->vertices[k]]);
    return lk_turn_apply(&face->turn, at);
}

static void draw_strand(lk_face *face, const strand_look *fibre, const lk_strand_set *set, const lk_strand *strand, float widen,
                        int stride)
{
    const lk_strand_point *points = set->points + strand->first;
    uint32_t flags = LK_FRAGMENT_STRAND | (fibre->hair ? LK_FRAGMENT_HAIR : 0);
    lk_vec3 before = carried(face, &points[0]);
    lk_strand_end from = {.screen = lk_project(&face->camera, before)};
    for (int k = 0; k < strand->count - 1;) {
        int last = k;
        bool hidden = fibre->hair && lk_under_hat(&face->scene.worn, points[k].rest);
        k = k + stride < strand->count ? k + stride : strand->count - 1;
        lk_vec3 at = carried(face, &points[k]);
        lk_strand_end to = {.screen = lk_project(&face->camera, at)};
        to.colour = light_strand(face, fibre, strand, at, lk_vec3_normalize(lk_vec3_sub(at, before)), k);
        if (last == 0)
            from.colour = to.colour;
        float width = strand->width * widen * face->camera.scale * to.screen.z;
        if (k + 1 + stride >= strand->count && strand->count > 3) /* tips are thin */
            width *= 0.6f;
        if (!hidden)
            lk_raster_strand(&face->raster, &from, &to, width, flags);
        from = to;
        before = at;
    }
}

/* Small pictures get fewer, wider strands of fewer points. */
static void draw_set(lk_face *face, const strand_look *fibre, const lk_strand_set *set)
{
    if (set->strand_count == 0)
        return;
    int thin = 1;
    if (set->strand_count > SET_WHOLE) {
        float width = set->strands[0].width * face->camera.scale;
        thin = (int)ceilf(STRAND_SAMPLES / width);
        thin = thin > THINNEST ? THINNEST : thin;
    }
    float widen = powf((float)thin, 0.8f), step = set->step * face->camera.scale;
    int stride = (int)(STEP_SAMPLES / step);
    stride = stride < 1 ? 1 : stride > COARSEST ? COARSEST : stride;
    for (int i = 0; i < set->strand_count / thin; i++)
        draw_strand(face, fibre, set, &set->strands[i], widen, stride);
}

/* Hair shades skin that it hangs in front of: a few samples towards the light are asked whether they are hair and nearer. */
static void shadow_of_hair(lk_face *face)
{
    lk_raster *raster = &face->raster;
    int size = raster->size, near = (int)((float)size * 0.010f) + 1, middle = (int)((float)size * 0.022f) + 1;
    int far = (int)((float)size * 0.036f) + 1;
    float lean = face->scene.key_direction.x > 0 ? -1 : 1;
    const int dx[4] = {(int)lean * near / 2, (int)lean * middle / 2, (int)lean * far / 2, -(int)lean * near};
    const int dy[4] = {near, middle, far, middle};
    const uint32_t skin = (uint32_t)(LK_PART_SKIN + 1);
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++) {
            int at = y * size + x;
            if (raster->fragment[at] >> LK_FRAGMENT_PART_SHIFT != skin)
                continue;
            float shade = 0;
            for (int k = 0; k < 4; k++) {
                int sx = x - dx[k], sy = y - dy[k];
                if (sx < 0 || sx >= size || sy < 0)
                    continue;
                int source = sy * size + sx;
                if ((raster->fragment[source] & LK_FRAGMENT_HAIR) && raster->depth[source] > raster->depth[at] - 0.002f)
                    shade += 0.25f;
            }
            if (shade > 0)
                raster->colour[at] =
                    lk_vec3_multiply(raster->colour[at], lk_v3(1 - 0.42f * shade, 1 - 0.48f * shade, 1 - 0.50f * shade));
        }
}

void lk_draw_strands(lk_face *face, const lk_strand_set *brows, const lk_strand_set *beard, const lk_strand_set *hair)
{
    strand_look fibre = {.colour = face->look.brow_colour, .shine = 0.15f};
    draw_set(face, &fibre, brows);
    fibre.colour = face->look.beard_colour;
    fibre.shine = 0.3f;
    draw_set(face, &fibre, beard);
    fibre = (strand_look){.colour = face->look.hair_colour, .shine = 0.9f, .hair = true};
    fibre.head_centre = lk_turn_apply(&face->turn, LK_HEAD_CENTRE);
    draw_set(face, &fibre, hair);
    lk_draw_asset(face, LK_ASSET_HAIR);
    if (hair->strand_count > 0 || face->assets[LK_ASSET_HAIR])
        shadow_of_hair(face);
}
