#include "dataset/client/prior.h"

#include "base/random.h"
#include "configs/yaml.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_VARIABLES = 16, MOST_VALUES = 32, MOST_ROWS = 64, MOST_TRIES = 16 };

/* What is drawn of a person: a variable and its values. The names lie in the document. */
typedef struct variable {
    const char *name;
    int count;
    const char *values[MOST_VALUES];
    float weights[MOST_VALUES];
} variable;

typedef enum row_kind { ROW_NORMAL, ROW_UNIFORM, ROW_CHOICES, ROW_TIMES } row_kind;

typedef struct row {
    row_kind kind;
    uint32_t fits[MOST_VARIABLES]; /* the values with which it fits, a bit each */
    float a, b;                    /* middle and deviation, or low and high */
    float *weights;                /* [choices of the group] */
} row;

typedef struct rows {
    int count;
    row *items;
} rows;

struct lk_prior {
    const lk_schema *schema;
    lk_yaml *document;
    int variable_count;
    variable variables[MOST_VARIABLES];
    rows *continuous; /* [continuous_count] */
    rows *groups;     /* [group_count] */
};

/* ---- reading ---- */

static lk_status refuse(const lk_prior *p, const lk_yaml_node *node, const char *problem, const char *name)
{
    return lk_fail(LK_BAD_CONFIG, "%s:%d: %s '%.80s'", lk_yaml_origin(p->document), node->line, problem, name);
}

static lk_status read_number(const lk_prior *p, const lk_yaml_node *node, float low, float high, float *out)
{
    char *end = NULL;
    if (node->kind == LK_YAML_SCALAR && !node->quoted && node->text[0])
        *out = strtof(node->text, &end);
    if (!end || *end || !isfinite(*out) || *out < low || *out > high)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: a number from %g to %g is expected here", lk_yaml_origin(p->document), node->line,
                       (double)low, (double)high);
    return LK_OK;
}

static lk_status require_map(const lk_prior *p, const lk_yaml_node *node, const char *what)
{
    if (node->kind != LK_YAML_MAP || node->count < 1)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: %s is a map with at least one entry", lk_yaml_origin(p->document), node->line,
                       what);
    return LK_OK;
}

static lk_status require_some_weight(const lk_prior *p, const lk_yaml_node *node, const float *weights, int count)
{
    float total = 0;
    for (int i = 0; i < count; i++)
        total += weights[i];
    return total > 0 ? LK_OK : refuse(p, node, "no weight is above 0 in", node->key ? node->key : "this row");
}

static const float MOST_WEIGHT = 1e6f;

static lk_status read_person(lk_prior *p, const lk_yaml_node *person)
{
    LK_TRY(require_map(p, person, "person"));
    if (person->count > MOST_VARIABLES)
        return refuse(p, person, "more variables than 16 in", "person");
    for (int i = 0; i < person->count; i++) {
        const lk_yaml_node *node = person->items[i];
        variable *v = &p->variables[p->variable_count++];
        LK_TRY(require_map(p, node, "a person's variable"));
        if (node->count > MOST_VALUES)
            return refuse(p, node, "more values than 32 of", node->key);
        v->name = node->key;
        for (int k = 0; k < node->count; k++) {
            v->values[k] = node->items[k]->key;
            LK_TRY(read_number(p, node->items[k], 0, MOST_WEIGHT, &v->weights[k]));
        }
        v->count = node->count;
        LK_TRY(require_some_weight(p, node, v->weights, v->count));
    }
    return LK_OK;
}

static lk_status read_fit(const lk_prior *p, const variable *v, const lk_yaml_node *node, uint32_t *fits)
{
    if (node->kind == LK_YAML_LIST) {
        for (int i = 0; i < node->count; i++)
            LK_TRY(read_fit(p, v, node->items[i], fits));
        return LK_OK;
    }
    for (int k = 0; node->kind == LK_YAML_SCALAR && k < v->count; k++)
        if (strcmp(v->values[k], node->text) == 0) {
            *fits |= 1u << k;
            return LK_OK;
        }
    return refuse(p, node, "not a value of this variable:", node->kind == LK_YAML_SCALAR ? node->text : v->name);
}

