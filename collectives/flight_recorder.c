#include "collectives/flight_recorder.h"

#include "base/clock.h"
#include "base/file.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    int64_t number;
    int bucket;
    size_t bytes;
    double asked, begun, ended; /* 0: not yet */
} entry;

struct lk_flight_recorder {
    pthread_mutex_t lock;
    entry entries[LK_FLIGHT_LENGTH]; /* collective n is at n % LK_FLIGHT_LENGTH */
    int64_t asked, begun, ended;
};

lk_status lk_flight_open(lk_flight_recorder **out)
{
    lk_flight_recorder *f = *out = calloc(1, sizeof *f);
    if (!f)
        return lk_fail(LK_INTERNAL, "out of memory");
    pthread_mutex_init(&f->lock, NULL);
    return LK_OK;
}

void lk_flight_close(lk_flight_recorder *f)
{
    if (!f)
        return;
    pthread_mutex_destroy(&f->lock);
    free(f);
}

/* NULL: newer ones have taken its place, or there was none. Under the lock. */
static entry *find(lk_flight_recorder *f, int64_t number)
{
    entry *e = &f->entries[number % LK_FLIGHT_LENGTH];
    return number > 0 && e->number == number ? e : NULL;
}

int64_t lk_flight_ask(lk_flight_recorder *f, int bucket, size_t bytes)
{
    pthread_mutex_lock(&f->lock);
    int64_t number = ++f->asked;
    f->entries[number % LK_FLIGHT_LENGTH] = (entry){.number = number, .bucket = bucket, .bytes = bytes, .asked = lk_wall_clock()};
    pthread_mutex_unlock(&f->lock);
    return number;
}

void lk_flight_begin(lk_flight_recorder *f, int64_t number, double at)
{
    pthread_mutex_lock(&f->lock);
    entry *e = find(f, number);
    if (e)
        e->begun = at;
    if (number > f->begun)
        f->begun = number;
    pthread_mutex_unlock(&f->lock);
}

void lk_flight_end(lk_flight_recorder *f, int64_t number, double at)
{
    pthread_mutex_lock(&f->lock);
    entry *e = find(f, number);
    if (e)
        e->ended = at;
    if (number > f->ended)
        f->ended = number;
    pthread_mutex_unlock(&f->lock);
}

void lk_flight_where(lk_flight_recorder *f, lk_flight_position *position)
{
    pthread_mutex_lock(&f->lock);
    const entry *at = find(f, f->ended < f->asked ? f->ended + 1 : f->ended);
    *position = (lk_flight_position){f->asked, f->begun, f->ended, at ? at->bucket : -1, at ? (int64_t)at->bytes : -1};
    pthread_mutex_unlock(&f->lock);
}

/* ---- the file ---- */

static void put_time(FILE *out, const char *name, double at, const char *end)
{
    if (at > 0)
        fprintf(out, "\"%s\": %.6f%s", name, at, end);
    else
        fprintf(out, "\"%s\": null%s", name, end);
}

lk_status lk_flight_write(lk_flight_recorder *f, const char *path)
{
    entry entries[LK_FLIGHT_LENGTH];
    pthread_mutex_lock(&f->lock);
    memcpy(entries, f->entries, sizeof entries);
    int64_t last = f->asked;
    pthread_mutex_unlock(&f->lock);
    lk_atomic_file file;
    LK_TRY(lk_atomic_open(&file, path));
    for (int64_t n = last > LK_FLIGHT_LENGTH ? last - LK_FLIGHT_LENGTH + 1 : 1; n <= last; n++) {
        const entry *e = &entries[n % LK_FLIGHT_LENGTH];
        fprintf(file.stream, "{\"number\": %" PRId64 ", \"bucket\": %d, \"bytes\": %zu, ", n, e->bucket, e->bytes);
        put_time(file.stream, "asked", e->asked, ", ");
        put_time(file.stream, "begun", e->begun, ", ");
        put_time(file.stream, "ended", e->ended, "}\n");
    }
    return lk_atomic_commit(&file);
}

/* ---- comparing ---- */

enum { MOST_NAMED = 4 };

