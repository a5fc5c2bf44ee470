/* What must be the same on every rank, compared before it can do harm: a stale copy on one node's own disk, another build or
 * another configuration would train without a word to weights that nobody asked for.
 */
#ifndef LK_COLLECTIVES_SAME_H
#define LK_COLLECTIVES_SAME_H

#include "base/error.h"
#include "collectives/group.h"

#include <stdint.h>

typedef struct lk_same {
    const char *what;  /* "data.train holds other faces", as it follows the rank's name */
    uint64_t hash;     /* of what this rank has */
    lk_status refusal; /* the status where ranks differ */
    const char *then;  /* what to do about it */
} lk_same;

enum { LK_SAME_MOST = 16 };

/* Compares with rank 0, in the order of the items. A difference is one error for all ranks that names the first rank that
 * differs, its host and rank 0's. Every rank must call, with as many items. */
lk_status lk_require_same(lk_process_group *group, const lk_same *items, int count);

#endif
