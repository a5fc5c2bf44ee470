#include "collectives/reducer.h"

#include "collectives/reducer_kind.h"
#include "collectives/tree_sum.h"

#include <stdlib.h>

void lk_range_halve(lk_range whole, bool upper, lk_range *mine, lk_range *other)
{
    lk_range low = {whole.begin, whole.count / 2};
    lk_range high = {whole.begin + low.count, whole.count - low.count};
    *mine = upper ? high : low;
    *other = upper ? low : high;
}

static const lk_reducer_kind *choose(const lk_reducer_options *options)
{
    return options->reproducible ? &lk_reducer_tree : &lk_reducer_mpi;
}

lk_status lk_reducer_open(lk_process_group *group, lk_device *device, lk_reducer_options options, lk_reducer **out)
{
    *out = NULL;
    if (options.reproducible && !lk_is_power_of_two(group->size))
        return lk_fail(LK_BAD_CONFIG,
                       "a reproducible sum needs 1, 2, 4, 8 ... ranks, not %d; change the number of ranks or set "
                       "train.reproducible to false",
                       group->size);
    lk_reducer *r = calloc(1, sizeof *r);
    lk_status status = r ? LK_OK : lk_fail(LK_INTERNAL, "out of memory");
    LK_TRY_OR(fail, lk_group_agree(group, status));
    *r = (lk_reducer){.kind = choose(&options), .device = device, .options = options};
    status = lk_group_duplicate(group, &r->group);
    if (status != LK_OK)
        r->group.backend = NULL;
    LK_TRY_OR(fail, lk_group_agree(group, status));
    LK_TRY_OR(fail, lk_group_agree(group, r->kind->open(r)));
    *out = r;
    return LK_OK;
fail:
    lk_reducer_close(r);
    return status;
}

void lk_reducer_close(lk_reducer *r)
{
    if (!r)
        return;
    r->kind->close(r);
    if (r->group.backend)
        lk_group_release(&r->group);
    free(r);
}

lk_status lk_reducer_sum(lk_reducer *r, float *buffer, size_t count, lk_mark *after)
{
    return r->kind->sum(r, buffer, count, after);
}

lk_status lk_reducer_wait(lk_reducer *r)
{
    return r->kind->wait(r);
}

lk_status lk_reducer_times(lk_reducer *r, double *exposed, double *busy)
{
    return r->kind->times(r, exposed, busy);
}
