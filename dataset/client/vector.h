/* Small arithmetic of the client. Space: decimetres, origin between the eyes, x to the viewer's right, y up, z to the viewer. */
#ifndef LK_DATASET_CLIENT_VECTOR_H
#define LK_DATASET_CLIENT_VECTOR_H

#include <math.h>

typedef struct lk_vec3 {
    float x, y, z;
} lk_vec3;

static inline lk_vec3 lk_v3(float x, float y, float z)
{
    return (lk_vec3){x, y, z};
}

static inline lk_vec3 lk_vec3_add(lk_vec3 a, lk_vec3 b)
{
    return lk_v3(a.x + b.x, a.y + b.y, a.z + b.z);
}

static inline lk_vec3 lk_vec3_sub(lk_vec3 a, lk_vec3 b)
{
    return lk_v3(a.x - b.x, a.y - b.y, a.z - b.z);
}

static inline lk_vec3 lk_vec3_scale(lk_vec3 a, float s)
{
    return lk_v3(a.x * s, a.y * s, a.z * s);
}

/* a + s * b */
static inline lk_vec3 lk_vec3_add_scaled(lk_vec3 a, float s, lk_vec3 b)
{
    return lk_v3(a.x + s * b.x, a.y + s * b.y, a.z + s * b.z);
}

static inline lk_vec3 lk_vec3_multiply(lk_vec3 a, lk_vec3 b)
{
    return lk_v3(a.x * b.x, a.y * b.y, a.z * b.z);
}

static inline float lk_vec3_dot(lk_vec3 a, lk_vec3 b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}

static inline lk_vec3 lk_vec3_cross(lk_vec3 a, lk_vec3 b)
{
    return lk_v3(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}

static inline float lk_vec3_length(lk_vec3 a)
{
    return sqrtf(lk_vec3_dot(a, a));
}

static inline lk_vec3 lk_vec3_normalize(lk_vec3 a)
{
    return lk_vec3_scale(a, 1.0f / sqrtf(lk_vec3_dot(a, a) + 1e-20f));
}

static inline lk_vec3 lk_vec3_mix(lk_vec3 a, lk_vec3 b, float t)
{
    return lk_v3(a.x + (b.x - a.x) * t, a.y + (b.y - a.y) * t, a.z + (b.z - a.z) * t);
}

static inline float lk_clamp01(float v)
{
    return v < 0 ? 0 : v > 1 ? 1 : v;
}

static inline float lk_max(float a, float b)
{
    return a > b ? a : b;
}

static inline float lk_min(float a, float b)
{
    return a < b ? a : b;
}

/* 0 before a, 1 after b, smooth between; a > b falls instead of rising. */
static inline float lk_smooth(float a, float b, float x)
{
    float t = lk_clamp01((x - a) / (b - a));
    return t * t * (3 - 2 * t);
}

#endif
