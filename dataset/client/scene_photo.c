/* Scenes of the photo view, declared in scene.h: what cameras make of people. Shares of faces that smile, wear glasses and so on
 * are guesses at what portraits and phone pictures show; they widen what the encoder meets, and no label depends on them.
 */
#include "dataset/client/scene.h"

#include "dataset/client/styles.h"

/* One generator a purpose: a change in one leaves the others' draws alone. */
enum {
    STREAM_POSE = 100,
    STREAM_LIGHT,
    STREAM_BACKGROUND,
    STREAM_CAMERA,
    STREAM_NOISE,
    STREAM_EXPRESSION,
    STREAM_CROP,
    STREAM_COMPLEXION,
    STREAM_GLASSES,
    STREAM_HAT,
    STREAM_CLOTHES,
    STREAM_LOCKS,
    STREAM_HAND
};

static const float RADIANS = 0.0174532925f;

static float range(lk_random *random, float low, float high)
{
    return lk_random_range(random, low, high);
}

static bool happens(lk_random *random, float share)
{
    return lk_random_uniform(random) < share;
}

/* ---- the face at work ---- */

static void draw_mouth(lk_scene *scene, lk_random *random)
{
    float *e = scene->expression, kind = lk_random_uniform(random);
    if (kind < 0.22f) { /* smiles with closed lips */
        e[LK_SMILE] = range(random, 0.2f, 1);
        e[LK_STRETCH_MOUTH] = range(random, 0, 0.3f);
    } else if (kind < 0.5f) { /* smiles with teeth */
        e[LK_SMILE] = range(random, 0.4f, 1);
        e[LK_BARE_TEETH] = range(random, 0.3f, 1);
        e[LK_PART_LIPS] = range(random, 0, 0.3f);
        e[LK_OPEN_MOUTH] = happens(random, 0.5f) ? range(random, 0, 0.35f) : 0;
        e[LK_STRETCH_MOUTH] = range(random, 0, 0.5f);
    } else if (kind < 0.63f) { /* speaks, wonders */
        e[LK_OPEN_MOUTH] = 0.08f + 0.5f * lk_random_uniform(random) * lk_random_uniform(random);
        e[LK_PART_LIPS] = range(random, 0, 0.3f);
        e[LK_SMILE] = range(random, 0, 0.3f);
    } else if (kind < 0.67f) {
        e[LK_PURSE_LIPS] = range(random, 0, 0.5f);
    } else if (kind < 0.73f) {
        e[LK_FROWN_MOUTH] = range(random, 0, 0.5f);
    }
    scene->mouth_open = kind >= 0.22f && kind < 0.63f;
    if (kind < 0.5f)
        e[LK_NARROW_LEFT_EYE] = e[LK_NARROW_RIGHT_EYE] = 0.4f * e[LK_SMILE] * lk_random_uniform(random);
    float white = range(random, 0.5f, 0.82f), yellow = range(random, 0, 0.25f);
    scene->teeth = lk_v3(white, white * (1 - 0.2f * yellow), white * (1 - yellow));
}

static void draw_eyes_and_brows(lk_scene *scene, lk_random *random)
{
    float *e = scene->expression, eyes = lk_random_uniform(random);
    if (eyes < 0.03f)
        e[LK_CLOSE_LEFT_EYE] = e[LK_CLOSE_RIGHT_EYE] = range(random, 0.5f, 1);
    else if (eyes < 0.035f)
        e[happens(random, 0.5f) ? LK_CLOSE_LEFT_EYE : LK_CLOSE_RIGHT_EYE] = 1;
    else if (eyes < 0.1f)
        e[LK_NARROW_LEFT_EYE] = e[LK_NARROW_RIGHT_EYE] = range(random, 0.3f, 0.9f);
    if (!happens(random, 0.22f))
        return;
    static const lk_expression PAIRS[] = {LK_RAISE_LEFT_BROW, LK_LOWER_LEFT_BROW, LK_WORRY_LEFT_BROW};
    lk_expression left = PAIRS[lk_random_below(random, 3)];
    float amount = range(random, 0.3f, 1), other = happens(random, 0.2f) ? lk_random_uniform(random) : 1;
    bool leads = happens(random, 0.5f);
    e[left] = amount * (leads ? 1 : other);
    e[left + 1] = amount * (leads ? other : 1);
}

static void draw_complexion(lk_complexion *c, lk_random *random)
{
    c->redness = happens(random, 0.3f) ? range(random, 0, 1.2f) : range(random, -0.4f, 0.3f);
    c->blotches = range(random, 0, 0.10f);
    c->freckles = happens(random, 0.08f) ? range(random, 0.3f, 1) : 0;
    c->wrinkles = range(random, 0.3f, 1);
    c->shine = happens(random, 0.25f) ? range(random, 0, 0.22f) : range(random, -0.07f, 0.04f);
    c->lip_red = range(random, -0.15f, 0.5f);
    c->beard = range(random, -0.35f, 0.25f);
    c->noise_u = range(random, 0, 200);
    c->noise_v = range(random, 0, 200);
}

