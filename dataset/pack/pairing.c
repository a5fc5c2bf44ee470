#include "dataset/pack/pairing.h"

#include <stdlib.h>
#include <string.h>

enum { HAS_PICTURE = 1, HAS_LABELS = 2, FINISHED = 4, USED = 8 };

typedef struct slot {
    uint64_t hash;
    lk_half *waiting;
    uint8_t flags; /* 0: empty slot */
} slot;

/* Open addressing, a power of two of slots, at most half full. */
struct lk_pairing {
    slot *slots;
    size_t room, count, waiting_count;
    int64_t waiting_bytes, limit;
};

void lk_half_free(lk_half *half)
{
    free(half->key);
    free(half->name);
    free(half->data);
    free(half->identity);
    *half = (lk_half){0};
}

lk_status lk_pairing_create(int64_t limit, lk_pairing **out)
{
    *out = NULL;
    lk_pairing *p = calloc(1, sizeof *p);
    slot *slots = calloc(1024, sizeof *slots);
    if (!p || !slots) {
        free(p);
        free(slots);
        return lk_fail(LK_INTERNAL, "out of memory for the table of keys");
    }
    *p = (lk_pairing){.slots = slots, .room = 1024, .limit = limit};
    *out = p;
    return LK_OK;
}

void lk_pairing_free(lk_pairing *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->room; i++)
        if (p->slots[i].waiting) {
            lk_half_free(p->slots[i].waiting);
            free(p->slots[i].waiting);
        }
    free(p->slots);
    free(p);
}

static slot *find(slot *slots, size_t room, uint64_t hash)
{
    size_t i = hash & (room - 1);
    while (slots[i].flags && slots[i].hash != hash)
        i = (i + 1) & (room - 1);
    return &slots[i];
}

static int64_t bytes_used(const lk_pairing *p)
{
    return p->waiting_bytes + (int64_t)(p->room * sizeof *p->slots);
}

/* The slot of a key, made if there is none. */
static lk_status get(lk_pairing *p, const char *key, slot **out)
{
    uint64_t hash;
    LK_TRY(lk_name_hash(key, &hash));
    if (2 * p->count >= p->room) {
        size_t room = 2 * p->room;
        if (bytes_used(p) + (int64_t)(room * sizeof *p->slots) > p->limit)
            return lk_fail(LK_BAD_DATA, "%zu keys are too many for the memory that may be used; raise --max-memory", p->count);
        slot *grown = calloc(room, sizeof *grown);
        if (!grown)
            return lk_fail(LK_INTERNAL, "out of memory for a table of %zu keys", p->count);
        for (size_t i = 0; i < p->room; i++)
            if (p->slots[i].flags)
                *find(grown, room, p->slots[i].hash) = p->slots[i];
        free(p->slots);
        p->slots = grown;
        p->room = room;
    }
    slot *s = find(p->slots, p->room, hash);
    if (!s->flags) {
        *s = (slot){.hash = hash, .flags = USED};
        p->count++;
    }
    *out = s;
    return LK_OK;
}

lk_status lk_pairing_mark_finished(lk_pairing *p, const char *key)
{
    slot *s;
    LK_TRY(get(p, key, &s));
    s->flags |= FINISHED;
    return LK_OK;
}

lk_status lk_pairing_see(lk_pairing *p, const char *key, bool picture, lk_pairing_state *state)
{
    slot *s;
    LK_TRY(get(p, key, &s));
    uint8_t mine = picture ? HAS_PICTURE : HAS_LABELS;
    *state = s->flags & mine ? LK_DUPLICATE : s->flags & FINISHED ? LK_FINISHED : LK_WANTED;
    s->flags |= mine;
    return LK_OK;
}

static int64_t weight(const lk_half *half)
{
    size_t identity = half->identity ? strlen(half->identity) : 0;
    return (int64_t)(half->size + sizeof *half + strlen(half->key) + strlen(half->name) + identity);
}

static lk_status let_wait(lk_pairing *p, slot *s, lk_half *half)
{
    s->waiting = malloc(sizeof *s->waiting);
    if (!s->waiting) {
        lk_half_free(half);
        return lk_fail(LK_INTERNAL, "out of memory for what waits for its other half");
    }
    *s->waiting = *half;
    *half = (lk_half){0};
    p->waiting_count++;
    p->waiting_bytes += weight(s->waiting);
    if (bytes_used(p) > p->limit)
        return lk_fail(
            LK_BAD_DATA,
            "%zu files of %lld bytes wait for the picture or the parameters that belong to them; put the two beside each "
            "other or the parameters first, or raise --max-memory",
            p->waiting_count, (long long)p->waiting_bytes);
    return LK_OK;
}

lk_status lk_pairing_add(lk_pairing *p, lk_half *half, lk_half *picture, lk_half *labels, bool *complete)
{
    slot *s;
    *complete = false;
    lk_status status = get(p, half->key, &s);
    if (status != LK_OK) {
        lk_half_free(half);
        return status;
    }
    if (!s->waiting)
        return let_wait(p, s, half);
    lk_half *other = s->waiting;
    p->waiting_count--;
    p->waiting_bytes -= weight(other);
    *(half->kind == LK_NAME_PICTURE ? picture : labels) = *half;
    *(half->kind == LK_NAME_PICTURE ? labels : picture) = *other;
    *half = (lk_half){0};
    free(other);
    s->waiting = NULL;
    *complete = true;
    return LK_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp((*(lk_half *const *)a)->key, (*(lk_half *const *)b)->key);
}

lk_status lk_pairing_orphans(lk_pairing *p, lk_orphan_function *call, void *context)
{
    if (p->waiting_count == 0)
        return LK_OK;
    lk_half **all = malloc(p->waiting_count * sizeof *all);
    if (!all)
        return lk_fail(LK_INTERNAL, "out of memory for %zu orphans", p->waiting_count);
    size_t count = 0;
    for (size_t i = 0; i < p->room; i++)
        if (p->slots[i].waiting)
            all[count++] = p->slots[i].waiting;
    qsort(all, count, sizeof *all, compare);
    for (size_t i = 0; i < count; i++)
        call(context, all[i]);
    free(all);
    return LK_OK;
}
