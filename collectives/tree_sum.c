#include "collectives/tree_sum.h"

#include <stdlib.h>

struct lk_tree_accumulator {
    lk_device *device;
    const lk_reducer_kernels *kernels;
    size_t count;
    int terms;
    int levels;
    float *partial; /* of the device, [levels][count]: level k holds the sum of 2^k terms, or nothing */
};

bool lk_is_power_of_two(int n)
{
    return n > 0 && (n & (n - 1)) == 0;
}

static lk_status add(const lk_tree_accumulator *tree, float *restrict sum, const float *restrict term, size_t count)
{
    if (lk_device_kind_of(tree->device) == LK_DEVICE_CUDA)
        return tree->kernels->add(tree->device, lk_device_stream(tree->device), sum, term, count);
    for (size_t i = 0; i < count; i++)
        sum[i] += term[i];
    return LK_OK;
}

lk_status lk_tree_accumulator_create(lk_device *device, const lk_reducer_kernels *kernels, size_t count, int terms,
                                     lk_tree_accumulator **out)
{
    *out = NULL;
    if (!lk_is_power_of_two(terms))
        return lk_fail(LK_BAD_CONFIG,
                       "a reproducible sum needs 1, 2, 4, 8 ... micro-batches per rank, not %d; change "
                       "train.micro_batch or the number of ranks, or set train.reproducible to false",
                       terms);
    lk_tree_accumulator *tree = calloc(1, sizeof *tree);
    if (!tree)
        return lk_fail(LK_INTERNAL, "out of memory");
    tree->device = device;
    tree->kernels = kernels;
    tree->count = count;
    tree->terms = terms;
    while (1 << tree->levels < terms)
        tree->levels++;
    if (tree->levels > 0 && !(tree->partial = lk_device_alloc(device, (size_t)tree->levels * count * sizeof *tree->partial))) {
        lk_status status = lk_fail_in(LK_INTERNAL, "%d partial sums of %zu gradients", tree->levels, count);
        lk_tree_accumulator_free(tree);
        return status;
    }
    *out = tree;
    return LK_OK;
}

void lk_tree_accumulator_free(lk_tree_accumulator *tree)
{
    if (!tree)
        return;
    lk_device_free(tree->device, tree->partial);
    free(tree);
}

lk_status lk_tree_accumulate(lk_tree_accumulator *tree, int index, float *buffer, size_t begin, size_t count)
{
    /* Counting in binary: the trailing ones of `index` are the levels that hold a sum which this term completes. */
    float *term = buffer + begin;
    int level = 0;
    for (; index >> level & 1; level++)
        LK_TRY(add(tree, term, tree->partial + (size_t)level * tree->count + begin, count));
    if (level == tree->levels)
        return LK_OK;
    return lk_device_copy(tree->device, tree->partial + (size_t)level * tree->count + begin, term, count * sizeof *term);
}
