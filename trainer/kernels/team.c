#include "trainer/kernels/team.h"

#include <stdatomic.h>

typedef struct work {
    lk_team_item *item;
    void *context;
    int count;
    atomic_int next;
} work;

/* As many ranges as threads, so that the begin of each is a lane; the items come off one counter. */
static void take_items(int64_t begin, int64_t end, void *context)
{
    work *w = context;
    (void)end;
    for (int i = atomic_fetch_add(&w->next, 1); i < w->count; i = atomic_fetch_add(&w->next, 1))
        w->item(w->context, (int)begin, i);
}

void lk_team_each(const lk_team *team, int count, lk_team_item *item, void *context)
{
    work w = {.item = item, .context = context, .count = count};
    atomic_init(&w.next, 0);
    int lanes = team->threads < count ? team->threads : count;
    if (lanes <= 1 || !team->run)
        take_items(0, 1, &w);
    else
        team->run(lanes, take_items, &w);
}

int lk_team_parts(const lk_team *team, int count, int most)
{
    int parts = 1;
    while (parts < most && count * parts < 4 * team->threads && count * parts % team->threads != 0)
        parts++;
    return parts;
}
