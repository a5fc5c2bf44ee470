/* The threads that a kernel computes on, lent by whoever calls it: kernels start none.
 *
 * Work is cut into items that do not depend on the number of threads, so that neither do the digits.
 */
#ifndef LK_TRAINER_KERNELS_TEAM_H
#define LK_TRAINER_KERNELS_TEAM_H

#include <stdint.h>

typedef void lk_team_range(int64_t begin, int64_t end, void *context);

typedef struct lk_team {
    int threads; /* 1 or more */
    /* Calls `range` for parts that together are 0 ... count-1, on any threads at the same time, and returns when all are done.
     * NULL: on the caller's thread. */
    void (*run)(int count, lk_team_range *range, void *context);
} lk_team;

/* Item `item` of a piece of work. No two calls at a time have the same lane: memory of lane 0 ... threads-1 is theirs alone. */
typedef void lk_team_item(void *context, int lane, int item);

/* All items 0 ... count-1; a thread takes the next one when it is through with its last. */
void lk_team_each(const lk_team *team, int count, lk_team_item *item, void *context);

/* In how many parts, `most` at most, each of `count` items is best cut, for all threads to have as much to do. */
int lk_team_parts(const lk_team *team, int count, int most);

#endif
