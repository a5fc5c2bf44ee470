#include "base/random.h"

#include <math.h>

static uint64_t split_mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t lk_random_mix(uint64_t a, uint64_t b)
{
    return split_mix(split_mix(a) ^ b);
}

lk_random lk_random_make(uint64_t seed, uint64_t stream)
{
    lk_random r = {.state = lk_random_mix(seed, stream), .increment = lk_random_mix(stream, ~seed) | 1};
    lk_random_bits(&r);
    return r;
}

uint32_t lk_random_bits(lk_random *r)
{
    uint64_t old = r->state;
    r->state = old * 6364136223846793005u + r->increment;
    uint32_t shifted = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return (shifted >> turn) | (shifted << ((32 - turn) & 31));
}

float lk_random_uniform(lk_random *r)
{
    return (float)(lk_random_bits(r) >> 8) * 0x1p-24f;
}

float lk_random_range(lk_random *r, float low, float high)
{
    return low + (high - low) * lk_random_uniform(r);
}

uint32_t lk_random_below(lk_random *r, uint32_t n)
{
    /* Rejection of the short last interval keeps every value equally likely. */
    uint32_t threshold = -n % n;
    for (;;) {
        uint32_t bits = lk_random_bits(r);
        if (bits >= threshold)
            return bits % n;
    }
}

float lk_random_normal(lk_random *r)
{
    float u = 1.0f - lk_random_uniform(r);
    float v = lk_random_uniform(r);
    return sqrtf(-2.0f * logf(u)) * cosf(6.28318530718f * v);
}
