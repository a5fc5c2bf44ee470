#include "dataset/mirror.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct lk_mirror {
    int *partner;      /* [continuous_count] itself where nothing is swapped */
    bool *negated;     /* [continuous_count] */
    int *group;        /* [group_count] likewise */
    uint8_t **choices; /* [group_count][count of the group], NULL: as they are */
};

typedef struct reader {
    const lk_schema *schema;
    lk_mirror *mirror;
    const char *origin;
    lk_status refusal;
} reader;

static lk_status refuse(const reader *r, const lk_yaml_node *node, const char *problem)
{
    return lk_fail(r->refusal, "%s:%d: mirror: %s", r->origin, node->line, problem);
}

static bool is_pair(const lk_yaml_node *node)
{
    return node->kind == LK_YAML_LIST && node->count == 2 && node->items[0]->kind == LK_YAML_SCALAR &&
           node->items[1]->kind == LK_YAML_SCALAR && strcmp(node->items[0]->text, node->items[1]->text) != 0;
}

static bool same_choices(const lk_choice_group *a, const lk_choice_group *b)
{
    bool same = a->count == b->count;
    for (int k = 0; same && k < a->count; k++)
        same = strcmp(a->choices[k], b->choices[k]) == 0;
    return same;
}

/* Both ends of a pair must be free. */
static bool pair_up(int *partner, int a, int b)
{
    if (partner[a] != a || partner[b] != b)
        return false;
    partner[a] = b;
    partner[b] = a;
    return true;
}

static lk_status read_swap(reader *r, const lk_yaml_node *list)
{
    const lk_schema *s = r->schema;
    for (int i = 0; i < list->count; i++) {
        const lk_yaml_node *node = list->items[i];
        if (!is_pair(node))
            return refuse(r, node, "swap is a list of pairs of different names: [[left, right]]");
        const char *left = node->items[0]->text, *right = node->items[1]->text;
        int a = lk_schema_find_continuous(s, left), b = lk_schema_find_continuous(s, right);
        int g = lk_schema_find_group(s, left), h = lk_schema_find_group(s, right);
        if (a >= 0 && b >= 0) {
            if (s->continuous[a].min != s->continuous[b].min || s->continuous[a].max != s->continuous[b].max)
                return refuse(r, node, "the two parameters of a pair must have the same range");
            if (!pair_up(r->mirror->partner, a, b))
                return refuse(r, node, "a parameter stands in two pairs");
        } else if (g >= 0 && h >= 0) {
            if (!same_choices(&s->groups[g], &s->groups[h]))
                return refuse(r, node, "the two groups of a pair must have the same choices");
            if (!pair_up(r->mirror->group, g, h))
                return refuse(r, node, "a group stands in two pairs");
        } else {
            return refuse(r, node, "the schema has no two parameters, or two groups, of these names");
        }
    }
    return LK_OK;
}

static lk_status read_negate(reader *r, const lk_yaml_node *list)
{
    for (int i = 0; i < list->count; i++) {
        const lk_yaml_node *node = list->items[i];
        int a = node->kind == LK_YAML_SCALAR ? lk_schema_find_continuous(r->schema, node->text) : -1;
        if (a < 0)
            return refuse(r, node, "negate is a list of continuous parameters of the schema");
        r->mirror->negated[a] = true;
    }
    return LK_OK;
}

static lk_status read_choices(reader *r, const lk_yaml_node *map)
{
    for (int i = 0; i < map->count; i++) {
        const lk_yaml_node *pairs = map->items[i];
        int g = lk_schema_find_group(r->schema, pairs->key);
        if (g < 0 || pairs->kind != LK_YAML_LIST)
            return refuse(r, pairs, "choices names groups of the schema, each with a list of pairs: {hair: [[left, right]]}");
        const lk_choice_group *group = &r->schema->groups[g];
        uint8_t *swapped = r->mirror->choices[g] = malloc((size_t)group->count);
        if (!swapped)
            return lk_fail(LK_INTERNAL, "out of memory for the schema");
        for (int k = 0; k < group->count; k++)
            swapped[k] = (uint8_t)k;
        for (int p = 0; p < pairs->count; p++) {
            const lk_yaml_node *node = pairs->items[p];
            int a = is_pair(node) ? lk_choice_group_find(group, node->items[0]->text) : -1;
            int b = is_pair(node) ? lk_choice_group_find(group, node->items[1]->text) : -1;
            if (a < 0 || b < 0 || swapped[a] != a || swapped[b] != b)
                return refuse(r, node, "a pair is two different choices of the group, each in one pair");
            swapped[a] = (uint8_t)b;
            swapped[b] = (uint8_t)a;
        }
    }
    return LK_OK;
}

/* Mirrored twice, a face is what it was. */
static lk_status require_involution(const reader *r, const lk_yaml_node *node)
{
    const lk_mirror *m = r->mirror;
    for (int i = 0; i < r->schema->continuous_count; i++)
        if (m->negated[i] != m->negated[m->partner[i]])
            return refuse(r, node, "negate both parameters of a pair, or none");
    for (int g = 0; g < r->schema->group_count; g++)
        if (m->group[g] != g && m->choices[g])
            return refuse(r, node, "a group that changes places with another cannot have pairs of choices besides");
    return LK_OK;
}

