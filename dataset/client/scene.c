#include "dataset/client/scene.h"

#include "dataset/client/styles.h"

/* One generator a purpose: a change in one leaves the others' draws alone. */
enum { STREAM_POSE, STREAM_LIGHT, STREAM_BACKGROUND, STREAM_CAMERA, STREAM_NOISE };

static const float RADIANS = 0.0174532925f;

lk_scene lk_scene_canonical(void)
{
    lk_scene scene = {
        .key_direction = lk_vec3_normalize(lk_v3(-0.50f, 0.48f, 0.78f)),
        .key_colour = {1.22f, 1.16f, 1.08f},
        .fill_direction = lk_vec3_normalize(lk_v3(0.8f, 0.05f, 0.45f)),
        .fill_colour = {0.16f, 0.16f, 0.18f},
        .sky = {0.32f, 0.34f, 0.38f},
        .ground = {0.15f, 0.12f, 0.11f},
        .back_from = lk_srgb(150, 160, 172),
        .back_to = lk_srgb(104, 110, 120),
        .back_y = 1,
        .softness = 1,
        .gain = {1, 1, 1},
        .contrast = 1,
        .saturation = 1,
    };
    return scene;
}

lk_vec3 lk_scene_random_direction(lk_random *random, float most_aside, float lowest, float highest)
{
    float aside = lk_random_range(random, -most_aside, most_aside) * RADIANS,
          height = lk_random_range(random, lowest, highest) * RADIANS;
    return lk_v3(cosf(height) * sinf(aside), sinf(height), cosf(height) * cosf(aside));
}

/* White light that is a little warm or cold. */
lk_vec3 lk_scene_random_white(lk_random *random, float strength, float spread)
{
    float warmth = lk_random_range(random, -spread, spread), tint = lk_random_range(random, -spread, spread) * 0.3f;
    return lk_v3(strength * (1 + warmth), strength * (1 + tint), strength * (1 - warmth));
}

static void draw_light(lk_scene *scene, lk_random *random)
{
    scene->key_direction = lk_scene_random_direction(random, 50, 0, 55);
    scene->key_colour = lk_scene_random_white(random, lk_random_range(random, 0.85f, 1.2f), 0.12f);
    scene->fill_direction = lk_scene_random_direction(random, 80, -20, 40);
    scene->fill_direction.x = copysignf(scene->fill_direction.x, -scene->key_direction.x);
    scene->fill_colour = lk_scene_random_white(random, lk_random_range(random, 0, 0.4f), 0.2f);
    float around = lk_random_range(random, 0.28f, 0.55f);
    scene->sky = lk_scene_random_white(random, around, 0.12f);
    scene->ground = lk_scene_random_white(random, around * lk_random_range(random, 0.25f, 0.8f), 0.12f);
}

lk_vec3 lk_scene_random_colour(lk_random *random)
{
    float brightness = lk_random_range(random, 5, 245), spread = lk_random_uniform(random) < 0.6f ? 18 : 90;
    float channel[3];
    for (int k = 0; k < 3; k++) {
        channel[k] = brightness + lk_random_range(random, -spread, spread);
        channel[k] = channel[k] < 0 ? 0 : channel[k] > 255 ? 255 : channel[k];
    }
    return lk_srgb(channel[0], channel[1], channel[2]);
}

void lk_scene_random_background(lk_scene *scene, lk_random *random)
{
    float angle = lk_random_range(random, 0, 6.2831853f);
    scene->back_x = cosf(angle);
    scene->back_y = sinf(angle);
    scene->back_from = lk_scene_random_colour(random);
    scene->back_to = lk_random_uniform(random) < 0.3f ? scene->back_from : lk_scene_random_colour(random);
    scene->back_noise = lk_random_uniform(random) < 0.5f ? 0 : lk_random_range(random, 0.02f, 0.35f);
    scene->back_noise_scale = lk_random_range(random, 20, 200);
    scene->blob_count = lk_random_uniform(random) < 0.5f ? 0 : 1 + (int)lk_random_below(random, LK_MOST_BLOBS);
    for (int i = 0; i < scene->blob_count; i++) {
        lk_blob *blob = &scene->blobs[i];
        blob->x = lk_random_range(random, -0.1f, 1.1f);
        blob->y = lk_random_range(random, -0.1f, 1.1f);
        blob->radius = lk_random_range(random, 0.05f, 0.4f);
        blob->softness = lk_random_range(random, 0.02f, 1);
        blob->colour = lk_scene_random_colour(random);
    }
}