/* ---- light and camera ---- */

static lk_vec3 coloured(lk_random *random, float strength)
{
    lk_vec3 hue = lk_v3(lk_random_uniform(random), lk_random_uniform(random), lk_random_uniform(random));
    float most = lk_max(hue.x, lk_max(hue.y, hue.z)) + 1e-3f;
    return lk_vec3_scale(lk_vec3_mix(lk_v3(1, 1, 1), lk_vec3_scale(hue, 1 / most), 0.6f), strength);
}

static void draw_light(lk_scene *scene, lk_random *random)
{
    bool from_any_side = happens(random, 0.2f);
    scene->key_direction = lk_scene_random_direction(random, from_any_side ? 110 : 65, -20, 70);
    float strength = range(random, 0.55f, 1.4f);
    scene->key_colour = happens(random, 0.07f) ? coloured(random, strength) : lk_scene_random_white(random, strength, 0.2f);
    scene->softness = happens(random, 0.25f) ? range(random, 0, 0.4f) : range(random, 0.6f, 1.3f);
    scene->fill_direction = lk_scene_random_direction(random, 80, -30, 45);
    scene->fill_direction.x = copysignf(scene->fill_direction.x, -scene->key_direction.x);
    float fill = range(random, 0, 0.5f);
    scene->fill_colour = happens(random, 0.08f) ? coloured(random, fill) : lk_scene_random_white(random, fill, 0.2f);
    if (happens(random, 0.25f)) {
        float side = happens(random, 0.5f) ? 1 : -1, turn = range(random, 95, 150) * RADIANS;
        scene->rim_direction = lk_vec3_normalize(lk_v3(side * sinf(turn), range(random, -0.1f, 0.6f), cosf(turn)));
        scene->rim_colour = lk_scene_random_white(random, range(random, 0.3f, 1.3f), 0.25f);
    }
    float around = from_any_side ? range(random, 0.3f, 0.9f) : range(random, 0.18f, 0.85f);
    scene->sky = lk_scene_random_white(random, around, 0.12f);
    scene->ground = lk_scene_random_white(random, around * range(random, 0.25f, 0.9f), 0.14f);
}

static void draw_camera(lk_scene *scene, lk_random *random)
{
    float exposure = range(random, 0.62f, 1.4f);
    scene->gain = lk_v3(exposure * range(random, 0.84f, 1.16f), exposure * range(random, 0.95f, 1.05f),
                        exposure * range(random, 0.84f, 1.16f));
    scene->blur = happens(random, 0.6f) ? 0 : range(random, 0, 0.014f);
    scene->contrast = range(random, 0.75f, 1.35f);
    scene->saturation = happens(random, 0.12f) ? range(random, 0.4f, 0.75f) : range(random, 0.75f, 1.3f);
    if (happens(random, 0.04f))
        scene->saturation = 0;
    scene->noise = happens(random, 0.3f) ? 0 : range(random, 0, 0.03f);
    scene->jpeg_quality = happens(random, 0.3f) ? 0 : 25 + (int)lk_random_below(random, 71);
}

/* dlib's landmarks scatter, and so do crops. */
static void draw_crop(lk_scene *scene, lk_random *random)
{
    scene->crop_x = 0.014f * lk_random_normal(random);
    scene->crop_y = 0.014f * lk_random_normal(random);
    scene->crop_scale = 0.028f * lk_random_normal(random);
    scene->crop_roll = 2.1f * RADIANS * lk_random_normal(random);
}

static void draw_background(lk_scene *scene, const lk_backgrounds *backgrounds, lk_random *random)
{
    int pictures = lk_backgrounds_count(backgrounds);
    lk_scene_random_background(scene, random);
    if (happens(random, 0.75f)) {
        scene->back_cloud = range(random, 0.15f, 0.8f);
        scene->back_cloud_scale = range(random, 10, 120);
        scene->back_cloud_x = range(random, 0, 256);
        scene->back_cloud_y = range(random, 0, 256);
        scene->back_cloud_tint = lk_v3(range(random, -0.2f, 0.2f), range(random, -0.12f, 0.12f), range(random, -0.2f, 0.2f));
    }
    if (pictures == 0 || happens(random, 0.1f))
        return;
    scene->backgrounds = backgrounds;
    scene->back_picture = (int)lk_random_below(random, (uint32_t)pictures);
    scene->back_zoom = range(random, 0.5f, 1);
    scene->back_left = range(random, 0, 1 - scene->back_zoom);
    scene->back_top = range(random, 0, 1 - scene->back_zoom);
    scene->back_flip = happens(random, 0.5f);
}

/* ---- what is worn ---- */

