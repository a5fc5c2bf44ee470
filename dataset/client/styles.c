#include "dataset/client/styles.h"

#include <stddef.h>

/* Axis of the head, in neutral coordinates. */
static const float HEAD_Z = -0.75f;
static const float DEGREES = 57.29578f;

const lk_group_choices LK_GROUPS[LK_GROUP_IDS] = {
    [LK_HAIR] = {"hair", LK_HAIR_STYLES, 2,
                 {"bald", "buzz", "short", "side_part", "fringe", "bob", "long", "mohawk", "bun", "curly", "afro", "slick", "spiky",
                  "centre_part"}},
    [LK_HAIR_COLOUR] = {"hair_colour", 7, 2, {"black", "dark_brown", "brown", "red", "blond", "grey", "platinum"}},
    [LK_BROWS] = {"brows", LK_BROW_STYLES, 0, {"soft", "straight", "thin", "round", "angled", "bushy", "joined", "short"}},
    [LK_BEARD] = {"beard", LK_BEARD_STYLES, 0, {"none", "stubble", "moustache", "goatee", "full", "chin_strap"}},
    [LK_LIPS] = {"lips", 5, 0, {"natural", "pale", "pink", "red", "plum"}},
    [LK_SKIN] = {"skin", 6, 1, {"porcelain", "fair", "tan", "brown", "dark", "ebony"}},
    [LK_EYES] = {"eyes", 5, 0, {"brown", "amber", "green", "blue", "grey"}},
};

/* ---- colours ---- */

