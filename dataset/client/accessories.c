#include "dataset/client/accessories.h"

/* ---- hats: the scalp's triangles, moved outwards ---- */

static void choose_hat(lk_face *face)
{
    const lk_triangles *skin = &face->mesh->parts[LK_PART_SKIN];
    face->hat.count = 0;
    for (int t = 0; t < skin->count; t++) {
        const uint16_t *c = skin->corners[t];
        bool covered = true;
        for (int k = 0; k < 3; k++)
            covered &= lk_under_hat(&face->scene.worn, face->neutral[c[k]]);
        if (covered)
            for (int k = 0; k < 3; k++)
                face->hat.corners[face->hat.count][k] = c[k];
        face->hat.count += covered;
    }
}

static void paint_hat(void *context, int triangle, const float w[3], lk_vec3 *colour)
{
    const lk_face *face = context;
    const lk_accessories *worn = &face->scene.worn;
    const uint16_t *c = face->hat.corners[triangle];
    lk_vec3 normal = {0}, at = {0};
    for (int k = 0; k < 3; k++) {
        normal = lk_vec3_add_scaled(normal, w[k], face->normals[c[k]]);
        at = lk_vec3_add_scaled(at, w[k], face->neutral[c[k]]);
    }
    float edge = at.y - worn->hat_brim - 0.22f * (at.z - 0.2f);
    float knit = 0.92f + 0.08f * lk_noise(face->bake, at.x * 150, at.y * 150);
    lk_vec3 cloth = edge < 0.2f && edge > 0.14f ? worn->hat_stripe : worn->hat_colour;
    cloth = lk_vec3_scale(cloth, knit * (edge < 0.12f ? 0.85f : 1));
    *colour = lk_vec3_multiply(cloth, lk_matt_light(&face->scene, lk_vec3_normalize(normal)));
}

void lk_draw_hat(lk_face *face)
{
    const lk_accessories *worn = &face->scene.worn;
    if (!worn->hat)
        return;
    choose_hat(face);
    for (int i = 0; i < face->mesh->count; i++)
        face->outside[i] =
            lk_project(&face->camera, lk_vec3_add_scaled(face->positions[i], worn->hat_thickness, face->normals[i]));
    lk_raster_overlay(&face->raster, &face->hat, face->outside, paint_hat, face);
}

/* ---- glasses ---- */

enum { RIM_POINTS = 28 };

/* A lens is |x/a|^n + |y/b|^n < 1 in its own plane, before the eye. */
static lk_vec3 rim_point(const lk_accessories *worn, lk_vec3 centre, float angle)
{
    float c = cosf(angle), s = sinf(angle), power = 2 / worn->lens_square;
    return lk_vec3_add(centre, lk_v3(copysignf(powf(fabsf(c), power), c) * worn->lens_width,
                                     copysignf(powf(fabsf(s), power), s) * worn->lens_height, 0));
}

static lk_strand_end seen(const lk_face *face, lk_vec3 at, lk_vec3 colour)
{
    return (lk_strand_end){lk_project(&face->camera, lk_turn_apply(&face->turn, at)), colour};
}

static void draw_line(lk_face *face, lk_vec3 from, lk_vec3 to, float width, lk_vec3 colour)
{
    lk_strand_end a = seen(face, from, colour), b = seen(face, to, colour);
    lk_raster_strand(&face->raster, &a, &b, width * face->camera.scale, LK_FRAGMENT_STRAND);
}

/* Tint and glare of a lens, over the samples of its box on the screen. */
static void draw_lens(lk_face *face, lk_vec3 centre)
{
    const lk_accessories *worn = &face->scene.worn;
    lk_raster *raster = &face->raster;
    if (worn->lens_opacity <= 0 && worn->lens_glare <= 0)
        return;
    lk_vec3 black = {0}, middle = seen(face, centre, black).screen;
    lk_vec3 right = lk_vec3_sub(seen(face, lk_vec3_add(centre, lk_v3(worn->lens_width, 0, 0)), black).screen, middle);
    lk_vec3 up = lk_vec3_sub(seen(face, lk_vec3_add(centre, lk_v3(0, worn->lens_height, 0)), black).screen, middle);
    float area = right.x * up.y - right.y * up.x, reach = fabsf(right.x) + fabsf(right.y) + fabsf(up.x) + fabsf(up.y);
    if (fabsf(area) < 1e-3f)
        return;
    lk_vec3 glass = lk_vec3_multiply(worn->lens_colour, lk_matt_light(&face->scene, lk_v3(0, 0, 1)));
    for (int y = (int)(middle.y - reach); y <= (int)(middle.y + reach); y++)
        for (int x = (int)(middle.x - reach); x <= (int)(middle.x + reach); x++) {
            if ((unsigned)x >= (unsigned)raster->size || (unsigned)y >= (unsigned)raster->size)
                continue;
            float dx = (float)x + 0.5f - middle.x, dy = (float)y + 0.5f - middle.y;
            float u = (dx * up.y - dy * up.x) / area, v = (dy * right.x - dx * right.y) / area;
            if (powf(fabsf(u), worn->lens_square) + powf(fabsf(v), worn->lens_square) > 1)
                continue;
            lk_vec3 *colour = &raster->colour[y * raster->size + x];
            *colour = lk_vec3_mix(*colour, glass, worn->lens_opacity);
            float glare = worn->lens_glare * lk_smooth(0.5f, 0.75f, u * 0.6f + v) * lk_smooth(1.3f, 1.05f, u * 0.6f + v);
            *colour = lk_vec3_add_scaled(*colour, glare, lk_v3(1, 1, 1));
        }
}