static void draw_glasses(lk_accessories *a, lk_random *random)
{
    float kind = lk_random_uniform(random);
    if (kind >= 0.17f)
        return;
    a->glasses = kind < 0.03f ? LK_SUN_GLASSES : LK_CLEAR_GLASSES;
    a->lens_width = range(random, 0.22f, 0.29f);
    a->lens_height = a->lens_width * range(random, 0.62f, 0.92f);
    a->lens_square = range(random, 2, 5);
    a->lens_drop = range(random, 0, 0.06f);
    a->frame_width = happens(random, 0.4f) ? range(random, 0.012f, 0.02f) : range(random, 0.025f, 0.05f);
    float dark = range(random, 5, 90);
    a->frame_colour = happens(random, 0.7f) ? lk_srgb(dark, dark * range(random, 0.6f, 1), dark * range(random, 0.5f, 1))
                                            : lk_scene_random_colour(random);
    float grey = range(random, 3, 60);
    a->lens_colour =
        a->glasses == LK_SUN_GLASSES ? lk_srgb(grey, grey * 0.95f, grey * range(random, 0.7f, 1.2f)) : lk_v3(1, 1, 1);
    a->lens_opacity = a->glasses == LK_SUN_GLASSES ? range(random, 0.75f, 0.97f) : range(random, 0, 0.06f);
    a->lens_glare = happens(random, 0.3f) ? range(random, 0.1f, 0.5f) : 0;
}

static void draw_hat(lk_accessories *a, lk_random *random)
{
    if (!happens(random, 0.035f))
        return;
    a->hat = true;
    a->hat_brim = range(random, 0.52f, 0.75f);
    a->hat_thickness = range(random, 0.10f, 0.2f);
    a->hat_colour = lk_scene_random_colour(random);
    a->hat_stripe = happens(random, 0.6f) ? a->hat_colour : lk_scene_random_colour(random);
}

static void draw_clothes(lk_accessories *a, lk_random *random)
{
    if (!happens(random, 0.85f))
        return;
    a->clothed = true;
    a->neckline = range(random, -1.72f, -1.35f);
    a->cloth_colour = lk_scene_random_colour(random);
    a->cloth_stripe = happens(random, 0.7f) ? a->cloth_colour : lk_scene_random_colour(random);
    a->cloth_scale = range(random, 8, 40);
}

static void draw_locks(lk_accessories *a, lk_random *random)
{
    a->lock_count = happens(random, 0.1f) ? 1 + (int)lk_random_below(random, LK_MOST_LOCKS) : 0;
    for (int i = 0; i < a->lock_count; i++) {
        a->lock_start[i] = range(random, -0.7f, 0.7f);
        a->lock_end[i] = a->lock_start[i] + range(random, -0.35f, 0.35f);
        a->lock_length[i] = range(random, 0.3f, 1.2f);
    }
}

/* A hand that rests at the chin or a cheek, or comes in from a side. */
static void draw_hand(lk_accessories *a, lk_random *random)
{
    if (!happens(random, 0.03f))
        return;
    a->hand = true;
    a->hand_mirrored = happens(random, 0.5f);
    a->hand_x = range(random, 0.58f, 0.9f);
    a->hand_y = range(random, 0.9f, 1.05f);
    a->hand_turn = range(random, -0.9f, 0.1f);
    a->hand_size = range(random, 0.2f, 0.3f);
    a->hand_spread = range(random, 0, 0.22f);
    a->hand_curl = range(random, -0.25f, 0.25f);
    a->fingers = 2 + (int)lk_random_below(random, 3);
}

lk_scene lk_scene_photo(uint64_t seed, const lk_backgrounds *backgrounds)
{
    lk_scene scene = {.lively = true};
    lk_random random = lk_random_make(seed, STREAM_POSE);
    /* Sums of two: turned heads are rarer the further they turn. */
    scene.yaw = (range(&random, -15, 15) + range(&random, -15, 15)) * RADIANS;
    scene.pitch = (range(&random, -6, 6) + range(&random, -6, 6)) * RADIANS;
    random = lk_random_make(seed, STREAM_LIGHT);
    draw_light(&scene, &random);
    random = lk_random_make(seed, STREAM_BACKGROUND);
    draw_background(&scene, backgrounds, &random);
    random = lk_random_make(seed, STREAM_CAMERA);
    draw_camera(&scene, &random);
    random = lk_random_make(seed, STREAM_EXPRESSION);
    draw_mouth(&scene, &random);
    draw_eyes_and_brows(&scene, &random);
    random = lk_random_make(seed, STREAM_CROP);
    draw_crop(&scene, &random);
    random = lk_random_make(seed, STREAM_COMPLEXION);
    draw_complexion(&scene.complexion, &random);
    random = lk_random_make(seed, STREAM_GLASSES);
    draw_glasses(&scene.worn, &random);
    random = lk_random_make(seed, STREAM_HAT);
    draw_hat(&scene.worn, &random);
    random = lk_random_make(seed, STREAM_CLOTHES);
    draw_clothes(&scene.worn, &random);
    random = lk_random_make(seed, STREAM_LOCKS);
    draw_locks(&scene.worn, &random);
    random = lk_random_make(seed, STREAM_HAND);
    draw_hand(&scene.worn, &random);
    scene.noise_seed = lk_random_mix(seed, STREAM_NOISE);
    return scene;
}
