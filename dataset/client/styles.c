#include "dataset/client/styles.h"

#include <stddef.h>

/* Axis of the head, in neutral coordinates. */
static const float HEAD_Z = -0.75f;
static const float DEGREES = 57.29578f;

/* clang-format off */
const lk_group_choices LK_GROUPS[LK_GROUP_IDS] = {
    [LK_HAIR] = {"hair", LK_HAIR_STYLES, LK_HAIR_SHORT,
                 {"bald", "buzz", "short", "side_part", "fringe", "bob", "long", "mohawk", "bun", "curly", "afro", "slick",
                  "spiky", "centre_part"}},
    [LK_HAIR_COLOUR] = {"hair_colour", 7, 2, {"black", "dark_brown", "brown", "red", "blond", "grey", "platinum"}},
    [LK_BROWS] = {"brows", LK_BROW_STYLES, 0, {"soft", "straight", "thin", "round", "angled", "bushy", "joined", "short"}},
    [LK_BEARD] = {"beard", LK_BEARD_STYLES, 0, {"none", "stubble", "moustache", "goatee", "full", "chin_strap"}},
    [LK_LIPS] = {"lips", 5, 0, {"natural", "pale", "pink", "red", "plum"}},
    [LK_SKIN] = {"skin", 6, 1, {"porcelain", "fair", "tan", "brown", "dark", "ebony"}},
    [LK_EYES] = {"eyes", 5, 0, {"brown", "amber", "green", "blue", "grey"}},
    [LK_LASHES] = {"eyelashes", 1, 0, {"natural"}}, /* assets are the others */
};
/* clang-format on */

/* ---- colours ---- */

static float linear(float v)
{
    v /= 255;
    return v < 0.04045f ? v / 12.92f : powf((v + 0.055f) / 1.055f, 2.4f);
}

lk_vec3 lk_srgb(float red, float green, float blue)
{
    return lk_v3(linear(red), linear(green), linear(blue));
}

