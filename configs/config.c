#include "configs/config.h"

#include "configs/keys.h"
#include "configs/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 256 };

/* Where each value came from, so that the checks between keys can name the place. */
typedef struct loader {
    lk_config *config;
    const char *file; /* its name */
    const char *text; /* what is in it; NULL: read it */
    const char *const *sets;
    int source[LK_KEY_COUNT]; /* > 0: that line of the file; < 0: sets[-1 - source]; 0: the default */
} loader;

/* Puts the place before the sentence of a failure. */
static lk_status fail_at(const loader *l, int source, const char *path, lk_status status)
{
    if (source > 0)
        return lk_fail_in(status, "%s:%d: key '%s'", l->file, source, path);
    if (source < 0)
        return lk_fail_in(status, "--set %.200s", l->sets[-1 - source]);
    return lk_fail_in(status, "%s: key '%s'", l->file, path);
}

/* ---- values into the struct ---- */

static lk_status assign_defaults(lk_config *config)
{
    for (int i = 0; i < LK_KEY_COUNT; i++)
        if (lk_keys[i].default_text)
            LK_TRY(lk_key_assign_text(&lk_keys[i], lk_keys[i].default_text, lk_keys[i].path, config));
    return LK_OK;
}

static lk_status refuse_unknown(const loader *l, int source, const char *path)
{
    char *near = lk_key_nearest(path);
    lk_status status;
    if (near)
        status = lk_fail(LK_BAD_CONFIG, "there is no such key; did you mean '%s'?", near);
    else
        status = lk_fail(LK_BAD_CONFIG, "there is no such key; docs/configuration.md lists them");
    free(near);
    return fail_at(l, source, path, status);
}

/* Reads the map at `section` ("" is the whole file) into the struct. `set` is 0, or the source to note for every key. */
static lk_status assign_section(loader *l, const char *section, const lk_yaml_node *map, int set)
{
    for (int i = 0; i < map->count; i++) {
        const lk_yaml_node *item = map->items[i];
        int source = set ? set : item->line;
        char path[PATH_ROOM];
        int used = snprintf(path, sizeof path, "%s%s%s", section, section[0] ? "." : "", item->key);
        int index = used < PATH_ROOM ? lk_key_find(path) : -1;
        if (index >= 0) {
            lk_status status = lk_key_assign(&lk_keys[index], item, l->config);
            if (status != LK_OK)
                return fail_at(l, source, path, status);
            l->source[index] = source;
            continue;
        }
        if (used >= PATH_ROOM || !lk_key_is_section(path))
            return refuse_unknown(l, source, path);
        /* "checkpoint:" with nothing below it changes nothing. */
        if (item->kind == LK_YAML_SCALAR && !item->quoted && item->text[0] == '\0')
            continue;
        if (item->kind != LK_YAML_MAP)
            return fail_at(l, source, path, lk_fail(LK_BAD_CONFIG, "is a section; write its keys below it"));
        LK_TRY(assign_section(l, path, item, set));
    }
    return LK_OK;
}

static lk_status assign_file(loader *l)
{
    lk_yaml *document;
    LK_TRY(l->text ? lk_yaml_parse(l->text, strlen(l->text), l->file, &document) : lk_yaml_load(l->file, &document));
    const lk_yaml_node *root = lk_yaml_root(document);
    lk_status status = LK_OK;
    if (root->kind == LK_YAML_MAP)
        status = assign_section(l, "", root, 0);
    else
        status = lk_fail(LK_BAD_CONFIG, "%s:%d: is not a configuration; write 'section: {key: value}'", l->file, root->line);
    lk_yaml_free(document);
    return status;
}