static lk_status read_pair(const lk_prior *p, const lk_yaml_node *node, row *out)
{
    if (node->kind != LK_YAML_LIST || node->count != 2)
        return refuse(p, node, "two numbers in brackets are expected after", node->key);
    LK_TRY(read_number(p, node->items[0], 0, 1, &out->a));
    LK_TRY(read_number(p, node->items[1], 0, 1, &out->b));
    if (out->kind == ROW_UNIFORM && out->a > out->b)
        return refuse(p, node, "low is above high in", node->key);
    return LK_OK;
}

/* `absent`: the weight of a choice that is not named. */
static lk_status read_weights(const lk_prior *p, const lk_choice_group *group, const lk_yaml_node *node, float absent, row *out)
{
    /* No product of factors is 0, so that every person has some choice. */
    float lowest = out->kind == ROW_TIMES ? 1e-6f : 0;
    LK_TRY(require_map(p, node, "choices and times"));
    out->weights = malloc((size_t)group->count * sizeof *out->weights);
    if (!out->weights)
        return lk_fail(LK_INTERNAL, "out of memory for a prior");
    for (int c = 0; c < group->count; c++)
        out->weights[c] = absent;
    for (int i = 0; i < node->count; i++) {
        int choice = lk_choice_group_find(group, node->items[i]->key);
        if (choice < 0)
            return lk_fail(LK_BAD_CONFIG, "%s:%d: the group '%.80s' has no choice '%.80s'", lk_yaml_origin(p->document),
                           node->items[i]->line, group->name, node->items[i]->key);
        LK_TRY(read_number(p, node->items[i], lowest, MOST_WEIGHT, &out->weights[choice]));
    }
    return out->kind == ROW_CHOICES ? require_some_weight(p, node, out->weights, group->count) : LK_OK;
}

/* group: NULL for a continuous parameter. */
static lk_status read_row(const lk_prior *p, const lk_choice_group *group, const lk_yaml_node *node, row *out)
{
    static const char *const WORDS[] = {"normal", "uniform", "choices", "times"};
    bool drawn = false;
    LK_TRY(require_map(p, node, "a row"));
    for (int i = 0; i < node->count; i++) {
        const lk_yaml_node *item = node->items[i];
        int word = 0, v = 0;
        while (word < 4 && strcmp(WORDS[word], item->key) != 0)
            word++;
        while (v < p->variable_count && strcmp(p->variables[v].name, item->key) != 0)
            v++;
        if (v < p->variable_count) {
            LK_TRY(read_fit(p, &p->variables[v], item, &out->fits[v]));
            continue;
        }
        if (word == 4 || (word >= ROW_CHOICES) != (group != NULL) || drawn)
            return refuse(p, item,
                          group ? "a row has variables of person and one of choices, times; not"
                                : "a row has variables of person and one of normal, uniform; not",
                          item->key);
        drawn = true;
        out->kind = (row_kind)word;
        LK_TRY(group ? read_weights(p, group, item, word == ROW_TIMES, out) : read_pair(p, item, out));
    }
    if (!drawn)
        return refuse(p, node, "this row says not what is drawn: it needs", group ? "choices or times" : "normal or uniform");
    for (int v = 0; v < p->variable_count; v++)
        if (out->fits[v] == 0)
            out->fits[v] = UINT32_MAX;
    return LK_OK;
}

/* A list of rows, or one row. */
static lk_status read_rows(const lk_prior *p, const lk_choice_group *group, const lk_yaml_node *node, rows *out)
{
    bool list = node->kind == LK_YAML_LIST;
    int count = list ? node->count : 1;
    if (count < 1 || count > MOST_ROWS)
        return refuse(p, node, "1 to 64 rows are expected after", node->key);
    out->items = calloc((size_t)count, sizeof *out->items);
    if (!out->items)
        return lk_fail(LK_INTERNAL, "out of memory for a prior");
    out->count = count;
    for (int i = 0; i < count; i++)
        LK_TRY(read_row(p, group, list ? node->items[i] : node, &out->items[i]));
    return LK_OK;
}