lk_vec3 lk_hair_colour(int choice)
{
    static const float TABLE[][3] = {{17, 16, 19},   {58, 34, 22},    {112, 70, 40},  {164, 64, 24},
                                     {206, 158, 84}, {150, 151, 154}, {240, 226, 194}};
    return lk_srgb(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

lk_vec3 lk_skin_colour(int choice)
{
    static const float TABLE[][3] = {{246, 216, 200}, {230, 184, 150}, {205, 150, 110},
                                     {166, 110, 74},  {120, 75, 52},   {78, 49, 36}};
    return lk_srgb(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

lk_vec3 lk_eye_colour(int choice)
{
    static const float TABLE[][3] = {{58, 32, 16}, {160, 98, 30}, {84, 124, 50}, {58, 124, 196}, {150, 162, 170}};
    return lk_srgb(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

lk_vec3 lk_lip_colour(int choice, float *cover)
{
    static const float TABLE[][4] = {
        {0, 0, 0, 0}, {238, 186, 170, 0.85f}, {232, 92, 142, 0.85f}, {176, 14, 28, 0.9f}, {74, 20, 58, 0.92f}};
    *cover = TABLE[choice][3];
    return lk_srgb(TABLE[choice][0], TABLE[choice][1], TABLE[choice][2]);
}

/* ---- hair ---- */

float lk_hairline(lk_vec3 at)
{
    /* Height of the line by the angle from the front, degrees: forehead, temples, sideburns, around the ear, nape. */
    static const float LINE[][2] = {{0, 0.66f},   {15, 0.67f},   {33, 0.64f},   {45, 0.46f},  {55, 0.30f},
                                    {64, 0.20f},  {72, -0.12f},  {80, -0.20f},  {84, 0.10f},  {98, 0.16f},
                                    {108, -0.1f}, {122, -0.45f}, {150, -0.62f}, {180, -0.66f}};
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
    return lk_vec3_mix(lk_v3(0.1f * side_of(root.x), -1, -0.15f), lk_v3(0.6f * (root.x + 0.2f), 0.5f, 0.25f),
                       lk_smooth(0.55f, 0.9f, root.y));
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
    return lk_vec3_mix(aside, lk_v3(0.1f * side_of(root.x), -1, -0.2f), lk_smooth(0.4f, 0, root.y));
}

static lk_vec3 flow_parted(lk_vec3 root, lk_vec3 at)
{
    (void)at;
    lk_vec3 aside = lk_v3(side_of(root.x), -0.15f, root.z < -1.2f ? -0.9f : root.z > -0.5f ? -0.35f : -0.1f);
    return lk_vec3_mix(aside, lk_v3(0.1f * side_of(root.x), -1, -0.2f), lk_smooth(0.4f, 0, root.y));
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
    return lk_vec3_normalize(lk_vec3_sub(lk_v3(0, LK_BUN_CENTRE.y - 0.1f, LK_BUN_CENTRE.z - 0.2f), at));
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
    return lk_vec3_length(lk_vec3_sub(LK_BUN_CENTRE, at)) < 0.6f * LK_BUN_RADIUS;
}

static bool ends_long(lk_vec3 root, lk_vec3 at, lk_random *random)
{
    (void)root;
    (void)random;
    return at.y < -1.6f;
}

/* Zero and NULL where nothing is said. */
/* clang-format off */
const lk_hair_style LK_HAIR_TABLE[LK_HAIR_STYLES] = {
    [LK_HAIR_BALD] = {0},
    [LK_HAIR_BUZZ] = {.strands = 6500, .length = 0.045f, .spread = 0.02f, .step = 0.015f, .lift = 0.01f, .rise = 0.6f,
        .stiffness = 0.5f, .comb = 0.6f, .hold = 1.3f, .width = 0.010f, .cap = 0.70f, .cling = 0.03f},
    [LK_HAIR_SHORT] = {.strands = 5600, .length = 0.22f, .spread = 0.05f, .step = 0.03f, .lift = 0.06f, .rise = 0.6f,
        .gravity = 0.1f, .stiffness = 0.45f, .comb = 1, .hold = 1.3f, .curl = 0.010f, .turns = 9, .width = 0.013f,
        .cap = 0.95f, .cling = 0.06f, .flow = flow_short, .trim = trim_sides},
    [LK_HAIR_SIDE_PART] = {.strands = 5200, .length = 0.85f, .spread = 0.15f, .step = 0.05f, .lift = 0.10f, .rise = 0.45f,
        .gravity = 0.25f, .stiffness = 0.35f, .comb = 1.3f, .hold = 1.3f, .curl = 0.012f, .turns = 5, .width = 0.014f,
        .cap = 0.97f, .cling = 0.07f, .flow = flow_side_part, .trim = trim_sides},
    [LK_HAIR_FRINGE] = {.strands = 5000, .length = 0.95f, .spread = 0.10f, .step = 0.05f, .lift = 0.11f, .rise = 0.4f,
        .gravity = 0.9f, .stiffness = 0.35f, .comb = 0.7f, .hold = 1.3f, .curl = 0.008f, .turns = 5, .width = 0.014f,
        .cap = 0.97f, .cling = 0.04f, .flow = flow_fringe, .trim = trim_fringe, .ends = ends_fringe},
    [LK_HAIR_BOB] = {.strands = 5400, .length = 1.95f, .spread = 0.10f, .step = 0.07f, .lift = 0.17f, .rise = 0.35f,
        .gravity = 1, .stiffness = 0.3f, .comb = 0.9f, .hold = 1.3f, .curl = 0.010f, .turns = 4, .width = 0.015f,
        .cap = 0.97f, .cling = 0.05f, .flow = flow_bob, .trim = trim_bob, .ends = ends_bob},
    [LK_HAIR_LONG] = {.strands = 5200, .length = 3.2f, .spread = 0.3f, .step = 0.09f, .lift = 0.15f, .rise = 0.35f,
        .gravity = 1, .stiffness = 0.3f, .comb = 0.9f, .hold = 1.3f, .curl = 0.02f, .turns = 3, .width = 0.015f,
        .cap = 0.97f, .cling = 0.05f, .flow = flow_parted, .ends = ends_long},
    [LK_HAIR_MOHAWK] = {.strands = 2600, .length = 0.44f, .spread = 0.08f, .step = 0.04f, .lift = 0.5f, .rise = 0.6f,
        .stiffness = 0.95f, .hold = 1.3f, .curl = 0.02f, .turns = 5, .width = 0.013f, .cap = 0.55f, .trim = trim_mohawk},
    [LK_HAIR_BUN] = {.strands = 5200, .length = 1.5f, .spread = 0.3f, .step = 0.06f, .lift = 0.04f, .rise = 0.25f,
        .stiffness = 0.2f, .comb = 1.6f, .curl = 0.006f, .turns = 5, .width = 0.013f, .cap = 0.95f, .cling = 0.03f,
        .flow = flow_bun, .ends = ends_bun},
    [LK_HAIR_CURLY] = {.strands = 3600, .length = 1.0f, .spread = 0.25f, .step = 0.04f, .lift = 0.18f, .rise = 0.6f,
        .gravity = 0.5f, .stiffness = 0.45f, .comb = 0.2f, .hold = 1.3f, .curl = 0.05f, .turns = 17, .locks = true,
        .width = 0.016f, .cap = 0.98f, .cling = 0.12f, .trim = trim_curly, .ends = ends_curly},
    [LK_HAIR_AFRO] = {.strands = 6000, .length = 0.29f, .spread = 0.05f, .step = 0.035f, .lift = 0.6f, .rise = 0.6f,
        .stiffness = 0.92f, .hold = 1.3f, .curl = 0.035f, .turns = 26, .locks = true, .width = 0.016f, .cap = 0.98f,
        .trim = trim_afro},
    [LK_HAIR_SLICK] = {.strands = 5200, .length = 0.95f, .spread = 0.2f, .step = 0.06f, .lift = 0.06f, .rise = 0.25f,
        .stiffness = 0.3f, .comb = 1.6f, .curl = 0.008f, .turns = 5, .width = 0.013f, .cap = 0.97f, .cling = 0.04f,
        .flow = flow_slick},
    [LK_HAIR_SPIKY] = {.strands = 4200, .length = 0.36f, .spread = 0.10f, .step = 0.04f, .lift = 0.3f, .rise = 1,
        .gravity = 0.05f, .stiffness = 0.8f, .comb = 0.35f, .hold = 1.3f, .curl = 0.01f, .turns = 5, .width = 0.015f,
        .cap = 0.95f, .cling = 0.20f, .flow = flow_spiky, .trim = trim_spiky},
    [LK_HAIR_CENTRE_PART] = {.strands = 5200, .length = 2.3f, .spread = 0.2f, .step = 0.07f, .lift = 0.14f, .rise = 0.35f,
        .gravity = 0.9f, .stiffness = 0.35f, .comb = 1.1f, .hold = 1.3f, .curl = 0.045f, .turns = 5, .locks = true,
        .width = 0.015f, .cap = 0.97f, .cling = 0.06f, .flow = flow_parted, .ends = ends_long},
};
/* clang-format on */

/* ---- brows ---- */

/* clang-format off */
const lk_brow_style LK_BROW_TABLE[LK_BROW_STYLES] = {
    /* inner, outer, height, arch, peak, tilt, thick, thin, density, hair */
    {0.13f, 0.52f, 0.205f, 0.060f, 0.62f, 0.010f, 0.042f, 0.020f, 1.0f, 0.070f},   /* soft */
    {0.12f, 0.53f, 0.205f, 0.008f, 0.55f, -0.015f, 0.054f, 0.044f, 1.3f, 0.075f},  /* straight */
    {0.14f, 0.53f, 0.225f, 0.100f, 0.66f, -0.020f, 0.020f, 0.010f, 1.2f, 0.045f},  /* thin */
    {0.13f, 0.50f, 0.205f, 0.110f, 0.45f, -0.080f, 0.042f, 0.028f, 1.1f, 0.065f},  /* round */
    {0.11f, 0.54f, 0.150f, 0.050f, 0.78f, 0.130f, 0.046f, 0.022f, 1.2f, 0.075f},   /* angled */
    {0.09f, 0.56f, 0.195f, 0.035f, 0.60f, -0.010f, 0.086f, 0.062f, 1.8f, 0.100f},  /* bushy */
    {0.005f, 0.53f, 0.190f, 0.035f, 0.60f, -0.005f, 0.048f, 0.030f, 1.5f, 0.075f}, /* joined */
    {0.14f, 0.35f, 0.205f, 0.015f, 0.50f, 0.000f, 0.046f, 0.032f, 0.7f, 0.060f},   /* short */
};
/* clang-format on */

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

/* clang-format off */
const lk_beard_style LK_BEARD_TABLE[LK_BEARD_STYLES] = {
    [LK_BEARD_NONE] = {0},
    [LK_BEARD_STUBBLE] = {.strands = 4200, .length = 0.022f, .width = 0.0055f, .paint = 0.34f},
    [LK_BEARD_MOUSTACHE] = {.strands = 700, .length = 0.11f, .width = 0.010f, .paint = 0.65f},
    [LK_BEARD_GOATEE] = {.strands = 1500, .length = 0.17f, .width = 0.010f, .paint = 0.65f},
    [LK_BEARD_FULL] = {.strands = 4200, .length = 0.14f, .width = 0.010f, .paint = 0.65f},
    [LK_BEARD_CHIN_STRAP] = {.strands = 2200, .length = 0.10f, .width = 0.010f, .paint = 0.65f},
};
/* clang-format on */

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
    float patch =
        lk_smooth(0.02f, -0.02f, x - 0.045f) * lk_smooth(0, 0.02f, LK_MOUTH_Y - 0.08f - at.y) * (at.y > LK_MOUTH_Y - 0.25f);
    float full = lk_max(cheek, chin) * throat * lk_smooth(84, 76, angle) * (at.z > -0.9f);
    full = lk_max(full, lk_max(moustache * throat, patch * 0.8f));
    switch (style) {
    case LK_BEARD_STUBBLE: return 0.9f * full;
    case LK_BEARD_MOUSTACHE: return moustache;
    case LK_BEARD_GOATEE: {
        float gx = x / 0.29f, gy = (at.y - (LK_MOUTH_Y - 0.24f)) / 0.30f;
        float tuft =
            lk_smooth(1.08f, 0.95f, sqrtf(gx * gx + gy * gy)) * lk_max(chin, lk_smooth(0, 0.03f, x - 0.22f)) * (at.z > -0.35f);
        float bridge =
            lk_smooth(0.035f, 0, fabsf(x - 0.285f) - 0.035f) * (at.y < LK_MOUTH_Y + 0.12f) * (at.y > LK_MOUTH_Y - 0.25f);
        return lk_max(lk_max(moustache, lk_max(tuft, bridge)), patch) * throat;
    }
    case LK_BEARD_CHIN_STRAP: /* only along the jaw */
        return full * lk_smooth(-0.06f, 0.02f, LK_CHIN_Y + 0.22f + 0.75f * lk_max(0, x - 0.30f) - at.y);
    default: return full;
    }
}
