#include "collectives/reducer.h"

#include "base/file.h"
#include "collectives/reducer_kind.h"
#include "collectives/tree_sum.h"

#include <stdio.h>
#include <stdlib.h>

void lk_part_halve(lk_part whole, bool upper, lk_part *mine, lk_part *other)
{
    lk_part low = {whole.begin, whole.count / 2};
    lk_part high = {whole.begin + low.count, whole.count - low.count};
    *mine = upper ? high : low;
    *other = upper ? low : high;
}

static const lk_reducer_kind *choose(lk_device *device, const lk_reducer_options *options)
{
    if (lk_device_kind_of(device) == LK_DEVICE_CUDA)
        return &lk_reducer_nccl;
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
    if (options.reproducible && options.bf16)
        return lk_fail(LK_BAD_CONFIG, "a reproducible sum travels as float32, not as bfloat16; set collectives.dtype to f32");
    lk_reducer *r = calloc(1, sizeof *r);
    lk_status status = r ? LK_OK : lk_fail(LK_INTERNAL, "out of memory");
    if (r) /* before anything can fail: closing asks the kind */
        *r = (lk_reducer){.kind = choose(device, &options), .device = device, .options = options};
    LK_TRY_OR(fail, lk_group_agree(group, status));
    status = lk_group_duplicate(group, &r->group);
    if (status != LK_OK)
        r->group.backend = NULL;
    LK_TRY_OR(fail, lk_group_agree(group, status));
    LK_TRY_OR(fail, lk_group_agree(group, lk_flight_open(&r->flight)));
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
    lk_flight_close(r->flight);
    free(r);
}

lk_status lk_reducer_sum(lk_reducer *r, int bucket, float *buffer, size_t count, lk_mark *after)
{
    int64_t number = lk_flight_ask(r->flight, bucket, count * sizeof *buffer);
    return r->kind->sum(r, number, buffer, count, after);
}

lk_status lk_reducer_wait(lk_reducer *r)
{
    return r->kind->wait(r);
}

lk_status lk_reducer_finish(lk_reducer *r, double *exposed, double *busy)
{
    return r->kind->finish(r, exposed, busy);
}

void lk_reducer_where(lk_reducer *r, lk_flight_position *position)
{
    lk_flight_where(r->flight, position);
}

lk_status lk_reducer_poll(lk_reducer *r)
{
    return r->kind->poll ? r->kind->poll(r) : LK_OK;
}

void lk_reducer_abort(lk_reducer *r)
{
    if (r->kind->abort)
        r->kind->abort(r);
}

lk_status lk_reducer_record(lk_reducer *r, const char *folder)
{
    char name[32], path[LK_PATH_SIZE];
    snprintf(name, sizeof name, "rank-%d.jsonl", r->group.rank);
    LK_TRY(lk_path_join(path, folder, name));
    LK_TRY(lk_make_folder(folder));
    return lk_flight_write(r->flight, path);
}
