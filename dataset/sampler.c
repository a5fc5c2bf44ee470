#include "dataset/sampler.h"

#include "base/random.h"

enum { ROUNDS = 6, LEAST_HALF_BITS = 3 };

/* One pass through the network: a permutation of 0 .. 4^half_bits - 1, whatever the round function is (Luby and Rackoff 1988:
 * four rounds of a good one look random; two more cost little). */
static uint64_t permute(uint64_t value, int half_bits, const uint64_t keys[ROUNDS])
{
    uint64_t mask = ((uint64_t)1 << half_bits) - 1;
    uint64_t left = value >> half_bits, right = value & mask;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t next = left ^ (lk_random_mix(keys[round], right) >> 32 & mask);
        left = right;
        right = next;
    }
    return left << half_bits | right;
}

int64_t lk_sampler_at(const lk_sampler *sampler, int64_t epoch, int64_t position)
{
    if (!sampler->shuffle)
        return position;
    /* The smallest power of four that holds all samples, and not so small that there are few permutations to choose from. */
    int half_bits = LEAST_HALF_BITS;
    while ((int64_t)1 << (2 * half_bits) < sampler->count)
        half_bits++;
    uint64_t keys[ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        keys[round] = lk_random_mix(lk_random_mix(sampler->seed, (uint64_t)epoch), (uint64_t)round);
    /* Cycle walking: positions that lead outside go on along their cycle until they are inside (Black and Rogaway 2002). */
    uint64_t value = (uint64_t)position;
    do
        value = permute(value, half_bits, keys);
    while (value >= (uint64_t)sampler->count);
    return (int64_t)value;
}