static lk_status read_continuous(lk_prior *p, const lk_yaml_node *map)
{
    if (!map)
        return LK_OK;
    LK_TRY(require_map(p, map, "continuous"));
    const lk_yaml_node *standard = lk_yaml_find(map, "default");
    for (int i = 0; i < map->count; i++) {
        int parameter = lk_schema_find_continuous(p->schema, map->items[i]->key);
        if (map->items[i] == standard)
            continue;
        if (parameter < 0)
            return refuse(p, map->items[i], "the schema has no continuous parameter", map->items[i]->key);
        LK_TRY(read_rows(p, NULL, map->items[i], &p->continuous[parameter]));
    }
    for (int i = 0; standard && i < p->schema->continuous_count; i++)
        if (!p->continuous[i].items)
            LK_TRY(read_rows(p, NULL, standard, &p->continuous[i]));
    return LK_OK;
}

static lk_status read_discrete(lk_prior *p, const lk_yaml_node *map)
{
    if (!map)
        return LK_OK;
    LK_TRY(require_map(p, map, "discrete"));
    for (int i = 0; i < map->count; i++) {
        int group = lk_schema_find_group(p->schema, map->items[i]->key);
        if (group < 0)
            return refuse(p, map->items[i], "the schema has no group", map->items[i]->key);
        LK_TRY(read_rows(p, &p->schema->groups[group], map->items[i], &p->groups[group]));
    }
    return LK_OK;
}

static lk_status read_prior(lk_prior *p)
{
    static const char *const PARTS[] = {"person", "continuous", "discrete"};
    const lk_yaml_node *root = lk_yaml_root(p->document);
    LK_TRY(require_map(p, root, "a prior"));
    for (int i = 0; i < root->count; i++) {
        int part = 0;
        while (part < 3 && strcmp(PARTS[part], root->items[i]->key) != 0)
            part++;
        if (part == 3)
            return refuse(p, root->items[i], "a prior has person, continuous and discrete; not", root->items[i]->key);
    }
    const lk_yaml_node *person = lk_yaml_find(root, "person");
    if (person)
        LK_TRY(read_person(p, person));
    LK_TRY(read_continuous(p, lk_yaml_find(root, "continuous")));
    return read_discrete(p, lk_yaml_find(root, "discrete"));
}

/* Takes the document over. */
static lk_status make_prior(lk_yaml *document, const lk_schema *schema, lk_prior **out)
{
    *out = NULL;
    lk_prior *p = calloc(1, sizeof *p);
    if (!p) {
        lk_yaml_free(document);
        return lk_fail(LK_INTERNAL, "out of memory for a prior");
    }
    p->schema = schema;
    p->document = document;
    p->continuous = calloc((size_t)schema->continuous_count, sizeof *p->continuous);
    p->groups = calloc((size_t)schema->group_count, sizeof *p->groups);
    lk_status status =
        p->continuous && p->groups ? read_prior(p) : lk_fail(LK_INTERNAL, "out of memory for a prior of %s", schema->name);
    if (status != LK_OK) {
        lk_prior_free(p);
        return status;
    }
    *out = p;
    return LK_OK;
}

lk_status lk_prior_load(const char *path, const lk_schema *schema, lk_prior **out)
{
    lk_yaml *document = NULL;
    *out = NULL;
    LK_TRY(lk_yaml_load(path, &document));
    return make_prior(document, schema, out);
}

lk_status lk_prior_parse(const char *text, size_t size, const char *origin, const lk_schema *schema, lk_prior **out)
{
    lk_yaml *document = NULL;
    *out = NULL;
    LK_TRY(lk_yaml_parse(text, size, origin, &document));
    return make_prior(document, schema, out);
}

