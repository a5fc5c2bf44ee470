#include "dataset/pack/tally.h"

#include "base/file.h"
#include "dataset/pack/names.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_REASONS = 64, PRINTED_NAMES = 5 };

typedef struct reason {
    char text[64];
    int64_t count;
    json_t *names; /* [{"name", "detail"}], the first LK_REPORT_NAMES */
} reason;

typedef struct spread {
    double sum, squares, low, high; /* in [0,1] */
} spread;

struct lk_pack_report {
    const lk_schema *schema;
    lk_atomic_file log;
    bool log_open;
    reason reasons[MAX_REASONS];
    int reason_count;
    int64_t taken[LK_MAX_PARTS];
    spread *spreads;  /* [continuous_count] */
    int64_t *choices; /* [choice_count] */
};

lk_status lk_pack_report_create(const lk_schema *schema, lk_pack_report **out)
{
    *out = NULL;
    lk_pack_report *r = calloc(1, sizeof *r);
    if (!r)
        return lk_fail(LK_INTERNAL, "out of memory for the report");
    r->schema = schema;
    r->spreads = calloc((size_t)schema->continuous_count, sizeof *r->spreads);
    r->choices = calloc((size_t)schema->choice_count, sizeof *r->choices);
    if (!r->spreads || !r->choices) {
        lk_pack_report_free(r);
        return lk_fail(LK_INTERNAL, "out of memory for the report");
    }
    for (int i = 0; i < schema->continuous_count; i++)
        r->spreads[i] = (spread){0, 0, INFINITY, -INFINITY};
    *out = r;
    return LK_OK;
}

lk_status lk_pack_report_begin(lk_pack_report *r, const char *folder)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, "rejected.jsonl"));
    LK_TRY(lk_atomic_open(&r->log, path));
    r->log_open = true;
    return LK_OK;
}

void lk_pack_report_free(lk_pack_report *r)
{
    if (!r)
        return;
    if (r->log_open)
        lk_atomic_abort(&r->log);
    for (int i = 0; i < r->reason_count; i++)
        json_decref(r->reasons[i].names);
    free(r->spreads);
    free(r->choices);
    free(r);
}

static reason *find_reason(lk_pack_report *r, const char *text)
{
    for (int i = 0; i < r->reason_count; i++)
        if (strcmp(r->reasons[i].text, text) == 0)
            return &r->reasons[i];
    if (r->reason_count == MAX_REASONS)
        return NULL;
    reason *made = &r->reasons[r->reason_count];
    snprintf(made->text, sizeof made->text, "%s", text);
    made->names = json_array();
    if (!made->names)
        return NULL;
    r->reason_count++;
    return made;
}

lk_status lk_pack_report_refuse(lk_pack_report *r, const char *text, const char *name, const char *detail)
{
    char shown[LK_SHOWN_NAME], shown_detail[LK_ERROR_SIZE];
    lk_name_show(name, shown, sizeof shown);
    lk_name_show(detail ? detail : "", shown_detail, sizeof shown_detail);
    reason *why = find_reason(r, text);
    json_t *item = why ? json_pack("{s:s, s:s}", "name", shown, "detail", shown_detail) : NULL;
    json_t *line = item ? json_pack("{s:s, s:O, s:O}", "reason", text, "name", json_object_get(item, "name"), "detail",
                                    json_object_get(item, "detail"))
                        : NULL;
    if (!line) {
        json_decref(item);
        return lk_fail(LK_INTERNAL, "out of memory for the report");
    }
    json_dumpf(line, r->log.stream, JSON_COMPACT | JSON_PRESERVE_ORDER); /* errors stay in the stream until the commit */
    fputc('\n', r->log.stream);
    json_decref(line);
    int failed = 0;
    if (why->count++ < LK_REPORT_NAMES)
        failed = json_array_append(why->names, item);
    json_decref(item);
    return failed ? lk_fail(LK_INTERNAL, "out of memory for the report") : LK_OK;
}

void lk_pack_report_take(lk_pack_report *r, int part, const float *continuous, const uint8_t *discrete)
{
    r->taken[part]++;
    for (int i = 0; i < r->schema->continuous_count; i++) {
        spread *s = &r->spreads[i];
        s->sum += continuous[i];
        s->squares += (double)continuous[i] * continuous[i];
        s->low = fmin(s->low, continuous[i]);
        s->high = fmax(s->high, continuous[i]);
    }
    int64_t *counts = r->choices;
    for (int g = 0; g < r->schema->group_count; counts += r->schema->groups[g].count, g++)
        counts[discrete[g]]++;
}

int64_t lk_pack_report_taken(const lk_pack_report *r)
{
    int64_t sum = 0;
    for (int i = 0; i < LK_MAX_PARTS; i++)
        sum += r->taken[i];
    return sum;
}

