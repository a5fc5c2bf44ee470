/* likeness sweep plan (sweep.h): a sweep's file into its points, each a run folder with a resolved configuration.
 * launch/sweep starts them.
 *
 *     base: configs/demo.yaml                 # what all points have in common
 *     dir: runs/sweep-lambda                  # a folder for each point in it
 *     set: {train.epochs: 10}                 # over the base, for all points
 *     grid: {loss.lambda: [1, 2, 4]}          # every combination of the values of these keys
 *     points: [{optimizer.lr: 1e-3, model.encoder.width: 0.5}, ...]   # keys that change together; times the grid
 *     seeds: [1, 2]                           # times these
 *     at_once: 3                              # so many run at a time
 *     halving: {first_epoch: 2, keep: 0.5}    # stop points that fall behind (likeness sweep halving)
 */
#include "base/file.h"
#include "configs/config.h"
#include "configs/yaml.h"
#include "launch/command/sweep.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plan_values {
    lk_set_list sets;
    bool dry_run;
} plan_values;

static const lk_option option_table[] = {
    LK_SET_OPTION(plan_values, sets),
    {LK_OPTION_FLAG, "dry-run", NULL, "check and print, make nothing", LK_TARGET(plan_values, dry_run)},
    {0}};

enum { MOST_SETS = 128, MOST_AXES = 16, MOST_POINTS = 10000, SET_SIZE = 1024, NAME_SIZE = 200 };

/* One key, or the list of points, with the values it goes through. */
typedef struct axis {
    const char *key; /* NULL: each value is a map of keys */
    const lk_yaml_node *values;
} axis;

typedef struct sweep {
    const char *file;
    const char *base, *folder;
    const lk_yaml_node *set;
    axis axes[MOST_AXES];
    int axis_count;
    int64_t points, at_once;
    double first_epoch, keep; /* of halving; first_epoch 0: none */
    const plan_values *user;
} sweep;

/* ---- the file ---- */

static lk_status refuse(const sweep *s, const lk_yaml_node *node, const char *why)
{
    return lk_fail(LK_BAD_CONFIG, "%s:%d: key '%s': %s", s->file, node->line, node->key ? node->key : "", why);
}

static lk_status read_text(const sweep *s, const lk_yaml_node *root, const char *key, const char **out)
{
    const lk_yaml_node *node = lk_yaml_find(root, key);
    if (!node)
        return lk_fail(LK_BAD_CONFIG, "%s: key '%s' must be given", s->file, key);
    if (node->kind != LK_YAML_SCALAR || node->text[0] == '\0')
        return refuse(s, node, "is not a path");
    *out = node->text;
    return LK_OK;
}

static lk_status read_number(const sweep *s, const lk_yaml_node *node, double low, double high, double *out)
{
    char *end = NULL;
    double value = node->kind == LK_YAML_SCALAR ? strtod(node->text, &end) : 0;
    if (!end || end == node->text || *end || !(value >= low && value <= high)) {
        char why[80];
        snprintf(why, sizeof why, "is not a number from %g to %g", low, high);
        return refuse(s, node, why);
    }
    *out = value;
    return LK_OK;
}

static lk_status add_axis(sweep *s, const char *key, const lk_yaml_node *values)
{
    if (values->kind != LK_YAML_LIST || values->count == 0)
        return refuse(s, values, "is not a list of values");
    if (s->axis_count == MOST_AXES)
        return refuse(s, values, "one key too many for a sweep");
    s->axes[s->axis_count++] = (axis){key, values};
    s->points *= values->count;
    if (s->points > MOST_POINTS)
        return refuse(s, values, "the sweep would have more than 10000 points");
    return LK_OK;
}

static lk_status read_grid(sweep *s, const lk_yaml_node *grid)
{
    if (grid->kind != LK_YAML_MAP)
        return refuse(s, grid, "is not a map of keys to lists of values");
    for (int i = 0; i < grid->count; i++)
        LK_TRY(add_axis(s, grid->items[i]->key, grid->items[i]));
    return LK_OK;
}