static void free_rows(rows *r)
{
    for (int i = 0; i < r->count; i++)
        free(r->items[i].weights);
    free(r->items);
}

void lk_prior_free(lk_prior *p)
{
    if (!p)
        return;
    for (int i = 0; p->continuous && i < p->schema->continuous_count; i++)
        free_rows(&p->continuous[i]);
    for (int g = 0; p->groups && g < p->schema->group_count; g++)
        free_rows(&p->groups[g]);
    free(p->continuous);
    free(p->groups);
    lk_yaml_free(p->document);
    free(p);
}

/* ---- drawing ---- */

/* One generator a purpose and item, so that a changed row leaves the other draws alone. */
enum { PURPOSE_PERSON = 0x70657273, PURPOSE_CONTINUOUS = 0x70636f6e, PURPOSE_DISCRETE = 0x70646973 };

static lk_random generator(uint64_t seed, uint64_t index, uint64_t purpose, int item)
{
    return lk_random_make(lk_random_mix(lk_random_mix(seed, purpose), (uint64_t)item), index);
}

static int draw_weighted(lk_random *random, int count, const float *weights)
{
    float total = 0;
    for (int i = 0; i < count; i++)
        total += weights[i];
    float left = lk_random_uniform(random) * total;
    int last = 0;
    for (int i = 0; i < count; i++) {
        if (weights[i] <= 0)
            continue;
        last = i;
        if (left < weights[i])
            break;
        left -= weights[i];
    }
    return last;
}

static bool fits(const lk_prior *p, const row *r, const int *person)
{
    for (int v = 0; v < p->variable_count; v++)
        if (!(r->fits[v] >> person[v] & 1))
            return false;
    return true;
}

/* Normal draws outside of the range are drawn again, so that nothing heaps up at its ends. */
static float draw_continuous(const lk_prior *p, const rows *list, const int *person, lk_random *random)
{
    const row *r = NULL;
    for (int i = 0; !r && i < list->count; i++)
        if (fits(p, &list->items[i], person))
            r = &list->items[i];
    if (!r)
        return lk_random_uniform(random);
    if (r->kind == ROW_UNIFORM)
        return lk_random_range(random, r->a, r->b);
    float value = r->a;
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        value = r->a + r->b * lk_random_normal(random);
        if (value >= 0 && value <= 1)
            return value;
    }
    return value < 0 ? 0 : 1;
}

static int draw_choice(const lk_prior *p, const rows *list, int count, const int *person, lk_random *random)
{
    float weights[LK_MAX_CHOICES];
    const row *base = NULL;
    for (int c = 0; c < count; c++)
        weights[c] = 1;
    for (int i = 0; i < list->count; i++) {
        const row *r = &list->items[i];
        if (!fits(p, r, person) || (r->kind == ROW_CHOICES && base))
            continue;
        if (r->kind == ROW_CHOICES)
            base = r;
        for (int c = 0; c < count; c++)
            weights[c] *= r->weights[c];
    }
    return draw_weighted(random, count, weights);
}

void lk_prior_draw(const lk_prior *p, uint64_t seed, uint64_t index, float *continuous, uint8_t *discrete)
{
    int person[MOST_VARIABLES] = {0};
    for (int v = 0; v < p->variable_count; v++) {
        lk_random random = generator(seed, index, PURPOSE_PERSON, v);
        person[v] = draw_weighted(&random, p->variables[v].count, p->variables[v].weights);
    }
    for (int i = 0; i < p->schema->continuous_count; i++) {
        lk_random random = generator(seed, index, PURPOSE_CONTINUOUS, i);
        continuous[i] = draw_continuous(p, &p->continuous[i], person, &random);
    }
    for (int g = 0; g < p->schema->group_count; g++) {
        lk_random random = generator(seed, index, PURPOSE_DISCRETE, g);
        discrete[g] = (uint8_t)draw_choice(p, &p->groups[g], p->schema->groups[g].count, person, &random);
    }
}
