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

/* Where `position` goes in the permutation of 0 .. count-1 that belongs to the key. */
static int64_t shuffled(int64_t count, uint64_t key, int64_t position)
{
    /* The smallest power of four that holds all, and not so small that there are few permutations to choose from. */
    int half_bits = LEAST_HALF_BITS;
    while ((int64_t)1 << (2 * half_bits) < count)
        half_bits++;
    uint64_t keys[ROUNDS];
    for (int round = 0; round < ROUNDS; round++)
        keys[round] = lk_random_mix(key, (uint64_t)round);
    /* Cycle walking: positions that lead outside go on along their cycle until they are inside (Black and Rogaway 2002). */
    uint64_t value = (uint64_t)position;
    do
        value = permute(value, half_bits, keys);
    while (value >= (uint64_t)count);
    return (int64_t)value;
}

/* ---- runs of neighbours; each permutation of an epoch has a key of its own ---- */

enum { OF_RUNS = ROUNDS, OF_THE_LAST_RUN, OF_WINDOWS };

/* Lanes of equal width: as many as divide the batch. */
static int lane_count(int batch)
{
    int lanes = batch < LK_SAMPLER_LANES ? batch : LK_SAMPLER_LANES;
    while (batch % lanes != 0)
        lanes--;
    return lanes;
}

/* Place `at` of a lane of `length` whose first window is `first` long, mixed within its window. */
static int64_t mixed(const lk_sampler *s, uint64_t key, int64_t at, int64_t length, int64_t first)
{
    int64_t whole = (int64_t)s->window * s->block;
    int64_t begin = at < first ? 0 : first + (at - first) / whole * whole;
    int64_t size = at < first ? first : whole;
    if (size > length - begin)
        size = length - begin;
    return begin + shuffled(size, lk_random_mix(key, (uint64_t)begin), at - begin);
}

/* The place in the row of runs that is taken at `position`. What is left of an epoch after its last whole batch is a lane too. */
static int64_t place_of(const lk_sampler *s, uint64_t key, int64_t position)
{
    int64_t steps = s->batch > 0 ? s->count / s->batch : 0;
    int64_t rest = steps * s->batch;
    int lanes = 1, lane = 0;
    int64_t start = rest, length = s->count - rest, at = position - rest;
    if (position < rest) {
        lanes = lane_count(s->batch);
        int width = s->batch / lanes;
        lane = (int)(position % s->batch / width);
        length = steps * width;
        start = lane * length;
        at = position / s->batch * width + position % width;
    }
    int64_t window = (int64_t)s->window * s->block;
    if (window == 0)
        return start + at;
    return start +
           mixed(s, lk_random_mix(lk_random_mix(key, OF_WINDOWS), (uint64_t)start), at, length, window - lane * window / lanes);
}

/* The sample at a place of the row of runs. */
static int64_t sample_at(const lk_sampler *s, uint64_t key, int64_t place)
{
    int64_t runs = s->count / s->block, last = s->count % s->block;
    int64_t last_at = (int64_t)(lk_random_mix(key, OF_THE_LAST_RUN) % (uint64_t)(runs + 1)) * s->block;
    if (place >= last_at && place < last_at + last)
        return runs * s->block + place - last_at;
    if (place >= last_at)
        place -= last;
    return shuffled(runs, lk_random_mix(key, OF_RUNS), place / s->block) * s->block + place % s->block;
}

int64_t lk_sampler_at(const lk_sampler *sampler, int64_t epoch, int64_t position)
{
    if (!sampler->shuffle)
        return position;
    uint64_t key = lk_random_mix(sampler->seed, (uint64_t)epoch);
    if (sampler->block <= 1)
        return shuffled(sampler->count, key, position);
    return sample_at(sampler, key, place_of(sampler, key, position));
}
