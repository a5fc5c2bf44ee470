/* What carries the sums of a reducer. reducer.c is the only caller of this table; a kind is a file that fills it in:
 * reducer_mpi.c, reducer_tree.c, reducer_nccl.c. Inside of collectives/ only.
 *
 * Every function has the meaning of its namesake in reducer.h.
 */
#ifndef LK_COLLECTIVES_REDUCER_KIND_H
#define LK_COLLECTIVES_REDUCER_KIND_H

#include "collectives/reducer.h"

typedef struct lk_reducer_thread lk_reducer_thread;

typedef struct lk_reducer_kind {
    lk_status (*open)(lk_reducer *reducer); /* what it fails with is this rank's own; close is called all the same */
    void (*close)(lk_reducer *reducer);
    /* Tells the flight recorder when collective `number` begins and ends. */
    lk_status (*sum)(lk_reducer *reducer, int64_t number, float *buffer, size_t count, lk_mark *after);
    lk_status (*wait)(lk_reducer *reducer);
    lk_status (*finish)(lk_reducer *reducer, double *exposed, double *busy);
    /* NULL where nothing can fail, and there is nothing to abort. `poll` also brings the flight recorder up to date. */
    lk_status (*poll)(lk_reducer *reducer);
    void (*abort)(lk_reducer *reducer);
} lk_reducer_kind;

struct lk_reducer {
    const lk_reducer_kind *kind;
    lk_process_group group; /* the duplicate */
    lk_device *device;
    lk_reducer_options options;
    lk_flight_recorder *flight;
    lk_reducer_thread *thread; /* NULL where the host does no sums (reducer_thread.h) */
    void *state;               /* of the kind */
};

/* A rank's own part of what it holds, and its partner's, in a tree of halves: the lower rank has the lower half. */
typedef struct lk_part {
    size_t begin, count;
} lk_part;
void lk_part_halve(lk_part whole, bool upper, lk_part *mine, lk_part *other);

extern const lk_reducer_kind lk_reducer_mpi, lk_reducer_tree, lk_reducer_nccl;

#endif
