#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t lk_hash(const void *data, size_t size)
{
    return XXH3_64bits(data, size);
}

uint64_t lk_hash_pieces(const lk_piece *pieces, int count)
{
    XXH3_state_t state; /* on the stack: inlined xxhash, no allocation */
    XXH3_64bits_reset(&state);
    for (int i = 0; i < count; i++)
        XXH3_64bits_update(&state, pieces[i].data, pieces[i].size);
    return XXH3_64bits_digest(&state);
}

uint64_t lk_hash_stream(lk_piece_function *next, void *context)
{
    XXH3_state_t state;
    const void *data;
    size_t size;
    XXH3_64bits_reset(&state);
    while ((size = next(context, &data)) > 0)
        XXH3_64bits_update(&state, data, size);
    return XXH3_64bits_digest(&state);
}

void lk_hash_hex(uint64_t hash, char out[LK_HEX_SIZE])
{
    snprintf(out, LK_HEX_SIZE, "%016" PRIx64, hash);
}
