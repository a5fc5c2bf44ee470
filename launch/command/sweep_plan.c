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
#include "base/hash.h"
#include "configs/config.h"
#include "configs/yaml.h"
#include "launch/command/sweep.h"
#include "trainer/record/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

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
    int varied; /* those before it are the same for all points */
    char name[NAME_SIZE];
} point;

static void write_quoted(FILE *out, const char *text)
{
    fputc('"', out);
    for (const char *c = text; *c; c++)
        fprintf(out, "%s%c", *c == '"' || *c == '\\' ? "\\" : "", *c);
    fputc('"', out);
}

/* On one line: a list in brackets, a map in braces (data.train has lists of {path, share}). */
static void write_value(FILE *out, const lk_yaml_node *node)
{
    bool list = node->kind == LK_YAML_LIST;
    if (node->kind == LK_YAML_SCALAR && node->quoted)
        write_quoted(out, node->text);
    else if (node->kind == LK_YAML_SCALAR)
        fputs(node->text, out);
    if (node->kind == LK_YAML_SCALAR)
        return;
    fputs(list ? "[" : "{", out);
    for (int i = 0; i < node->count; i++) {
        fputs(i ? ", " : "", out);
        if (!list) {
            write_quoted(out, node->items[i]->key);
            fputs(": ", out);
        }
        write_value(out, node->items[i]);
    }
    fputs(list ? "]" : "}", out);
}

static lk_status add_set(const sweep *s, point *p, const char *key, const lk_yaml_node *value)
{
    if (strcmp(key, "run.dir") == 0)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: key 'run.dir': each point has its own, in the folder 'dir'", s->file, value->line);
    if (p->count == MOST_SETS || value->kind == LK_YAML_MAP)
        return refuse(s, value, value->kind == LK_YAML_MAP ? "write keys with dots, as loss.lambda" : "too many keys");
    char *text = p->texts[p->count];
    FILE *out = fmemopen(text, SET_SIZE, "w");
    if (!out)
        return lk_fail(LK_INTERNAL, "%s: out of memory", s->file);
    fprintf(out, "%s=", key);
    write_value(out, value);
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

static bool sets_key(const char *set, const char *key)
{
    size_t length = strlen(key);
    return strncmp(set, key, length) == 0 && set[length] == '=';
}

static lk_status add_varied(const sweep *s, point *p, const char *key, const lk_yaml_node *value)
{
    for (int i = 0; i < s->user->sets.count; i++)
        if (sets_key(s->user->sets.items[i], key))
            return lk_fail(LK_USAGE,
                           "sweep plan: --set %s: %s:%d varies this key over its points; leave the --set out, or change the file",
                           key, s->file, value->line);
    for (int i = p->varied; i < p->count; i++)
        if (sets_key(p->sets[i], key))
            return lk_fail(LK_BAD_CONFIG, "%s:%d: key '%s': varies twice (grid, points, seeds); keep one of them", s->file,
                           value->line, key);
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
    p->varied = p->count;
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
    lk_config *saved;
    lk_path_kind known;
    bool begun = false;
    LK_TRY(lk_path_look(path, &known));
    LK_TRY(lk_run_is_begun(now->run.dir, &begun));
    if (known == LK_ABSENT || !begun)
        return LK_OK;
    LK_TRY(lk_config_load(path, NULL, 0, &saved));
    lk_status status = lk_config_compare(saved, now);
    lk_config_free(saved);
    return status == LK_OK ? LK_OK : lk_fail_in(status, "%s: this point was made with another configuration", path);
}

/* The lock of a run's folder, as launch/job/functions.sh takes it; *fd is for close(), -1 where there is no lock file and none is
 * made. A file system without locks has none. */
static lk_status take_lock(const char *run, bool make, int *fd)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, run, "job/lock"));
    *fd = open(path, O_RDWR | O_CLOEXEC | (make ? O_CREAT : 0), 0666);
    if (*fd < 0)
        return !make && lk_means_absent(errno) ? LK_OK : lk_fail_io("open", path, errno, 0);
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return LK_OK;
    close(*fd);
    return lk_fail(LK_USAGE, "%s: another launcher works on this point; end that one first", run);
}