/* "a.b=c": c is YAML, as it would stand in the file. */
static lk_status assign_set(loader *l, int number)
{
    const char *set = l->sets[number];
    const char *equals = strchr(set, '=');
    if (!equals || equals == set || equals[1] == '\0')
        return lk_fail(LK_BAD_CONFIG, "--set %.200s: is not of the form a.b=c, as in --set loss.lambda=1", set);
    char path[PATH_ROOM];
    int source = -1 - number;
    snprintf(path, sizeof path, "%.*s", (int)(equals - set), set);
    int index = lk_key_find(path);
    if (index < 0 && lk_key_is_section(path))
        return fail_at(l, source, path, lk_fail(LK_BAD_CONFIG, "is a section; set one of its keys"));
    if (index < 0)
        return refuse_unknown(l, source, path);
    char origin[LK_CONFIG_TEXT];
    snprintf(origin, sizeof origin, "value of %s", path);
    lk_status status = lk_key_assign_text(&lk_keys[index], equals + 1, origin, l->config);
    if (status != LK_OK)
        return fail_at(l, source, path, status);
    l->source[index] = source;
    return LK_OK;
}

/* ---- checks between keys ---- */

/* Fails for the key at `path`, with its place, unless `good`. */
__attribute__((format(printf, 4, 5))) static lk_status require(const loader *l, bool good, const char *path, const char *format,
                                                               ...)
{
    if (good)
        return LK_OK;
    char text[LK_ERROR_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return fail_at(l, l->source[lk_key_find(path)], path, lk_fail(LK_BAD_CONFIG, "%s", text));
}

static lk_status check_given(const loader *l)
{
    for (int i = 0; i < LK_KEY_COUNT; i++)
        if (!lk_keys[i].default_text)
            LK_TRY(require(l, l->source[i] != 0, lk_keys[i].path, "must be given: %s", lk_keys[i].meaning));
    return LK_OK;
}

/* 32 groups, and channels / 2 below 64 channels. */
static bool groups_divide(double width)
{
    for (int base = 64; base <= 512; base *= 2) {
        int channels = (int)(base * width);
        if (channels % 2 != 0 || (channels >= 64 && channels % 32 != 0))
            return false;
    }
    return true;
}

static bool in_64ths(double width)
{
    return width * 64 == (int)(width * 64);
}

static lk_status check_model(const loader *l)
{
    const lk_config *c = l->config;
    int size = c->model.size;
    LK_TRY(require(l, (size & (size - 1)) == 0, "model.size",
                   "'%d' is not a power of two (the decoder doubles from 4); allowed: 32, 64, 128, 256, 512", size));
    const char *coarse = "'%g' leaves fractions of channels; allowed: multiples of 1/64, as 0.25, 0.5, 1";
    LK_TRY(require(l, in_64ths(c->model.encoder.width), "model.encoder.width", coarse, c->model.encoder.width));
    LK_TRY(require(l, in_64ths(c->model.decoder.width), "model.decoder.width", coarse, c->model.decoder.width));
    LK_TRY(require(l, c->model.encoder.norm != LK_NORM_GROUP || groups_divide(c->model.encoder.width), "model.encoder.width",
                   "'%g' gives channels that 32 groups do not divide; allowed with norm group: as 0.25, 0.5, 0.75, 1",
                   c->model.encoder.width));
    bool needs_decoder = c->train.stage == LK_STAGE_ENCODER && strcmp(c->model.decoder.weights, "none") == 0;
    return require(l, !needs_decoder, "model.decoder.weights",
                   "'none' is not enough for train.stage encoder; train the decoder first and give its run folder");
}

/* The decoder is to draw what the client draws of the parameters, and nothing else. */
static lk_status check_augment(const loader *l)
{
    const lk_config *c = l->config;
    for (int i = 0; i < LK_KEY_COUNT && c->train.stage == LK_STAGE_DECODER; i++)
        if (strncmp(lk_keys[i].path, "data.augment.", strlen("data.augment.")) == 0)
            LK_TRY(require(l, *(const double *)((const char *)c + lk_keys[i].offset) == 0, lk_keys[i].path,
                           "is for train.stage encoder; set it to 0 for the decoder"));
    return LK_OK;
}

/* What would make a folder that nobody meant, or a name that no log and no batch file can hold. */
static lk_status check_run_folder(const loader *l)
{
    const char *folder = l->config->run.dir;
    for (const char *c = folder; *c; c++)
        LK_TRY(require(l, (unsigned char)*c >= ' ' && *c != 127, "run.dir",
                       "byte %d of the folder's name is a line break or another control character; choose a plain name",
                       (int)(c - folder) + 1));
    return require(l, folder[0] != '~', "run.dir",
                   "'%s': only a shell replaces ~; write the path in full, or ./%s for a folder that is called so", folder,
                   folder);
}

static lk_status check_training(const loader *l)
{
    const lk_config *c = l->config;
    LK_TRY(require(l, c->train.epochs > 0 || c->train.steps > 0, "train.epochs",
                   "is 0 and so is train.steps; give one of them, as epochs: 20"));
    LK_TRY(require(l, c->train.epochs == 0 || c->train.steps == 0, "train.steps",
                   "'%lld' stands beside train.epochs '%d'; set one of them to 0", (long long)c->train.steps, c->train.epochs));
    LK_TRY(require(l, c->train.micro_batch > 0 || !c->train.reproducible, "train.micro_batch",
                   "auto depends on the number of ranks; with train.reproducible give a number"));
    LK_TRY(require(l, c->train.micro_batch == 0 || c->train.global_batch % c->train.micro_batch == 0, "train.global_batch",
                   "'%d' is not a multiple of train.micro_batch '%d'", c->train.global_batch, c->train.micro_batch));
    LK_TRY(require(l, !c->train.cudnn_benchmark || !c->train.reproducible, "train.cudnn_benchmark",
                   "picks convolutions that differ from run to run; set it or train.reproducible to false"));
    LK_TRY(require(l, !c->train.cudnn_fuse || !c->train.reproducible, "train.cudnn_fuse",
                   "takes convolutions that need not repeat themselves; set it or train.reproducible to false"));
    LK_TRY(require(l, c->train.converge.patience == 0 || c->validate.every_epochs > 0, "train.converge.patience",
                   "'%d' needs validations, and validate.every_epochs is 0; set one of them", c->train.converge.patience));
    LK_TRY(require(l, !c->train.reproducible || c->collectives.dtype == LK_F32, "collectives.dtype",
                   "'bf16' is rounded on every rank, and train.reproducible is true; set collectives.dtype to f32"));
    return require(l, c->stall.warn_s < c->stall.abort_s, "stall.warn_s", "'%g' is not less than stall.abort_s '%g'",
                   c->stall.warn_s, c->stall.abort_s);
}

/* ---- the whole ---- */

static lk_status load(loader *l, int set_count)
{
    LK_TRY(assign_defaults(l->config));
    LK_TRY(assign_file(l));
    for (int i = 0; i < set_count; i++)
        LK_TRY(assign_set(l, i));
    LK_TRY(check_given(l));
    LK_TRY(check_run_folder(l));
    LK_TRY(check_model(l));
    LK_TRY(check_augment(l));
    return check_training(l);
}

static lk_status load_into_new(loader *l, int set_count, lk_config **out)
{
    *out = NULL;
    l->config = calloc(1, sizeof *l->config);
    if (!l->config)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading the configuration", l->file);
    lk_plain_numbers numbers;
    lk_status status = lk_plain_numbers_begin(&numbers);
    if (status == LK_OK) {
        status = load(l, set_count);
        lk_plain_numbers_end(&numbers);
    }
    if (status == LK_OK)
        *out = l->config;
    else
        lk_config_free(l->config);
    return status;
}

lk_status lk_config_load(const char *path, const char *const *sets, int set_count, lk_config **out)
{
    loader l = {.file = path, .sets = sets};
    return load_into_new(&l, set_count, out);
}

lk_status lk_config_parse(const char *text, const char *origin, lk_config **out)
{
    loader l = {.file = origin, .text = text};
    return load_into_new(&l, 0, out);
}

void lk_config_free(lk_config *config)
{
    free(config);
}