static lk_vec3 lens_centre(const lk_face *face, int eye)
{
    lk_vec3 sum = {0};
    for (int k = 0; k < LK_EYE_LANDMARKS; k++) {
        int vertex = face->mesh->eye_landmarks[eye][k];
        sum = lk_vec3_add(sum, lk_vec3_add(face->neutral[vertex], face->moves[vertex]));
    }
    lk_vec3 centre = lk_vec3_scale(sum, 1.0f / LK_EYE_LANDMARKS);
    return lk_vec3_add(centre, lk_v3(centre.x > 0 ? 0.02f : -0.02f, -face->scene.worn.lens_drop, 0.22f));
}

void lk_draw_glasses(lk_face *face)
{
    const lk_accessories *worn = &face->scene.worn;
    if (worn->glasses == LK_NO_GLASSES)
        return;
    lk_vec3 light = lk_matt_light(&face->scene, lk_v3(0, 0.3f, 0.95f)), frame = lk_vec3_multiply(worn->frame_colour, light);
    lk_vec3 centres[2] = {lens_centre(face, 0), lens_centre(face, 1)};
    for (int eye = 0; eye < 2; eye++) {
        lk_vec3 centre = centres[eye], last = rim_point(worn, centre, 0);
        float outward = centre.x > 0 ? 1 : -1;
        draw_lens(face, centre);
        for (int i = 1; i <= RIM_POINTS; i++) {
            lk_vec3 next = rim_point(worn, centre, 6.2831853f * (float)i / RIM_POINTS);
            draw_line(face, last, next, worn->frame_width, frame);
            last = next;
        }
        lk_vec3 hinge = lk_vec3_add(centre, lk_v3(outward * worn->lens_width, 0.4f * worn->lens_height, 0));
        lk_vec3 ear = lk_v3(outward * 0.80f, centre.y + 0.05f, -0.75f);
        draw_line(face, hinge, ear, worn->frame_width, lk_vec3_scale(frame, 0.7f));
    }
    lk_vec3 inner[2];
    for (int eye = 0; eye < 2; eye++)
        inner[eye] = lk_vec3_add(centres[eye],
                                 lk_v3(centres[eye].x > 0 ? -worn->lens_width : worn->lens_width, 0.3f * worn->lens_height, 0));
    lk_vec3 bridge = lk_vec3_add(lk_vec3_mix(inner[0], inner[1], 0.5f), lk_v3(0, 0.03f, 0.03f));
    draw_line(face, inner[0], bridge, worn->frame_width, frame);
    draw_line(face, bridge, inner[1], worn->frame_width, frame);
}

/* ---- locks of hair over the face ---- */

enum { LOCK_POINTS = 8, LOCK_HAIRS = 9 };

static void draw_lock(lk_face *face, int number)
{
    const lk_accessories *worn = &face->scene.worn;
    for (int hair = 0; hair < LOCK_HAIRS; hair++) {
        float aside = 0.03f * ((float)hair - 0.5f * LOCK_HAIRS) / LOCK_HAIRS;
        float shade = 0.75f + 0.05f * (float)(hair * 5 % LOCK_HAIRS);
        lk_vec3 colour =
            lk_vec3_scale(lk_vec3_multiply(face->look.hair_colour, lk_matt_light(&face->scene, lk_v3(0, 0.2f, 0.97f))), shade);
        lk_vec3 last = {0};
        for (int k = 0; k <= LOCK_POINTS; k++) {
            float along = (float)k / LOCK_POINTS, thin = 1 - 0.8f * along;
            float x = worn->lock_start[number] + (worn->lock_end[number] - worn->lock_start[number]) * along * along;
            float y = 0.80f - worn->lock_length[number] * along, round = lk_max(0, 1 - x * x * 1.1f);
            lk_vec3 at = lk_v3(x + aside * thin, y, -0.35f + 0.75f * sqrtf(round) + 0.12f * sinf(3.14f * along));
            if (k > 0)
                draw_line(face, last, at, 0.012f, colour);
            last = at;
        }
    }
}