static lk_status read_section(reader *r, const lk_yaml_node *node)
{
    if (node->kind != LK_YAML_MAP)
        return refuse(r, node, "it is a map of swap, negate and choices");
    for (int i = 0; i < node->count; i++) {
        const lk_yaml_node *part = node->items[i];
        if (strcmp(part->key, "swap") == 0 && part->kind == LK_YAML_LIST)
            LK_TRY(read_swap(r, part));
        else if (strcmp(part->key, "negate") == 0 && part->kind == LK_YAML_LIST)
            LK_TRY(read_negate(r, part));
        else if (strcmp(part->key, "choices") == 0 && part->kind == LK_YAML_MAP)
            LK_TRY(read_choices(r, part));
        else
            return refuse(r, part, "it has the lists swap and negate, and the map choices");
    }
    return require_involution(r, node);
}

lk_status lk_mirror_read(const lk_schema *schema, const lk_yaml_node *node, const char *origin, lk_status refusal,
                         lk_mirror **out)
{
    lk_mirror *m = calloc(1, sizeof *m);
    *out = m; /* the schema frees it, also after a failure */
    if (!m)
        return lk_fail(LK_INTERNAL, "out of memory for the schema");
    size_t nc = (size_t)schema->continuous_count, ng = (size_t)schema->group_count;
    m->partner = malloc(nc * sizeof *m->partner);
    m->negated = calloc(nc, sizeof *m->negated);
    m->group = malloc(ng * sizeof *m->group);
    m->choices = calloc(ng + 1, sizeof *m->choices);
    if (!m->partner || !m->negated || !m->group || !m->choices)
        return lk_fail(LK_INTERNAL, "out of memory for the schema");
    for (int i = 0; i < schema->continuous_count; i++)
        m->partner[i] = i;
    for (int g = 0; g < schema->group_count; g++)
        m->group[g] = g;
    reader r = {schema, m, origin, refusal};
    return read_section(&r, node);
}

void lk_mirror_free(lk_mirror *m, int group_count)
{
    if (!m)
        return;
    for (int g = 0; m->choices && g < group_count; g++)
        free(m->choices[g]);
    free(m->partner);
    free(m->negated);
    free(m->group);
    free(m->choices);
    free(m);
}

/* ---- canonical text ---- */

static void write_pair(FILE *out, const char *separator, const char *left, const char *right)
{
    fprintf(out, "%s[", separator);
    lk_schema_write_quoted(out, left);
    fputs(", ", out);
    lk_schema_write_quoted(out, right);
    fputc(']', out);
}

static void write_choices(const lk_schema *s, const lk_mirror *m, FILE *out)
{
    const char *between = "";
    fputs("  choices: {", out);
    for (int g = 0; g < s->group_count; g++) {
        if (!m->choices[g])
            continue;
        const lk_choice_group *group = &s->groups[g];
        fputs(between, out);
        lk_schema_write_quoted(out, group->name);
        fputs(": [", out);
        const char *separator = "";
        for (int k = 0; k < group->count; k++)
            if (m->choices[g][k] > k) {
                write_pair(out, separator, group->choices[k], group->choices[m->choices[g][k]]);
                separator = ", ";
            }
        fputc(']', out);
        between = ", ";
    }
    fputs("}\n", out);
}

void lk_mirror_write(const lk_schema *s, const lk_mirror *m, FILE *out)
{
    const char *separator = "";
    fputs("mirror:\n  swap: [", out);
    for (int i = 0; i < s->continuous_count; i++)
        if (m->partner[i] > i) {
            write_pair(out, separator, s->continuous[i].name, s->continuous[m->partner[i]].name);
            separator = ", ";
        }
    for (int g = 0; g < s->group_count; g++)
        if (m->group[g] > g) {
            write_pair(out, separator, s->groups[g].name, s->groups[m->group[g]].name);
            separator = ", ";
        }
    fputs("]\n  negate: [", out);
    separator = "";
    for (int i = 0; i < s->continuous_count; i++)
        if (m->negated[i]) {
            fputs(separator, out);
            lk_schema_write_quoted(out, s->continuous[i].name);
            separator = ", ";
        }
    fputs("]\n", out);
    write_choices(s, m, out);
}

/* ---- mirroring ---- */

void lk_schema_mirror_face(const lk_schema *s, float *continuous, uint8_t *discrete)
{
    const lk_mirror *m = s->mirror;
    if (!m)
        return;
    for (int i = 0; i < s->continuous_count; i++)
        if (m->partner[i] > i) {
            float kept = continuous[i];
            continuous[i] = continuous[m->partner[i]];
            continuous[m->partner[i]] = kept;
        }
    for (int i = 0; i < s->continuous_count; i++)
        if (m->negated[i])
            continuous[i] = 1 - continuous[i];
    for (int g = 0; g < s->group_count; g++)
        if (m->group[g] > g) {
            uint8_t kept = discrete[g];
            discrete[g] = discrete[m->group[g]];
            discrete[m->group[g]] = kept;
        }
    for (int g = 0; g < s->group_count; g++)
        if (m->choices[g])
            discrete[g] = m->choices[g][discrete[g]];
}
