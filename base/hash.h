/* Hashes: XXH3-64 everywhere (19 GB/s; checksums against damage, not against forgery). */
#ifndef LK_BASE_HASH_H
#define LK_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t lk_hash(const void *data, size_t size);

/* Several pieces hashed as one: the same value as lk_hash over their concatenation. */
typedef struct lk_piece {
    const void *data;
    size_t size;
} lk_piece;
uint64_t lk_hash_pieces(const lk_piece *pieces, int count);

/* The same of pieces that are not there all at once: next() gives one after the other, 0 bytes end it. */
typedef size_t lk_piece_function(void *context, const void **data);
uint64_t lk_hash_stream(lk_piece_function *next, void *context);

/* 16 lower-case hex digits and a NUL. */
enum { LK_HEX_SIZE = 17 };
void lk_hash_hex(uint64_t hash, char out[LK_HEX_SIZE]);

#endif