int64_t lk_pack_report_refused(const lk_pack_report *r)
{
    int64_t sum = 0;
    for (int i = 0; i < r->reason_count; i++)
        sum += r->reasons[i].count;
    return sum;
}

/* ---- as JSON ---- */

static json_t *continuous_json(const lk_pack_report *r)
{
    json_t *list = json_array();
    double n = (double)lk_pack_report_taken(r);
    for (int i = 0; i < r->schema->continuous_count && n > 0; i++) {
        const spread *s = &r->spreads[i];
        const lk_continuous *c = &r->schema->continuous[i];
        double span = (double)c->max - c->min, mean = s->sum / n, variance = s->squares / n - mean * mean;
        json_array_append_new(list, json_pack("{s:s, s:f, s:f, s:f, s:f}", "name", c->name, "mean", c->min + span * mean, "std",
                                              span * sqrt(fmax(variance, 0)), "min", c->min + span * s->low, "max",
                                              c->min + span * s->high));
    }
    return list;
}

static json_t *discrete_json(const lk_pack_report *r)
{
    json_t *groups = json_object();
    const int64_t *counts = r->choices;
    for (int g = 0; g < r->schema->group_count; counts += r->schema->groups[g].count, g++) {
        json_t *choices = json_object();
        for (int k = 0; k < r->schema->groups[g].count; k++)
            json_object_set_new(choices, r->schema->groups[g].choices[k], json_integer(counts[k]));
        json_object_set_new(groups, r->schema->groups[g].name, choices);
    }
    return groups;
}

lk_status lk_pack_report_json(const lk_pack_report *r, json_t **out)
{
    json_t *refused = json_object();
    for (int i = 0; i < r->reason_count; i++)
        json_object_set_new(refused, r->reasons[i].text,
                            json_pack("{s:I, s:O}", "count", (json_int_t)r->reasons[i].count, "names", r->reasons[i].names));
    *out = json_pack("{s:I, s:I, s:o, s:o, s:o}", "taken", (json_int_t)lk_pack_report_taken(r), "refused",
                     (json_int_t)lk_pack_report_refused(r), "reasons", refused, "continuous", continuous_json(r), "discrete",
                     discrete_json(r));
    return *out ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the report");
}

/* ---- for people ---- */

static void print_choices(const lk_pack_report *r)
{
    const int64_t *counts = r->choices;
    for (int g = 0; g < r->schema->group_count; counts += r->schema->groups[g].count, g++) {
        printf("  %s:", r->schema->groups[g].name);
        for (int k = 0; k < r->schema->groups[g].count; k++)
            printf("%s %s %lld", k ? "," : "", r->schema->groups[g].choices[k], (long long)counts[k]);
        putchar('\n');
    }
}

static void print_unusual(const lk_pack_report *r)
{
    double n = (double)lk_pack_report_taken(r);
    for (int i = 0; i < r->schema->continuous_count && n > 1; i++)
        if (r->spreads[i].low == r->spreads[i].high)
            printf("  note: '%s' has the same value in every sample; nothing can be learned about it\n",
                   r->schema->continuous[i].name);
}

void lk_pack_report_print(const lk_pack_report *r, const char *const *part_names, int part_count)
{
    printf("taken: %lld", (long long)lk_pack_report_taken(r));
    for (int i = 0; part_count > 1 && i < part_count; i++)
        printf("%s%s %lld", i ? ", " : " (", part_names[i], (long long)r->taken[i]);
    printf("%s\nnot taken: %lld\n", part_count > 1 ? ")" : "", (long long)lk_pack_report_refused(r));
    for (int i = 0; i < r->reason_count; i++) {
        const reason *why = &r->reasons[i];
        printf("  %lld %s:", (long long)why->count, why->text);
        size_t shown = json_array_size(why->names) < PRINTED_NAMES ? json_array_size(why->names) : PRINTED_NAMES;
        for (size_t k = 0; k < shown; k++)
            printf("%s %s", k ? "," : "", json_string_value(json_object_get(json_array_get(why->names, k), "name")));
        if (why->count > (int64_t)shown)
            printf(" and %lld more", (long long)(why->count - (int64_t)shown));
        char detail[LK_SHOWN_NAME];
        lk_name_show(json_string_value(json_object_get(json_array_get(why->names, 0), "detail")), detail, sizeof detail);
        if (detail[0])
            printf("; the first: %s", detail);
        putchar('\n');
    }
    if (lk_pack_report_taken(r) > 0) {
        puts("choices:");
        print_choices(r);
        print_unusual(r);
    }
}

lk_status lk_pack_report_finish(lk_pack_report *r)
{
    r->log_open = false;
    return lk_atomic_commit(&r->log);
}
