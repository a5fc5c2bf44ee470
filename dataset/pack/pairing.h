/* Pairing: which picture and which parameters belong together, in whatever order they come.
 *
 * The half that comes first waits in memory for the other; what may wait is bounded. Every key is remembered by its hash, so a
 * second picture or second parameters of a key are seen as duplicates however late they come (48 bytes a key; two keys of one
 * 64-bit hash would be taken for one: 3 in 10^8 for a million keys). Keys are compared in Unicode's normal form C
 * (lk_name_hash). One thread at a time.
 */
#ifndef LK_DATASET_PACK_PAIRING_H
#define LK_DATASET_PACK_PAIRING_H

#include "base/error.h"
#include "dataset/pack/names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One half of a pair. All pointers are its own (free). */
typedef struct lk_half {
    char *key;     /* as its source spells it */
    char *name;    /* of the entry, for reports */
    uint8_t *data; /* the file's bytes; for a table's row the floats in [0,1], then the choices */
    size_t size;
    lk_name_kind kind; /* LK_NAME_PICTURE; LK_NAME_JSON, LK_NAME_MHM; LK_NAME_CSV and LK_NAME_JSONL for a row */
    char *identity;    /* of a row: who it is; NULL if unknown */
} lk_half;

void lk_half_free(lk_half *half);

typedef enum lk_pairing_state {
    LK_WANTED,    /* not seen yet */
    LK_DUPLICATE, /* the key has such a half already */
    LK_FINISHED   /* an earlier run has packed the pair: not needed */
} lk_pairing_state;

typedef struct lk_pairing lk_pairing;
/* limit: bytes that the table of keys and what waits for its other half may take. */
lk_status lk_pairing_create(int64_t limit, lk_pairing **out);
void lk_pairing_free(lk_pairing *pairing);

/* The key was packed by an earlier run. */
lk_status lk_pairing_mark_finished(lk_pairing *pairing, const char *key);

/* Remembers that a half of the key came, and says whether it is needed. To be followed by lk_pairing_add if it is and could be
 * read. */
lk_status lk_pairing_see(lk_pairing *pairing, const char *key, bool picture, lk_pairing_state *state);

/* Takes the half over, also on failure. If its other half has come, *complete is true and both are the caller's; otherwise it
 * waits. More than the limit is LK_BAD_DATA. */
lk_status lk_pairing_add(lk_pairing *pairing, lk_half *half, lk_half *picture, lk_half *labels, bool *complete);

/* Calls for every half that still waits, in the order of keys. */
typedef void lk_orphan_function(void *context, const lk_half *half);
lk_status lk_pairing_orphans(lk_pairing *pairing, lk_orphan_function *call, void *context);

#endif