/* Every point is loaded from the base: one that replaced it would change those after it. */
static lk_status keep_base(const sweep *s, const char *run)
{
    static const char *const written[] = {"config.yaml", "job/config.yaml"};
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        char path[LK_PATH_SIZE];
        bool same;
        LK_TRY(lk_path_join(path, run, written[i]));
        LK_TRY(lk_path_same(path, s->base, &same));
        if (same)
            return lk_fail(LK_BAD_CONFIG, "%s: key 'base': %s is written for a point of this sweep; copy it and name the copy",
                           s->file, s->base);
    }
    return LK_OK;
}

/* All that may refuse a point, before anything is made of any. */
static lk_status check_point(const sweep *s, const lk_config *config)
{
    char path[LK_PATH_SIZE];
    bool done = false;
    int lock = -1;
    LK_TRY(lk_path_join(path, config->run.dir, "config.yaml"));
    LK_TRY(keep_base(s, config->run.dir));
    LK_TRY(check_existing(path, config));
    LK_TRY(lk_run_is_done(config->run.dir, &done));
    if (s->user->dry_run || done)
        return LK_OK;
    LK_TRY(take_lock(config->run.dir, false, &lock));
    if (lock >= 0)
        close(lock);
    return LK_OK;
}

/* job/config.yaml is what the next start is asked to do. config.yaml says what was trained: it is the trainer's once a run is
 * begun, and shows the point to reports before. */
static lk_status write_configuration(const lk_config *config, const char *path)
{
    char asked[LK_PATH_SIZE];
    char *yaml = NULL;
    LK_TRY(lk_path_join(asked, config->run.dir, "job/config.yaml"));
    LK_TRY(lk_config_to_yaml(config, &yaml));
    lk_status status = lk_write_file(asked, yaml, strlen(yaml));
    bool begun = false;
    if (status == LK_OK)
        status = lk_run_is_begun(config->run.dir, &begun);
    if (status == LK_OK && !begun)
        status = lk_write_file(path, yaml, strlen(yaml));
    free(yaml);
    return status;
}

static lk_status write_point(const sweep *s, const lk_config *config)
{
    char path[LK_PATH_SIZE], job[LK_PATH_SIZE];
    int lock;
    bool done = false;
    LK_TRY(lk_path_join(path, config->run.dir, "config.yaml"));
    LK_TRY(lk_run_is_done(config->run.dir, &done));
    if (!s->user->dry_run && !done) {
        LK_TRY(lk_path_join(job, config->run.dir, "job"));
        LK_TRY(lk_make_folder(job));
        LK_TRY(take_lock(config->run.dir, true, &lock));
        lk_status status = write_configuration(config, path);
        close(lock);
        LK_TRY(status);
    }
    printf("point %s\n", config->run.dir);
    return LK_OK;
}

/* ---- all points ---- */

/* A point that was checked. */
typedef struct checked {
    char name[NAME_SIZE];
    uint64_t hash; /* of all that the configuration says but the folder */
    int64_t same;  /* the number of an earlier point that is the same one; -1: there is none */
} checked;

static lk_status hash_configuration(lk_config *config, uint64_t *out)
{
    char folder[sizeof config->run.dir], *yaml = NULL;
    memcpy(folder, config->run.dir, sizeof folder);
    config->run.dir[0] = '\0';
    lk_status status = lk_config_to_yaml(config, &yaml);
    memcpy(config->run.dir, folder, sizeof folder);
    if (status == LK_OK)
        *out = lk_hash(yaml, strlen(yaml));
    free(yaml);
    return status;
}

/* Where a point has nothing to be compared by, halving would end none without a word. */
static lk_status check_halving(const sweep *s, const lk_config *config)
{
    if (s->first_epoch == 0)
        return LK_OK;
    if (config->train.stage != LK_STAGE_ENCODER)
        return lk_fail(LK_BAD_CONFIG, "%s: key 'halving': compares by F1 and F2, which a decoder has not; leave it out", s->file);
    if (config->validate.every_epochs == 0)
        return lk_fail(LK_BAD_CONFIG, "%s: key 'halving': compares validations; set validate.every_epochs above 0", s->file);
    return LK_OK;
}