static float linear(float v)
{
    v /= 255;
    return v < 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

lk_vec3 lk_colour(float red, float green, float blue)
{
    return lk_v3(linear(red), linear(green), linear(blue));
}

lk_vec3 lk_hair_colour(int choice)
{
    static const float TABLE[][3] = {{17, 16, 19},    {58, 34, 22},    {112, 70, 40},  {164, 64, 24},
                                     {206, 158, 84}, {150, 151, 154}, {240, 226, 194}};
    return lk_colour(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

lk_vec3 lk_skin_colour(int choice)
{
    static const float TABLE[][3] = {{246, 216, 200}, {230, 184, 150}, {205, 150, 110}, {166, 110, 74}, {120, 75, 52}, {78, 49, 36}};
    return lk_colour(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

lk_vec3 lk_eye_colour(int choice)
{
    static const float TABLE[][3] = {{58, 32, 16}, {160, 98, 30}, {84, 124, 50}, {58, 124, 196}, {150, 162, 170}};
    return lk_colour(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

lk_vec3 lk_lip_colour(int choice, float *cover)
{
    static const float TABLE[][4] = {{0, 0, 0, 0}, {238, 186, 170, 0.85f}, {232, 92, 142, 0.85f}, {176, 14, 28, 0.9f}, {74, 20, 58, 0.92f}};
    *cover = TABLE[choice][3];
    return lk_colour(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

/* ---- hair ---- */

float lk_hairline(lk_vec3 at)
{
    /* Height of the line by the angle from the front, degrees: forehead, temples, sideburns, around the ear, nape. */
    static const float LINE[][2] = {{0, 0.66f},   {15, 0.67f},  {33, 0.64f}, {45, 0.46f},  {55, 0.30f},   {64, 0.20f},   {72, -0.12f},
                                    {80, -0.20f}, {84, 0.10f},  {98, 0.16f}, {108, -0.1f}, {122, -0.45f}, {150, -0.62f}, {180, -0.66f}};
    enum { N = sizeof LINE / sizeof *LINE };
    float angle = atan2f(fabsf(at.x), at.z - HEAD_Z) * DEGREES;
    for (int i = 1; i < N; i++)
        if (angle <= LINE[i][0])
            return at.y - (LINE[i - 1][1] + (LINE[i][1] - LINE[i - 1][1]) * lk_smooth(LINE[i - 1][0], LINE[i][0], angle));
    return at.y - LINE[N - 1][1];
}

const lk_vec3 LK_BUN_CENTRE = {0, 1.16f, -0.80f};
const float LK_BUN_RADIUS = 0.33f;

static float side_of(float x)
{
    return x >= 0 ? 1 : -1;
}

static lk_vec3 flow_short(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    return lk_mix(lk_v3(0.1f * side_of(root.x), -1, -0.15f), lk_v3(0.6f * (root.x + 0.2f), 0.5f, 0.25f), lk_smooth(0.55f, 0.9f, root.y));
}

static lk_vec3 flow_side_part(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    if (root.z < -1.1f)
        return lk_v3(0, -1, -0.2f);
    return root.x < 0.30f ? lk_v3(-1, 0.10f, 0.30f) : lk_v3(0.8f, -0.8f, -0.25f);
}

static bool above_forehead(lk_vec3 root)
{
    return root.z > -0.75f && fabsf(root.x) < 0.5f;
}

static lk_vec3 flow_fringe(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    if (above_forehead(root))
        return lk_v3(root.x * 0.25f, -0.25f, 1);
    return lk_v3(0.9f * side_of(root.x), -0.6f, root.z < -0.9f ? -0.6f : 0.1f);
}

static bool in_bob_fringe(lk_vec3 root)
{
    return root.z > -0.45f && fabsf(root.x) < 0.40f && root.y > 0.6f;
}

static lk_vec3 flow_bob(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    if (in_bob_fringe(root))
        return lk_v3(root.x * 0.3f, -0.2f, 1);
    lk_vec3 aside = lk_v3(side_of(root.x), -0.4f, root.z < -1.2f ? -0.9f : -0.05f);
    return lk_mix(aside, lk_v3(0.1f * side_of(root.x), -1, -0.2f), lk_smooth(0.4f, 0, root.y));
}

static lk_vec3 flow_parted(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    lk_vec3 aside = lk_v3(side_of(root.x), -0.15f, root.z < -1.2f ? -0.9f : root.z > -0.5f ? -0.35f : -0.1f);
    return lk_mix(aside, lk_v3(0.1f * side_of(root.x), -1, -0.2f), lk_smooth(0.4f, 0, root.y));
}

/* Some hair at the temples escapes the bun and frames the face: what tells a bun from combed back hair at small sizes. */
static bool escapes_bun(lk_vec3 root)
{
    return root.z > -0.75f && root.y > 0.1f && root.y < 0.5f && fabsf(root.x) > 0.45f && lk_hairline(root) < 0.06f;
}

static lk_vec3 flow_bun(lk_vec3 root, lk_vec3 at)
{
    if (escapes_bun(root))
        return lk_v3(0.35f * side_of(root.x), -1, 0.12f);
    return lk_normalize(lk_sub(lk_v3(0, LK_BUN_CENTRE.y - 0.1f, LK_BUN_CENTRE.z - 0.2f), at));
}

static lk_vec3 flow_slick(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    return lk_v3(0.1f * root.x, 0.15f, -1);
}

static lk_vec3 flow_spiky(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    /* Tufts: neighbours on a grid of 0.11 dm lean the same way. */
    float tuft = floorf(root.x * 9) * 1.7f + floorf(root.z * 9) * 2.3f;
    return lk_v3(root.x * 0.6f + 0.5f * sinf(tuft * 5), 0.5f + 0.3f * sinf(tuft * 7), 0.35f + 0.5f * sinf(tuft * 3));
}

static float shaved_sides(lk_vec3 root, float length)
{
    return length * (1 - 0.65f * lk_smooth(0.75f, 0.15f, root.y)) * (1 - 0.7f * lk_smooth(0, -0.4f, root.y));
}

static float trim_sides(lk_vec3 root, float length, lk_random *random)
{
    (void)random;
    return shaved_sides(root, length);
}

static float trim_spiky(lk_vec3 root, float length, lk_random *random)
{
    (void)random;
    return shaved_sides(root, length) * (0.6f + 0.4f * lk_smooth(0.4f, 0.9f, root.y));
}

static float trim_fringe(lk_vec3 root, float length, lk_random *random)
{
    if (!above_forehead(root))
        return length * (0.75f + 0.1f * lk_random_uniform(random));
    return 0.50f + 0.25f * (-0.1f - root.z) + 0.05f * lk_random_range(random, -1, 1);
}

static float trim_bob(lk_vec3 root, float length, lk_random *random)
{
    if (!in_bob_fringe(root))
        return length;
    return 0.48f + 0.5f * (-0.1f - root.z) + 0.03f * lk_random_range(random, -1, 1);
}

static float trim_curly(lk_vec3 root, float length, lk_random *random)
{
    (void)random;
    return length * (0.7f + 0.3f * lk_smooth(-0.5f, 0.6f, root.y));
}

static float trim_afro(lk_vec3 root, float length, lk_random *random)
{
    (void)random;
    return length * (0.55f + 0.45f * lk_smooth(-0.5f, 0.7f, root.y));
}

static float trim_mohawk(lk_vec3 root, float length, lk_random *random)
{
    if (fabsf(root.x) > 0.15f + 0.03f * lk_random_range(random, -1, 1))
        return 0;
    return length * (0.6f + 0.4f * lk_smooth(-0.6f, 0.3f, root.z + 0.5f * root.y));
}

/* Fringes end above the brows, so that these can be seen. */
static const float FRINGE_Y = 0.37f;

static bool ends_fringe(lk_vec3 root, lk_vec3 at, lk_random *random)
{
    if (at.y < FRINGE_Y && at.z > -0.2f && fabsf(at.x) < 0.52f)
        return true;
    return at.y < -0.62f + 0.1f * lk_random_range(random, -1, 1) && !above_forehead(root);
}

static bool ends_bob(lk_vec3 root, lk_vec3 at, lk_random *random)
{
    (void)root;
    if (at.y < FRINGE_Y && fabsf(at.x) < 0.46f && at.z > -0.1f)
        return true;
    return at.y < -1.02f + 0.05f * lk_random_range(random, -1, 1);
}

static bool ends_curly(lk_vec3 root, lk_vec3 at, lk_random *random)
{
    (void)root;
    if (at.y < FRINGE_Y + 0.06f && fabsf(at.x) < 0.5f && at.z > -0.25f)
        return true;
    return at.y < -0.70f + 0.1f * lk_random_range(random, -1, 1);
}

static bool ends_bun(lk_vec3 root, lk_vec3 at, lk_random *random)
{
    if (escapes_bun(root))
        return at.y < -0.75f + 0.15f * lk_random_range(random, -1, 1);
    return lk_length(lk_sub(LK_BUN_CENTRE, at)) < 0.6f * LK_BUN_RADIUS;
}

static bool ends_long(lk_vec3 root, lk_vec3 at, lk_random *random)
{
    (void)root;
    (void)random;
    return at.y < -1.6f;
}

const lk_hair_style LK_HAIR_TABLE[LK_HAIR_STYLES] = {
    /* strands length spread step lift rise gravity stiff comb hold curl turns locks width cap cling */
    {0},
    {6500, .045f, .02f, .015f, .01f, .6f, 0, .5f, .6f, 1.3f, 0, 0, false, .010f, .70f, .03f, NULL, NULL, NULL},
    {5600, .22f, .05f, .03f, .06f, .6f, .1f, .45f, 1, 1.3f, .010f, 9, false, .013f, .95f, .06f, flow_short, trim_sides, NULL},
    {5200, .85f, .15f, .05f, .10f, .45f, .25f, .35f, 1.3f, 1.3f, .012f, 5, false, .014f, .97f, .07f, flow_side_part, trim_sides, NULL},
    {5000, .95f, .10f, .05f, .11f, .4f, .9f, .35f, .7f, 1.3f, .008f, 5, false, .014f, .97f, .04f, flow_fringe, trim_fringe, ends_fringe},
    {5400, 1.95f, .10f, .07f, .17f, .35f, 1, .3f, .9f, 1.3f, .010f, 4, false, .015f, .97f, .05f, flow_bob, trim_bob, ends_bob},
    {5200, 3.2f, .3f, .09f, .15f, .35f, 1, .3f, .9f, 1.3f, .02f, 3, false, .015f, .97f, .05f, flow_parted, NULL, ends_long},
    {2600, .44f, .08f, .04f, .5f, .6f, 0, .95f, 0, 1.3f, .02f, 5, false, .013f, .55f, 0, NULL, trim_mohawk, NULL},
    {5200, 1.5f, .3f, .06f, .04f, .25f, 0, .2f, 1.6f, 0, .006f, 5, false, .013f, .95f, .03f, flow_bun, NULL, ends_bun},
    {3600, 1.0f, .25f, .04f, .18f, .6f, .5f, .45f, .2f, 1.3f, .05f, 17, true, .016f, .98f, .12f, NULL, trim_curly, ends_curly},
    {6000, .29f, .05f, .035f, .6f, .6f, 0, .92f, 0, 1.3f, .035f, 26, true, .016f, .98f, 0, NULL, trim_afro, NULL},
    {5200, .95f, .2f, .06f, .06f, .25f, 0, .3f, 1.6f, 0, .008f, 5, false, .013f, .97f, .04f, flow_slick, NULL, NULL},
    {4200, .36f, .10f, .04f, .3f, 1, .05f, .8f, .35f, 1.3f, .01f, 5, false, .015f, .95f, .20f, flow_spiky, trim_spiky, NULL},
    {5200, 2.3f, .2f, .07f, .14f, .35f, .9f, .35f, 1.1f, 1.3f, .045f, 5, true, .015f, .97f, .06f, flow_parted, NULL, ends_long},
};

/* ---- brows ---- */

const lk_brow_style LK_BROW_TABLE[LK_BROW_STYLES] = {
    /* inner outer height arch peak tilt thick thin density hair */
    {.13f, .52f, .205f, .060f, .62f, .010f, .042f, .020f, 1.0f, .070f},
    {.12f, .53f, .205f, .008f, .55f, -.015f, .054f, .044f, 1.3f, .075f},
    {.14f, .53f, .225f, .100f, .66f, -.020f, .020f, .010f, 1.2f, .045f},
    {.13f, .50f, .205f, .110f, .45f, -.080f, .042f, .028f, 1.1f, .065f},
    {.11f, .54f, .150f, .050f, .78f, .130f, .046f, .022f, 1.2f, .075f},
    {.09f, .56f, .195f, .035f, .60f, -.010f, .086f, .062f, 1.8f, .100f},
    {.005f, .53f, .190f, .035f, .60f, -.005f, .048f, .030f, 1.5f, .075f},
    {.14f, .35f, .205f, .015f, .50f, .000f, .046f, .032f, 0.7f, .060f},
};

float lk_brow_cover(const lk_brow_style *style, lk_vec3 at, float *along)
{
    float t = (fabsf(at.x) - style->inner) / (style->outer - style->inner);
    *along = t;
    if (t < -0.1f || t > 1.1f || at.z < -0.4f)
        return -1;
    float rise = lk_clamp01(t < style->peak ? t / style->peak : 1 - (t - style->peak) / (1 - style->peak));
    rise = 1 - (1 - rise) * (1 - rise);
    float drop = style->arch > 0.06f ? 0.05f * lk_smooth(0.75f, 1, t) : 0;
    float spine = style->height + style->arch * rise + style->tilt * t - drop;
    float half = style->thick + (style->thin - style->thick) * t;
    half *= lk_smooth(-0.05f, 0.12f, t) * (1 - 0.7f * lk_smooth(0.7f, 1.05f, t));
    return (half - fabsf(at.y - spine)) / style->thick;
}

/* ---- beards ---- */

const float LK_MOUTH_Y = -0.66f, LK_CHIN_Y = -1.05f;

const lk_beard_style LK_BEARD_TABLE[LK_BEARD_STYLES] = {
    {0},
    {4200, .022f, .0055f, .34f},
    {700, .11f, .010f, .65f},
    {1500, .17f, .010f, .65f},
    {4200, .14f, .010f, .65f},
    {2200, .10f, .010f, .65f},
};

bool lk_is_moustache(lk_vec3 at)
{
    return at.y > LK_MOUTH_Y + 0.03f && fabsf(at.x) < 0.33f;
}

float lk_beard_cover(int style, lk_vec3 at)
{
    if (style == LK_BEARD_NONE)
        return 0;
    float x = fabsf(at.x), angle = atan2f(x, at.z - HEAD_Z) * DEGREES;
    /* Above the lip, drooping outwards. */
    float droop = LK_MOUTH_Y + 0.125f - 0.25f * lk_max(0, x - 0.12f);
    float moustache = lk_smooth(0.02f, -0.02f, fabsf(at.y - droop) - 0.062f) * lk_smooth(0.36f, 0.30f, x) * (at.z > -0.3f);
    /* Cheeks outside the corners of the mouth, below a line to the ear; chin below the lip; down to the throat. */
    float cheek = lk_smooth(0, 0.03f, x - 0.30f) * lk_smooth(0, 0.05f, LK_MOUTH_Y + 0.16f + 0.9f * lk_max(0, x - 0.36f) - at.y);
    float chin = lk_smooth(0, 0.03f, LK_MOUTH_Y - 0.13f - at.y);
    float throat = lk_smooth(-0.05f, 0.03f, at.y - (LK_CHIN_Y - 0.06f + 0.50f * lk_max(0, x - 0.18f)));
    float patch = lk_smooth(0.02f, -0.02f, x - 0.045f) * lk_smooth(0, 0.02f, LK_MOUTH_Y - 0.08f - at.y) * (at.y > LK_MOUTH_Y - 0.25f);
    float full = lk_max(cheek, chin) * throat * lk_smooth(84, 76, angle) * (at.z > -0.9f);
    full = lk_max(full, lk_max(moustache * throat, patch * 0.8f));
    switch (style) {
    case 1:
        return 0.9f * full;
    case 2:
        return moustache;
    case 3: {
        float gx = x / 0.29f, gy = (at.y - (LK_MOUTH_Y - 0.24f)) / 0.30f;
        float tuft = lk_smooth(1.08f, 0.95f, sqrtf(gx * gx + gy * gy)) * lk_max(chin, lk_smooth(0, 0.03f, x - 0.22f)) * (at.z > -0.35f);
        float bridge = lk_smooth(0.035f, 0, fabsf(x - 0.285f) - 0.035f) * (at.y < LK_MOUTH_Y + 0.12f) * (at.y > LK_MOUTH_Y - 0.25f);
        return lk_max(lk_max(moustache, lk_max(tuft, bridge)), patch) * throat;
    }
    case 5: /* only along the jaw */
        return full * lk_smooth(-0.06f, 0.02f, LK_CHIN_Y + 0.22f + 0.75f * lk_max(0, x - 0.30f) - at.y);
    default:
        return full;
    }
}