static lk_status read_points(sweep *s, const lk_yaml_node *points)
{
    LK_TRY(add_axis(s, NULL, points));
    for (int i = 0; i < points->count; i++)
        if (points->items[i]->kind != LK_YAML_MAP)
            return refuse(s, points, "is not a list of maps of keys to values");
    return LK_OK;
}

static lk_status read_halving(sweep *s, const lk_yaml_node *halving)
{
    if (halving->kind != LK_YAML_MAP)
        return refuse(s, halving, "is not {first_epoch: N, keep: SHARE}");
    s->first_epoch = 1;
    s->keep = 0.5;
    for (int i = 0; i < halving->count; i++) {
        const lk_yaml_node *item = halving->items[i];
        if (strcmp(item->key, "first_epoch") == 0)
            LK_TRY(read_number(s, item, 1, 1e6, &s->first_epoch));
        else if (strcmp(item->key, "keep") == 0)
            LK_TRY(read_number(s, item, 0.05, 0.95, &s->keep));
        else
            return refuse(s, item, "there is no such key; halving has first_epoch and keep");
    }
    return LK_OK;
}

static lk_status read_sweep(sweep *s, const lk_yaml_node *root)
{
    static const char *const known[] = {"base", "dir", "set", "grid", "points", "seeds", "at_once", "halving"};
    if (root->kind != LK_YAML_MAP)
        return lk_fail(LK_BAD_CONFIG, "%s: is not a sweep; write base, dir, grid, seeds", s->file);
    for (int i = 0; i < root->count; i++) {
        bool found = false;
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            found |= strcmp(root->items[i]->key, known[k]) == 0;
        if (!found)
            return refuse(s, root->items[i],
                          "there is no such key; a sweep has base, dir, set, grid, points, seeds, at_once, halving");
    }
    LK_TRY(read_text(s, root, "base", &s->base));
    LK_TRY(read_text(s, root, "dir", &s->folder));
    const lk_yaml_node *seeds = lk_yaml_find(root, "seeds"), *points = lk_yaml_find(root, "points");
    const lk_yaml_node *grid = lk_yaml_find(root, "grid"), *at_once = lk_yaml_find(root, "at_once");
    const lk_yaml_node *halving = lk_yaml_find(root, "halving");
    s->set = lk_yaml_find(root, "set");
    if (s->set && s->set->kind != LK_YAML_MAP)
        return refuse(s, s->set, "is not a map of keys to values");
    /* The last axis changes fastest: all values of the first seed come before the second seed. */
    s->points = 1;
    if (seeds)
        LK_TRY(add_axis(s, "run.seed", seeds));
    if (points)
        LK_TRY(read_points(s, points));
    if (grid)
        LK_TRY(read_grid(s, grid));
    if (halving)
        LK_TRY(read_halving(s, halving));
    double number = 0; /* no limit */
    if (at_once)
        LK_TRY(read_number(s, at_once, 1, MOST_POINTS, &number));
    s->at_once = (int64_t)number;
    return LK_OK;
}

/* ---- a point ---- */

/* What makes a point: "key=value" texts for lk_config_load, and its name. */
typedef struct point {
    char texts[MOST_SETS][SET_SIZE];
    const char *sets[MOST_SETS];
    int count;
    char name[NAME_SIZE];
} point;

static void write_scalar(FILE *out, const lk_yaml_node *node)
{
    if (!node->quoted) {
        fputs(node->text, out);
        return;
    }
    fputc('"', out);
    for (const char *c = node->text; *c; c++)
        fprintf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    fputc('"', out);
}

