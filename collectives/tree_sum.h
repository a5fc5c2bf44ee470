/* Sums in a fixed tree, so that their digits do not depend on how the work is cut over ranks.
 *
 * The terms are the micro-batches of a global batch in their order, a power of two of them: ((m0+m1) + (m2+m3)) + ... A rank
 * with n of them adds those by lk_tree_accumulate; a reproducible reducer (reducer.h) goes on with the same tree over the ranks.
 * Rank r must own the micro-batches r*n to r*n + n-1. Then 1 rank x 4, 2 x 2 and 4 x 1 give the same bits.
 */
#ifndef LK_COLLECTIVES_TREE_SUM_H
#define LK_COLLECTIVES_TREE_SUM_H

#include "base/device/device.h"
#include "base/error.h"
#include "collectives/reducer.h"

#include <stdbool.h>
#include <stddef.h>

bool lk_is_power_of_two(int n);

/* Adds `terms` buffers of `count` floats that come one after the other, holding at most log2(terms) partial sums.
 * One thread at a time, save that calls on ranges that do not overlap may run at once. */
typedef struct lk_tree_accumulator lk_tree_accumulator;

/* Buffers lie in the device's memory. `kernels`: on CUDA, whose `add` is used (reducer.h). LK_BAD_CONFIG if `terms` is not a
 * power of two. */
lk_status lk_tree_accumulator_create(lk_device *device, const lk_reducer_kernels *kernels, size_t count, int terms,
                                     lk_tree_accumulator **out);
void lk_tree_accumulator_free(lk_tree_accumulator *tree);

/* Takes the elements begin .. begin + count - 1 of term `index`. The terms must come in order, in each range. `buffer` is the
 * whole buffer; that range of it is used up, and with the last term it holds the sum. So gradients can be passed one by one,
 * and each is complete as soon as its last micro-batch is. The sums are asked for on the device's stream. */
lk_status lk_tree_accumulate(lk_tree_accumulator *tree, int index, float *buffer, size_t begin, size_t count);

#endif