void lk_draw_locks(lk_face *face)
{
    bool bald = face->look.cap <= 0 || face->scene.worn.hat;
    for (int i = 0; !bald && i < face->scene.worn.lock_count; i++)
        draw_lock(face, i);
}

/* ---- a hand: fingers and palm as capsules on the screen ---- */

typedef struct capsule {
    float ax, ay, bx, by, from, to; /* ends and their radii, samples */
} capsule;

static void draw_capsule(lk_face *face, const capsule *c, bool nail)
{
    lk_raster *raster = &face->raster;
    float dx = c->bx - c->ax, dy = c->by - c->ay, square = dx * dx + dy * dy + 1e-6f, most = lk_max(c->from, c->to);
    int x0 = (int)(lk_min(c->ax, c->bx) - most), x1 = (int)(lk_max(c->ax, c->bx) + most) + 1;
    int y0 = (int)(lk_min(c->ay, c->by) - most), y1 = (int)(lk_max(c->ay, c->by) + most) + 1;
    lk_vec3 skin = lk_vec3_multiply(face->look.skin, lk_v3(1, 0.93f, 0.90f));
    for (int y = y0 < 0 ? 0 : y0; y <= y1 && y < raster->size; y++)
        for (int x = x0 < 0 ? 0 : x0; x <= x1 && x < raster->size; x++) {
            float px = (float)x + 0.5f - c->ax, py = (float)y + 0.5f - c->ay;
            float along = lk_clamp01((px * dx + py * dy) / square), radius = c->from + (c->to - c->from) * along;
            float ox = (px - along * dx) / radius, oy = (py - along * dy) / radius, off = ox * ox + oy * oy;
            if (off >= 1)
                continue;
            lk_vec3 normal = lk_v3(ox, -oy, sqrtf(1 - off));
            float crease = 1 - 0.18f * lk_smooth(0.05f, 0, fabsf(along - 0.5f)) - 0.35f * off * off;
            lk_vec3 albedo = nail && along > 0.86f && fabsf(px * dy - py * dx) < 0.5f * radius * sqrtf(square)
                                 ? lk_vec3_mix(skin, lk_v3(0.8f, 0.6f, 0.55f), 0.4f)
                                 : skin;
            raster->colour[y * raster->size + x] =
                lk_vec3_scale(lk_vec3_multiply(albedo, lk_matt_light(&face->scene, normal)), crease);
            raster->fragment[y * raster->size + x] |= LK_FRAGMENT_STRAND;
        }
}

void lk_draw_hand(lk_face *face)
{
    const lk_accessories *worn = &face->scene.worn;
    if (!worn->hand)
        return;
    float edge = (float)face->raster.size, size = worn->hand_size * edge, thick = 0.135f * size,
          mirror = worn->hand_mirrored ? -1 : 1;
    float x = (0.5f + mirror * (worn->hand_x - 0.5f)) * edge, y = worn->hand_y * edge, turn = mirror * worn->hand_turn;
    float ux = sinf(turn), uy = -cosf(turn), rx = mirror * cosf(turn), ry = mirror * sinf(turn);
    capsule palm = {x - 0.2f * size * ux + 1.5f * thick * rx,
                    y - 0.2f * size * uy + 1.5f * thick * ry,
                    x - 1.2f * size * ux + 1.5f * thick * rx,
                    y - 1.2f * size * uy + 1.5f * thick * ry,
                    3 * thick,
                    2.6f * thick};
    draw_capsule(face, &palm, false);
    static const float LENGTHS[4] = {0.9f, 1, 0.94f, 0.76f};
    for (int f = worn->fingers - 1; f >= 0; f--) {
        float angle = turn + mirror * (((float)f - 1.2f) * worn->hand_spread), bend = angle + mirror * worn->hand_curl;
        float sx = x + rx * thick * 2 * (float)f, sy = y + ry * thick * 2 * (float)f, half = 0.5f * size * LENGTHS[f];
        float mx = sx + half * sinf(angle), my = sy - half * cosf(angle);
        capsule lower = {sx, sy, mx, my, thick * 1.05f, thick};
        capsule upper = {mx, my, mx + half * sinf(bend), my - half * cosf(bend), thick, thick * 0.78f};
        draw_capsule(face, &lower, false);
        draw_capsule(face, &upper, true);
    }
}
