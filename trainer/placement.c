#include "trainer/placement.h"

#include "base/log.h"
#include "collectives/group.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* With fewer, the exchange of gradients costs less than a core computes. */
enum { ENOUGH_TO_SPARE_ONE = 8 };

/* What a rank tells the others. */
typedef struct seat {
    char host[64];
    cpu_set_t cores; /* that it may run on */
} seat;

static seat own_seat(void)
{
    seat s;
    memset(&s, 0, sizeof s); /* seats are compared by their bytes */
    gethostname(s.host, sizeof s.host - 1);
    if (sched_getaffinity(0, sizeof s.cores, &s.cores) != 0 || CPU_COUNT(&s.cores) == 0)
        CPU_SET(0, &s.cores);
    return s;
}

static bool same_cores(const seat *a, const seat *b)
{
    return strcmp(a->host, b->host) == 0 && CPU_EQUAL(&a->cores, &b->cores);
}

/* Which of the seat's cores are `index`'s of so many sharers: some side by side. */
static cpu_set_t part_of(const seat *s, int index, int sharers)
{
    cpu_set_t part;
    CPU_ZERO(&part);
    for (int core = 0, seen = 0; core < CPU_SETSIZE; core++)
        if (CPU_ISSET(core, &s->cores) && seen++ * sharers / CPU_COUNT(&s->cores) == index)
            CPU_SET(core, &part);
    return part;
}

static int threads_of(const lk_config *config, const lk_process_group *group, int share)
{
    if (config->train.threads > 0)
        return config->train.threads;
    /* Sums inside of operators depend on the number of threads: the same digits everywhere need one number everywhere. */
    if (config->train.reproducible || share < 1)
        return 1;
    return group->size > 1 && share >= ENOUGH_TO_SPARE_ONE ? share - 1 : share;
}

lk_placement lk_place(const lk_config *config, lk_process_group *group)
{
    seat mine = own_seat(), *all = calloc((size_t)group->size, sizeof *all);
    if (!all)
        lk_group_abort(group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    lk_group_gather(group, &mine, sizeof mine, all);
    int sharers = 0, index = 0;
    for (int rank = 0; rank < group->size; rank++) {
        bool shares = same_cores(&all[rank], &mine);
        sharers += shares;
        index += shares && rank < group->rank;
    }
    free(all);
    int share = CPU_COUNT(&mine.cores) / sharers;
    lk_placement p = {.threads = threads_of(config, group, share), .cores = share > 0 ? share : 1};
    if (sharers > 1 && share > 0) {
        cpu_set_t part = part_of(&mine, index, sharers);
        p.bound = sched_setaffinity(0, sizeof part, &part) == 0;
        if (!p.bound)
            lk_warn("rank %d cannot keep to %d of its host's cores: %s", group->rank, share, strerror(errno));
    }
    return p;
}
