/* Shards whose HDF5 metadata was changed and given right checksums again, so that libhdf5 believes them. */
#ifndef LK_TESTS_UNIT_FORGED_SHARDS_H
#define LK_TESTS_UNIT_FORGED_SHARDS_H

#include "base/random.h"

#include <stdint.h>
#include <string.h>

enum { FORGE_MAX_BLOCKS = 64, FORGE_MAX_BLOCK_BYTES = 4096, FORGE_SUPERBLOCK_BYTES = 44 };

/* A block of metadata: its checksum follows its `size` bytes. */
typedef struct forge_block {
    size_t at, size;
} forge_block;

typedef struct forge_blocks {
    forge_block blocks[FORGE_MAX_BLOCKS];
    int count;
} forge_blocks;

static inline uint32_t forge_rotate(uint32_t x, int bits)
{
    return x << bits | x >> (32 - bits);
}

/* Bob Jenkins' lookup3 over bytes, as HDF5 uses it (initial value 0). */
static inline uint32_t forge_checksum(const uint8_t *data, size_t size)
{
    uint32_t s[3];
    s[0] = s[1] = s[2] = 0xdeadbeef + (uint32_t)size;
    for (; size > 0; data += 12) {
        size_t part = size < 12 ? size : 12;
        for (size_t i = 0; i < part; i++)
            s[i / 4] += (uint32_t)data[i] << (8 * (i % 4));
        size -= part;
        if (size == 0)
            break;
        static const int TURNS[6] = {4, 6, 8, 16, 19, 4};
        for (int i = 0; i < 6; i++) {
            uint32_t *a = &s[i % 3], *b = &s[(i + 1) % 3], *c = &s[(i + 2) % 3];
            *a = (*a - *c) ^ forge_rotate(*c, TURNS[i]);
            *c += *b;
        }
    }
    static const int TURNS[7] = {14, 11, 25, 16, 4, 14, 24};
    for (int i = 0; i < 7; i++) {
        uint32_t *c = &s[(i + 2) % 3], *b = &s[(i + 1) % 3];
        *c = (*c ^ *b) - forge_rotate(*b, TURNS[i]);
    }
    return s[2];
}

static inline uint32_t forge_get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline void forge_put(uint8_t *at, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> (8 * i));
}

static inline void forge_seal(uint8_t *data, forge_block block)
{
    forge_put(data + block.at + block.size, forge_checksum(data + block.at, block.size), 4);
}

/* The blocks of a whole shard: the superblock, and whatever begins with a signature and is followed by its checksum. */
static inline forge_blocks forge_find(const uint8_t *data, size_t size)
{
    static const char *const SIGNATURES[] = {"OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "BTIN"};
    forge_blocks found = {.blocks = {{0, FORGE_SUPERBLOCK_BYTES}}, .count = 1};
    for (size_t at = FORGE_SUPERBLOCK_BYTES; at + 16 < size && found.count < FORGE_MAX_BLOCKS; at++)
        for (size_t k = 0; k < sizeof SIGNATURES / sizeof *SIGNATURES; k++) {
            if (memcmp(data + at, SIGNATURES[k], 4) != 0)
                continue;
            for (size_t n = 4; n < FORGE_MAX_BLOCK_BYTES && at + n + 4 <= size; n++)
                if (forge_checksum(data + at, n) == forge_get32(data + at + n)) {
                    found.blocks[found.count++] = (forge_block){at, n};
                    break;
                }
        }
    return found;
}

/* Changes one to three places of one block, and seals it. */
static inline void forge_shard(uint8_t *data, const forge_blocks *all, lk_random *random)
{
    static const uint64_t NUMBERS[] = {0,          1,          7,          0x7f,           0x80,       0xff,           0x7fff,
                                       0xffff,     0x7fffffff, 0xffffffff, UINT64_MAX / 2, UINT64_MAX, UINT64_MAX - 1, 1ull << 32,
                                       1ull << 60, 1 << 20};
    forge_block block = all->blocks[lk_random_below(random, (uint32_t)all->count)];
    int changes = 1 + (int)lk_random_below(random, 3);
    for (int i = 0; i < changes; i++) {
        uint8_t *at = data + block.at + lk_random_below(random, (uint32_t)block.size);
        int room = (int)(data + block.at + block.size - at), bytes = 1 << lk_random_below(random, 4);
        if (bytes > room)
            bytes = 1;
        switch (lk_random_below(random, 4)) {
        case 0: *at ^= (uint8_t)(1 << lk_random_below(random, 8)); break;
        case 1: *at = (uint8_t)lk_random_below(random, 256); break;
        case 2: forge_put(at, NUMBERS[lk_random_below(random, sizeof NUMBERS / sizeof *NUMBERS)], bytes); break;
        default: forge_put(at, all->blocks[lk_random_below(random, (uint32_t)all->count)].at, bytes); break;
        }
    }
    forge_seal(data, block);
}

#endif