static void draw_camera(lk_scene *scene, lk_random *random)
{
    float exposure = lk_random_range(random, 0.85f, 1.18f);
    scene->blur = lk_random_uniform(random) < 0.65f ? 0 : lk_random_range(random, 0, 0.008f);
    scene->gain = lk_v3(exposure * lk_random_range(random, 0.92f, 1.08f), exposure * lk_random_range(random, 0.95f, 1.05f),
                        exposure * lk_random_range(random, 0.92f, 1.08f));
    scene->contrast = lk_random_range(random, 0.87f, 1.15f);
    scene->saturation = lk_random_range(random, 0.8f, 1.15f);
    scene->noise = lk_random_uniform(random) < 0.3f ? 0 : lk_random_range(random, 0, 0.025f);
    scene->jpeg_quality = lk_random_uniform(random) < 0.3f ? 0 : 45 + (int)lk_random_below(random, 51);
}

lk_scene lk_scene_varied(uint64_t seed)
{
    lk_scene scene = {.softness = 1};
    lk_random pose = lk_random_make(seed, STREAM_POSE), light = lk_random_make(seed, STREAM_LIGHT);
    lk_random background = lk_random_make(seed, STREAM_BACKGROUND), camera = lk_random_make(seed, STREAM_CAMERA);
    /* Sums of two: turned heads are rarer the further they turn. */
    scene.yaw = (lk_random_range(&pose, -2.5f, 2.5f) + lk_random_range(&pose, -2.5f, 2.5f)) * RADIANS;
    scene.pitch = (lk_random_range(&pose, -2, 2) + lk_random_range(&pose, -2, 2)) * RADIANS;
    draw_light(&scene, &light);
    lk_scene_random_background(&scene, &background);
    draw_camera(&scene, &camera);
    scene.noise_seed = lk_random_mix(seed, STREAM_NOISE);
    return scene;
}

/* Photos have most of their energy in slow changes: a texture of many octaves, of which a piece is seen. */
static lk_vec3 add_cloud(const lk_scene *scene, const lk_bake *bake, float x, float y, lk_vec3 colour)
{
    float u = scene->back_cloud_x + x * scene->back_cloud_scale, v = scene->back_cloud_y + y * scene->back_cloud_scale;
    float bright = 1 + scene->back_cloud * lk_cloud(bake, u, v), tint = lk_cloud(bake, u + 97, v + 31);
    colour = lk_vec3_scale(colour, lk_max(0.05f, bright));
    return lk_vec3_add_scaled(colour, lk_max(-1, tint) * scene->back_cloud, scene->back_cloud_tint);
}

lk_vec3 lk_scene_background(const lk_scene *scene, const lk_bake *bake, float x, float y)
{
    if (scene->backgrounds)
        return lk_backgrounds_at(scene->backgrounds, scene->back_picture,
                                 scene->back_left + (scene->back_flip ? 1 - x : x) * scene->back_zoom,
                                 scene->back_top + y * scene->back_zoom);
    float along = 0.5f + (x - 0.5f) * scene->back_x + (y - 0.5f) * scene->back_y;
    lk_vec3 colour = lk_vec3_mix(scene->back_from, scene->back_to, lk_clamp01(along));
    for (int i = 0; i < scene->blob_count; i++) {
        const lk_blob *blob = &scene->blobs[i];
        float dx = x - blob->x, dy = y - blob->y, distance = sqrtf(dx * dx + dy * dy);
        colour = lk_vec3_mix(colour, blob->colour,
                             lk_smooth(blob->radius * (1 + blob->softness), blob->radius * (1 - blob->softness), distance));
    }
    if (scene->back_cloud > 0)
        colour = add_cloud(scene, bake, x, y, colour);
    if (scene->back_noise > 0)
        colour = lk_vec3_scale(
            colour, lk_max(0, 1 + scene->back_noise * lk_noise(bake, x * scene->back_noise_scale, y * scene->back_noise_scale)));
    return colour;
}
