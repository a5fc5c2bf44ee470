#include "collectives/same.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { HOST_SIZE = 64 };

typedef struct answer {
    uint64_t hashes[LK_SAME_MOST];
    char host[HOST_SIZE];
} answer;

lk_status lk_require_same(lk_process_group *group, const lk_same *items, int count)
{
    answer mine = {0}, *all = malloc((size_t)group->size * sizeof *all);
    if (!all)
        lk_group_abort(group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    for (int i = 0; i < count; i++)
        mine.hashes[i] = items[i].hash;
    if (gethostname(mine.host, sizeof mine.host - 1) != 0)
        mine.host[0] = '\0';
    lk_group_gather(group, &mine, sizeof mine, all);
    lk_status status = LK_OK;
    for (int i = 0; status == LK_OK && i < count; i++)
        for (int rank = 1; status == LK_OK && rank < group->size; rank++)
            if (all[rank].hashes[i] != all[0].hashes[i])
                status = lk_fail(
                    items[i].refusal, "rank %d (%s): %s than on rank 0 (%s), %016" PRIx64 " against %016" PRIx64 "; %s", rank,
                    all[rank].host, items[i].what, all[0].host, all[rank].hashes[i], all[0].hashes[i], items[i].then);
    free(all);
    return status;
}
