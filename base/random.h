/* Random numbers that depend on (seed, stream) alone: one generator per purpose and item, so that neither the number of
 * threads or ranks nor the order of work changes a result. PCG-XSH-RR 64/32 (O'Neill 2014), seeded through SplitMix64.
 */
#ifndef LK_BASE_RANDOM_H
#define LK_BASE_RANDOM_H

#include <stdint.h>

typedef struct lk_random {
    uint64_t state;
    uint64_t increment;
} lk_random;

lk_random lk_random_make(uint64_t seed, uint64_t stream);
uint32_t lk_random_bits(lk_random *r);
/* [0, 1), 24 bits. */
float lk_random_uniform(lk_random *r);
float lk_random_range(lk_random *r, float low, float high);
/* 0 .. n-1 without bias; n >= 1. */
uint32_t lk_random_below(lk_random *r, uint32_t n);
/* Mean 0, standard deviation 1 (Box-Muller). */
float lk_random_normal(lk_random *r);
/* A 64-bit mix of two words, for deriving seeds. */
uint64_t lk_random_mix(uint64_t a, uint64_t b);

#endif