/* Equal values in two spellings (1, 1.0, 1e0) are one point, that of the first. */
static lk_status compare_points(const sweep *s, checked *all, int64_t index)
{
    checked *this = &all[index];
    this->same = -1;
    for (int64_t i = 0; i < index; i++) {
        if (all[i].same >= 0)
            continue;
        if (all[i].hash == this->hash) {
            this->same = i;
            return LK_OK;
        }
        if (strcmp(all[i].name, this->name) == 0)
            return lk_fail(LK_BAD_CONFIG, "%s: two different points would be called %s", s->file, this->name);
    }
    return LK_OK;
}

static lk_status add_point(const sweep *s, const point *p, checked *all, int64_t index)
{
    lk_config *config = NULL;
    LK_TRY(lk_config_load(s->base, p->sets, p->count, &config));
    lk_status status;
    memcpy(all[index].name, p->name, NAME_SIZE);
    LK_TRY_OR(done, check_halving(s, config));
    LK_TRY_OR(done, hash_configuration(config, &all[index].hash));
    LK_TRY_OR(done, compare_points(s, all, index));
    status = all[index].same < 0 ? check_point(s, config) : LK_OK;
done:
    lk_config_free(config);
    return status;
}

static lk_status check_points(const sweep *s, point *p, checked *all)
{
    for (int64_t i = 0; i < s->points; i++) {
        LK_TRY(describe_point(s, i, p));
        LK_TRY(add_point(s, p, all, i));
    }
    return LK_OK;
}

/* They are loaded again: ten thousand configurations take much memory. */
static lk_status write_points(const sweep *s, point *p, const checked *all)
{
    for (int64_t i = 0; i < s->points; i++) {
        lk_config *config = NULL;
        if (all[i].same >= 0) {
            printf("note %s is the same point as %s and is left out\n", all[i].name, all[all[i].same].name);
            continue;
        }
        LK_TRY(describe_point(s, i, p));
        LK_TRY(lk_config_load(s->base, p->sets, p->count, &config));
        lk_status status = write_point(s, config);
        lk_config_free(config);
        LK_TRY(status);
    }
    return LK_OK;
}

static lk_status make_points(const sweep *s)
{
    point *p = calloc(1, sizeof *p);
    checked *all = calloc((size_t)s->points, sizeof *all);
    lk_status status = p && all ? check_points(s, p, all) : lk_fail(LK_INTERNAL, "%s: out of memory", s->file);
    if (status == LK_OK) {
        printf("dir %s\nat_once %lld\n", s->folder, (long long)s->at_once);
        if (s->first_epoch > 0)
            printf("halving %g %g\n", s->first_epoch, s->keep);
        status = write_points(s, p, all);
    }
    free(all);
    free(p);
    return status;
}

static lk_status plan(sweep *s)
{
    lk_yaml *document;
    for (int i = 0; i < s->user->sets.count; i++)
        if (sets_key(s->user->sets.items[i], "run.dir"))
            return lk_fail(LK_USAGE, "sweep plan: --set run.dir: each point has its own, in the folder 'dir' of %s; change that",
                           s->file);
    LK_TRY(lk_yaml_load(s->file, &document));
    lk_status status = read_sweep(s, lk_yaml_root(document));
    if (status == LK_OK)
        status = make_points(s);
    lk_yaml_free(document);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)count;
    sweep s = {.file = arguments[0], .user = values};
    return plan(&s);
}

const lk_command lk_sweep_plan = {
    .name = "sweep plan",
    .summary = "makes the folders and configurations of a sweep's points",
    .usage = "SWEEP.yaml [--set KEY=VALUE ...] [--dry-run]",
    .about =
        "Makes a folder with a resolved config.yaml for every point of a sweep, and prints what launch/sweep needs to start\n"
        "them: lines of 'dir FOLDER', 'at_once N', 'halving FIRST_EPOCH KEEP', 'point FOLDER', and 'note TEXT' for people.\n"
        "Points that are there already stay; what the next start is asked for is in job/config.yaml of a point. --set is over\n"
        "the base configuration, for all points.",
    .options = option_table,
    .size = sizeof(plan_values),
    .takes = "one sweep file",
    .least = 1,
    .most = 1,
    .run = run};