static lk_status add_set(const sweep *s, point *p, const char *key, const lk_yaml_node *value)
{
    if (p->count == MOST_SETS || value->kind == LK_YAML_MAP)
        return refuse(s, value, value->kind == LK_YAML_MAP ? "write keys with dots, as loss.lambda" : "too many keys");
    char *text = p->texts[p->count];
    FILE *out = fmemopen(text, SET_SIZE, "w");
    if (!out)
        return lk_fail(LK_INTERNAL, "%s: out of memory", s->file);
    fprintf(out, "%s=%s", key, value->kind == LK_YAML_LIST ? "[" : "");
    for (int i = 0; value->kind == LK_YAML_LIST && i < value->count; i++) {
        fputs(i ? ", " : "", out);
        write_scalar(out, value->items[i]);
    }
    if (value->kind == LK_YAML_SCALAR)
        write_scalar(out, value);
    fputs(value->kind == LK_YAML_LIST ? "]" : "", out);
    bool whole = ftell(out) < SET_SIZE - 1;
    if (fclose(out) != 0 || !whole)
        return refuse(s, value, "the value is too long");
    p->sets[p->count++] = text;
    return LK_OK;
}

/* "loss.lambda=0.5" adds "lambda-0.5" to the name; characters that are awkward in paths are "_". */
static lk_status add_to_name(const sweep *s, point *p, const char *set)
{
    const char *equals = strchr(set, '=');
    const char *start = equals;
    while (start > set && start[-1] != '.')
        start--;
    size_t used = strlen(p->name);
    int more =
        snprintf(p->name + used, sizeof p->name - used, "%s%.*s-%s", used ? "-" : "", (int)(equals - start), start, equals + 1);
    if (used + (size_t)more >= sizeof p->name)
        return lk_fail(LK_BAD_CONFIG, "%s: the name of a point would be too long: %s...", s->file, p->name);
    for (char *c = p->name + used; *c; c++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-+_", *c))
            *c = '_';
    return LK_OK;
}

static lk_status add_varied(const sweep *s, point *p, const char *key, const lk_yaml_node *value)
{
    LK_TRY(add_set(s, p, key, value));
    return add_to_name(s, p, p->sets[p->count - 1]);
}

/* The axes in the file's order of reading but for the seed, which stands first there and last in the name. */
static lk_status add_axis_values(const sweep *s, const int *chosen, point *p)
{
    int seed = s->axis_count > 0 && s->axes[0].key && strcmp(s->axes[0].key, "run.seed") == 0;
    for (int i = 0; i < s->axis_count; i++) {
        int a = (i + seed) % s->axis_count;
        const lk_yaml_node *value = s->axes[a].values->items[chosen[a]];
        if (s->axes[a].key)
            LK_TRY(add_varied(s, p, s->axes[a].key, value));
        for (int k = 0; !s->axes[a].key && k < value->count; k++)
            LK_TRY(add_varied(s, p, value->items[k]->key, value->items[k]));
    }
    return LK_OK;
}

static lk_status describe_point(const sweep *s, int64_t index, point *p)
{
    int chosen[MOST_AXES] = {0};
    for (int a = s->axis_count - 1; a >= 0; a--) {
        chosen[a] = (int)(index % s->axes[a].values->count);
        index /= s->axes[a].values->count;
    }
    p->count = 0;
    p->name[0] = '\0';
    for (int i = 0; s->set && i < s->set->count; i++)
        LK_TRY(add_set(s, p, s->set->items[i]->key, s->set->items[i]));
    for (int i = 0; i < s->user->sets.count && p->count < MOST_SETS; i++)
        p->sets[p->count++] = s->user->sets.items[i];
    LK_TRY(add_axis_values(s, chosen, p));
    if (p->name[0] == '\0')
        snprintf(p->name, sizeof p->name, "base");
    if (p->count == MOST_SETS)
        return lk_fail(LK_BAD_CONFIG, "%s: too many keys are set", s->file);
    int used = snprintf(p->texts[p->count], SET_SIZE, "run.dir=%s/%s", s->folder, p->name);
    if (used >= SET_SIZE)
        return lk_fail(LK_BAD_CONFIG, "%s: key 'dir': the path is too long", s->file);
    p->sets[p->count] = p->texts[p->count];
    p->count++;
    return LK_OK;
}

/* ---- its folder ---- */

/* A point that was begun must be the same point: its results would be taken for those of the new one. */
static lk_status check_existing(const char *path, const lk_config *now)
{
    char metrics[LK_PATH_SIZE];
    lk_config *saved;
    LK_TRY(lk_path_join(metrics, now->run.dir, "metrics.jsonl"));
    lk_path_kind begun, known;
    LK_TRY(lk_path_look(path, &known));
    LK_TRY(lk_path_look(metrics, &begun));
    if (known == LK_ABSENT || begun == LK_ABSENT)
        return LK_OK;
    LK_TRY(lk_config_load(path, NULL, 0, &saved));
    lk_status status = lk_config_compare(saved, now);
    lk_config_free(saved);
    return status == LK_OK ? LK_OK : lk_fail_in(status, "%s: this point was made with another configuration", path);
}

static lk_status write_point(const sweep *s, const point *p)
{
    char path[LK_PATH_SIZE];
    char *yaml = NULL;
    lk_config *config = NULL;
    LK_TRY(lk_config_load(s->base, p->sets, p->count, &config));
    lk_status status;
    LK_TRY_OR(done, lk_path_join(path, config->run.dir, "config.yaml"));
    LK_TRY_OR(done, check_existing(path, config));
    if (!s->user->dry_run) {
        LK_TRY_OR(done, lk_make_folder(config->run.dir));
        LK_TRY_OR(done, lk_config_to_yaml(config, &yaml));
        LK_TRY_OR(done, lk_write_file(path, yaml, strlen(yaml)));
    }
    printf("point %s\n", config->run.dir);
done:
    free(yaml);
    lk_config_free(config);
    return status;
}

static lk_status refuse_same_names(const sweep *s, char (*names)[NAME_SIZE], int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (strcmp(names[i], names[count]) == 0)
            return lk_fail(LK_BAD_CONFIG, "%s: two points are called %s; a value stands there twice", s->file, names[count]);
    return LK_OK;
}

static lk_status write_points(const sweep *s)
{
    point *p = calloc(1, sizeof *p);
    char(*names)[NAME_SIZE] = calloc((size_t)s->points, sizeof *names);
    lk_status status = p && names ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", s->file);
    for (int64_t i = 0; status == LK_OK && i < s->points; i++) {
        LK_TRY_OR(done, describe_point(s, i, p));
        memcpy(names[i], p->name, NAME_SIZE);
        LK_TRY_OR(done, refuse_same_names(s, names, i));
        LK_TRY_OR(done, write_point(s, p));
    }
done:
    free(names);
    free(p);
    return status;
}

static lk_status plan(sweep *s)
{
    lk_yaml *document;
    LK_TRY(lk_yaml_load(s->file, &document));
    lk_status status = read_sweep(s, lk_yaml_root(document));
    if (status == LK_OK) {
        printf("dir %s\nat_once %lld\n", s->folder, (long long)s->at_once);
        if (s->first_epoch > 0)
            printf("halving %g %g\n", s->first_epoch, s->keep);
        status = write_points(s);
    }
    lk_yaml_free(document);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    sweep s = {.file = arguments[0], .user = values};
    LK_TRY(plan(&s));
    return fflush(stdout) == 0 ? LK_OK : lk_fail(LK_IO, "plan: cannot write the result");
}

const lk_command lk_sweep_plan = {
    .name = "sweep plan",
    .summary = "makes the folders and configurations of a sweep's points",
    .usage = "SWEEP.yaml [--set KEY=VALUE ...] [--dry-run]",
    .about =
        "Makes a folder with a resolved config.yaml for every point of a sweep, and prints what launch/sweep needs to start\n"
        "them: lines of 'dir FOLDER', 'at_once N', 'halving FIRST_EPOCH KEEP' and 'point FOLDER'. Points that are there already\n"
        "stay. --set is over the base configuration, for all points.",
    .options = option_table,
    .size = sizeof(plan_values),
    .takes = "one sweep file",
    .least = 1,
    .most = 1,
    .run = run};