/* What a rank did with collective n. The last one it was asked for may be another than the others'. */
typedef enum stage { NOT_ASKED, ASKED, BEGUN, ENDED } stage;
static const char *const stage_names[] = {"not asked for", "asked for", "begun", "ended"};

static stage stage_of(const lk_flight_position *p, int64_t n)
{
    return p->ended >= n ? ENDED : p->begun >= n ? BEGUN : p->asked >= n ? ASKED : NOT_ASKED;
}

/* Whether bucket and bytes of a position are those of collective n. */
static bool is_at(const lk_flight_position *p, int64_t n)
{
    return p->bucket >= 0 && n == (p->ended < p->asked ? p->ended + 1 : p->ended);
}

static bool differ(const lk_flight_position *a, const lk_flight_position *b, int64_t n)
{
    return stage_of(a, n) != stage_of(b, n) || (is_at(a, n) && is_at(b, n) && (a->bucket != b->bucket || a->bytes != b->bytes));
}

__attribute__((format(printf, 3, 4))) static void append(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + used, size - used, format, arguments);
    va_end(arguments);
}

/* "begun on rank 0", "ended on 12 ranks (0, 1, 2, 3 ...)" */
static void append_ranks(const int *ranks, const bool *named, int count, char *out, size_t size)
{
    int members = 0, written = 0;
    for (int i = 0; i < count; i++)
        members += named[i];
    if (members > 1)
        append(out, size, "%d ranks (", members);
    else
        append(out, size, "rank ");
    for (int i = 0; i < count && written < MOST_NAMED; i++)
        if (named[i])
            append(out, size, "%s%d", written++ ? ", " : "", ranks[i]);
    append(out, size, "%s%s", members > MOST_NAMED ? " ..." : "", members > 1 ? ")" : "");
}

static void append_content(const lk_flight_position *p, char *out, size_t size)
{
    append(out, size, " (bucket %" PRId64 ", %" PRId64 " bytes)", p->bucket, p->bytes);
}

/* What the ranks did with collective n: a part of the sentence for each group of ranks that did the same. */
static void append_groups(const lk_flight_position *positions, const int *ranks, int count, int64_t n, char *out, size_t size)
{
    bool *told = calloc((size_t)count, sizeof *told), *named = calloc((size_t)count, sizeof *named);
    const char *between = ": ";
    const lk_flight_position *known = NULL;
    bool alike = true;
    for (int i = 0; i < count; i++) {
        if (known && is_at(&positions[i], n))
            alike &= known->bucket == positions[i].bucket && known->bytes == positions[i].bytes;
        else if (is_at(&positions[i], n))
            known = &positions[i];
    }
    if (known && alike)
        append_content(known, out, size);
    for (int i = 0; i < count && told && named; i++) {
        if (told[i])
            continue;
        for (int k = 0; k < count; k++)
            if ((named[k] = k >= i && !told[k] && !differ(&positions[i], &positions[k], n)))
                told[k] = true;
        append(out, size, "%s%s on ", between, stage_names[stage_of(&positions[i], n)]);
        append_ranks(ranks, named, count, out, size);
        if (!alike && is_at(&positions[i], n))
            append_content(&positions[i], out, size);
        between = ", ";
    }
    free(told);
    free(named);
}

void lk_flight_compare(const lk_flight_position *positions, const int *ranks, int count, char *out, size_t size)
{
    int64_t ended = INT64_MAX, asked = 0;
    for (int i = 0; i < count; i++) {
        ended = positions[i].ended < ended ? positions[i].ended : ended;
        asked = positions[i].asked > asked ? positions[i].asked : asked;
    }
    out[0] = 0;
    for (int64_t n = ended + 1; n <= asked; n++)
        for (int i = 1; i < count; i++)
            if (differ(&positions[0], &positions[i], n)) {
                append(out, size, "the first collective that differs: %" PRId64, n);
                append_groups(positions, ranks, count, n, out, size);
                return;
            }
    if (asked > ended) {
        append(out, size, "no collective differs, the oldest under way: %" PRId64, ended + 1);
        append_groups(positions, ranks, count, ended + 1, out, size);
    } else if (asked > 0)
        append(out, size, "no collective differs, all that were asked for have ended: %" PRId64, asked);
}
