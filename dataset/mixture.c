#include "dataset/mixture.h"

#include "base/random.h"

#include <inttypes.h>

/* Slots by largest remainder would depend on ties; cumulative rounding does not, and adds up. */
static void share_slots(lk_mixture *m, const double *shares)
{
    double total = 0, before = 0;
    for (int i = 0; i < m->parts; i++)
        total += shares[i];
    int64_t given = 0;
    for (int i = 0; i < m->parts; i++) {
        before += shares[i];
        int64_t until = i == m->parts - 1 ? m->count : (int64_t)(before / total * (double)m->count + 0.5);
        m->part[i].slots = until - given;
        given = until;
    }
}

lk_status lk_mixture_make(int parts, const int64_t *counts, const double *shares, uint64_t seed, bool shuffle, lk_mixture *out)
{
    *out = (lk_mixture){.seed = seed, .shuffle = shuffle};
    for (int i = 0; i < parts; i++)
        out->count += counts[i];
    if (!shares)
        return LK_OK;
    if (parts > LK_MIXTURE_PARTS)
        return lk_fail(LK_BAD_CONFIG, "data.train: %d sets with shares; at most %d are allowed", parts, LK_MIXTURE_PARTS);
    out->parts = parts;
    int64_t first = 0;
    for (int i = 0; i < parts; i++) {
        out->part[i] = (lk_mixture_part){.first = first, .count = counts[i]};
        first += counts[i];
    }
    share_slots(out, shares);
    for (int i = 0; i < parts; i++)
        if (out->part[i].slots < 1)
            return lk_fail(LK_BAD_CONFIG,
                           "data.train: share %g of set %d is too small: an epoch of %" PRId64 " samples would hold none of it",
                           shares[i], i + 1, out->count);
    return LK_OK;
}

/* The epoch's slots are shuffled; a part's slots of all epochs in a row go through its samples, in a new order each time. */
int64_t lk_mixture_at(const lk_mixture *m, int64_t epoch, int64_t position)
{
    lk_sampler slots = {.count = m->count,
                        .seed = m->seed,
                        .shuffle = m->shuffle,
                        .block = m->block,
                        .window = LK_SAMPLER_WINDOW,
                        .batch = m->batch};
    int64_t slot = lk_sampler_at(&slots, epoch, position);
    const lk_mixture_part *part = m->part;
    if (m->parts == 0)
        return slot;
    while (slot >= part->slots) {
        slot -= part->slots;
        part++;
    }
    int64_t draw = epoch * part->slots + slot;
    lk_sampler samples = {.count = part->count,
                          .seed = lk_random_mix(m->seed, (uint64_t)(part - m->part) + 1),
                          .shuffle = m->shuffle,
                          .block = m->block}; /* mixed by the slots */
    return part->first + lk_sampler_at(&samples, draw / part->count, draw % part->count);
}
