/* likeness render (commands.h): one face from a parameter file, data sets of random faces, contact sheets. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/progress.h"
#include "base/random.h"
#include "base/thread.h"
#include "collectives/group.h"
#include "dataset/client/client.h"
#include "dataset/client/prior.h"
#include "dataset/pack/source.h"
#include "dataset/parameters.h"
#include "dataset/shard.h"
#include "dataset/unfinished.h"
#include "launch/command/commands.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_PER_THREAD = 32, SHARD_NAME_SIZE = 64 };

typedef struct render_options {
    const char *parameters, *output, *schema_path, *prior, *backgrounds, *assets;
    int64_t random, start, shard_size, seed; /* random 0: not asked for, as sheet */
    int sheet, size, jpeg, threads;          /* size, threads: 0 where the mode decides */
    lk_view view;
    bool varied, force;
} render_options;

/* ---- the command line ---- */

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "output", "PATH", "what is written", LK_TARGET(render_options, output), .letter = 'o', .required = true},
    {LK_OPTION_WHOLE, "random", "N", "write shards of N random faces", LK_TARGET(render_options, random), .low = 1,
     .high = 1ll << 48},
    {LK_OPTION_INT, "sheet", "N", "draw N random faces on one page", LK_TARGET(render_options, sheet), .low = 1, .high = 1000},
    {LK_OPTION_PATH, "schema", "FILE", "the parameters' schema; else the client's own", LK_TARGET(render_options, schema_path)},
    {LK_OPTION_INT, "size", "S", "edge of a picture in pixels, 32 to 1024 (256; of shards 64, of a sheet 128)",
     LK_TARGET(render_options, size), .low = 32, .high = 1024},
    {LK_OPTION_CHOICE, "view", NULL,
     "canonical: fixed light and camera, what a decoder learns; varied: other light,\n"
     "background, small turns; photo: as cameras take people, what an encoder learns",
     LK_TARGET(render_options, view), .choices = "canonical|varied|photo"},
    {LK_OPTION_FLAG, "varied", NULL, "the same as --view varied", LK_TARGET(render_options, varied)},
    {LK_OPTION_PATH, "prior", "FILE", "how faces are drawn: uniform; natural, as people are; or a table of your own",
     LK_TARGET(render_options, prior), .choices = "uniform|natural"},
    {LK_OPTION_PATH, "backgrounds", "PLACE", "pictures of your own behind the faces of view photo: a folder or an archive",
     LK_TARGET(render_options, backgrounds)},
    {LK_OPTION_PATH, "assets", "FOLDER",
     "hair, brows, lashes, eyes and skins of a MakeHuman data folder: without --schema all\n"
     "of them are choices beside the client's own, with it those that the schema names",
     LK_TARGET(render_options, assets)},
    {LK_OPTION_WHOLE, "seed", "K", "decides random faces and all that varies", LK_TARGET(render_options, seed), .high = 0x1p63},
    {LK_OPTION_WHOLE, "start", "I", "number of the first face (0): parts of one data set can be made apart",
     LK_TARGET(render_options, start), .high = 1ll << 48},
    {LK_OPTION_WHOLE, "shard-size", "M", "faces to a shard", LK_TARGET(render_options, shard_size), .low = 1, .high = 1 << 24},
    {LK_OPTION_INT, "jpeg", "Q", "keep pictures as JPEG of quality 1 to 100; 0: raw (0)", LK_TARGET(render_options, jpeg),
     .high = 100},
    {LK_OPTION_INT, "threads", "T", "drawing threads of each rank; else its share of the cores",
     LK_TARGET(render_options, threads), .low = 1, .high = 256},
    {LK_OPTION_FLAG, "force", NULL, "replace the shards that FOLDER already holds", LK_TARGET(render_options, force)},
    {0}};

/* ---- shared by the modes ---- */

static lk_status load_schema(const render_options *o, lk_schema **schema)
{
    char path[LK_PATH_SIZE];
    if (!o->schema_path && o->assets)
        return lk_client_assets_schema(o->assets, schema);
    if (!o->schema_path)
        LK_TRY(lk_client_schema_path(path));
    return lk_schema_load(o->schema_path ? o->schema_path : path, schema);
}

/* `uniform` is NULL: lk_client_random. */
static lk_status load_prior(const render_options *o, const lk_schema *schema, lk_prior **prior)
{
    char path[LK_PATH_SIZE];
    *prior = NULL;
    if (!o->prior || strcmp(o->prior, "uniform") == 0)
        return LK_OK;
    if (strcmp(o->prior, "natural") != 0)
        return lk_prior_load(o->prior, schema, prior);
    LK_TRY(lk_client_prior_path(path));
    return lk_prior_load(path, schema, prior);
}

/* All pictures of a folder or an archive; what is none is passed over. */
static lk_status load_backgrounds(const char *place, lk_backgrounds **out)
{
    const lk_limits limits = LK_LIMITS_DEFAULTS;
    const int64_t most_pixels = 100 * 1000 * 1000;
    lk_source *source = NULL;
    lk_entry entry = {0};
    *out = NULL;
    if (!place)
        return LK_OK;
    LK_TRY(lk_source_open(place, &limits, &source));
    lk_status status = lk_backgrounds_create(out);
    while (status == LK_OK && (status = lk_source_next(source, &entry)) == LK_OK && entry.name) {
        uint8_t *data = NULL;
        size_t size = 0;
        const char *refused = entry.refused;
        lk_image picture = {0};
        if (!refused)
            status = lk_source_read(source, limits.entry_bytes, &data, &size, &refused);
        if (status == LK_OK && !refused && lk_image_decode(data, size, most_pixels, entry.name, &picture) == LK_OK)
            status = lk_backgrounds_add(*out, &picture);
        lk_image_free(&picture);
        free(data);
    }
    lk_source_close(source);
    if (status == LK_OK && lk_backgrounds_count(*out) == 0)
        status = lk_fail(LK_BAD_DATA, "%s: holds no picture for --backgrounds; give a folder or archive of JPEG or PNG", place);
    return status;
}

static void draw_parameters(const lk_prior *prior, const lk_schema *schema, uint64_t seed, uint64_t index, float *continuous,
                            uint8_t *discrete)
{
    if (prior)
        lk_prior_draw(prior, seed, index, continuous, discrete);
    else
        lk_client_random(schema, seed, index, continuous, discrete);
}

/* What varies in a face's picture depends on the data set's seed and the face's number alone. */
static uint64_t picture_seed(uint64_t seed, uint64_t index)
{
    return lk_random_mix(lk_random_mix(seed, 0x76617279), index);
}

typedef struct parameters {
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
} parameters;

/* ---- one face ---- */

static lk_status render_one(const render_options *o)
{
    parameters p;
    lk_schema *schema = NULL;
    lk_client *client = NULL;
    lk_renderer *renderer = NULL;
    lk_backgrounds *backgrounds = NULL;
    lk_image image = {0};
    int size = o->size ? o->size : 256;
    lk_status status;
    LK_TRY_OR(done, load_schema(o, &schema));
    LK_TRY_OR(done, lk_parameters_load(schema, o->parameters, p.continuous, p.discrete));
    LK_TRY_OR(done, lk_client_open_assets(NULL, o->assets, schema, &client));
    LK_TRY_OR(done, lk_renderer_create(client, size, &renderer));
    LK_TRY_OR(done, load_backgrounds(o->backgrounds, &backgrounds));
    lk_renderer_set_backgrounds(renderer, backgrounds);
    LK_TRY_OR(done, lk_image_allocate(size, size, &image));
    LK_TRY_OR(done, lk_render(renderer, p.continuous, p.discrete, o->view, (uint64_t)o->seed, image.pixels));
    LK_TRY_OR(done, lk_image_save_png(o->output, &image));
done:
    lk_image_free(&image);
    lk_renderer_free(renderer);
    lk_backgrounds_free(backgrounds);
    lk_client_close(client);
    lk_schema_free(schema);
    return status;
}

/* ---- a contact sheet ---- */

static lk_status render_sheet(const render_options *o)
{
    parameters p;
    lk_schema *schema = NULL;
    lk_client *client = NULL;
    lk_renderer *renderer = NULL;
    lk_prior *prior = NULL;
    lk_backgrounds *backgrounds = NULL;
    lk_image sheet = {0}, tile = {0};
    int size = o->size ? o->size : 128, faces = o->sheet, columns = 1;
    while (2 * columns * columns < faces)
        columns++;
    int rows = (faces + columns - 1) / columns;
    lk_status status;
    LK_TRY_OR(done, load_schema(o, &schema));
    LK_TRY_OR(done, lk_client_open_assets(NULL, o->assets, schema, &client));
    LK_TRY_OR(done, lk_renderer_create(client, size, &renderer));
    LK_TRY_OR(done, load_prior(o, schema, &prior));
    LK_TRY_OR(done, load_backgrounds(o->backgrounds, &backgrounds));
    lk_renderer_set_backgrounds(renderer, backgrounds);
    LK_TRY_OR(done, lk_image_allocate(size, size, &tile));
    LK_TRY_OR(done, lk_image_allocate(2 * columns * size, rows * size, &sheet));
    memset(sheet.pixels, 255, (size_t)sheet.width * (size_t)sheet.height * 3);
    for (int i = 0; i < faces; i++)
        for (int second = 0; second < 2; second++) {
            lk_view view = second ? (o->view == LK_CANONICAL ? LK_VARIED : o->view) : LK_CANONICAL;
            uint64_t index = (uint64_t)(o->start + i), seed = (uint64_t)o->seed;
            draw_parameters(prior, schema, seed, index, p.continuous, p.discrete);
            LK_TRY_OR(done, lk_render(renderer, p.continuous, p.discrete, view, picture_seed(seed, index), tile.pixels));
            lk_image_paste(&sheet, &tile, (2 * (i % columns) + second) * size, i / columns * size);
        }
    LK_TRY_OR(done, lk_image_save_png(o->output, &sheet));
done:
    lk_image_free(&tile);
    lk_image_free(&sheet);
    lk_renderer_free(renderer);
    lk_backgrounds_free(backgrounds);
    lk_prior_free(prior);
    lk_client_close(client);
    lk_schema_free(schema);
    return status;
}

/* ---- a data set ---- */

/* One rank's work: a batch of faces is drawn by all threads, then written in order. */
typedef struct producer {
    const render_options *options;
    const lk_schema *schema;
    lk_prior *prior;
    lk_backgrounds *backgrounds;
    lk_client *client;
    int size, threads, batch;
    lk_renderer **renderers; /* one a thread */
    parameters *parameters;  /* of the batch, as is pictures */
    uint8_t *pictures;
    int64_t first; /* number of the batch's first face */
    lk_progress bar;
    int64_t done;
} producer;

static void producer_close(producer *p)
{
    for (int t = 0; p->renderers && t < p->threads; t++)
        lk_renderer_free(p->renderers[t]);
    free(p->renderers);
    free(p->parameters);
    free(p->pictures);
}

static lk_status producer_open(producer *p)
{
    p->batch = p->threads * BATCH_PER_THREAD;
    p->renderers = calloc((size_t)p->threads, sizeof *p->renderers);
    p->parameters = malloc((size_t)p->batch * sizeof *p->parameters);
    p->pictures = malloc((size_t)p->batch * (size_t)p->size * (size_t)p->size * 3);
    if (!p->renderers || !p->parameters || !p->pictures)
        return lk_fail(LK_INTERNAL, "no memory for %d faces of %d pixels", p->batch, p->size);
    for (int t = 0; t < p->threads; t++) {
        LK_TRY(lk_renderer_create(p->client, p->size, &p->renderers[t]));
        lk_renderer_set_backgrounds(p->renderers[t], p->backgrounds);
    }
    return LK_OK;
}

static lk_status draw_item(void *context, int64_t i, int worker)
{
    producer *p = context;
    parameters *drawn = &p->parameters[i];
    uint64_t index = (uint64_t)(p->first + i), seed = (uint64_t)p->options->seed;
    draw_parameters(p->prior, p->schema, seed, index, drawn->continuous, drawn->discrete);
    return lk_render(p->renderers[worker], drawn->continuous, drawn->discrete, p->options->view, picture_seed(seed, index),
                     p->pictures + (size_t)i * (size_t)p->size * (size_t)p->size * 3);
}

static const char *const VIEW_NAMES[LK_VIEWS] = {"canonical", "varied", "photo"};

static void shard_name(char out[SHARD_NAME_SIZE], int64_t shard)
{
    snprintf(out, SHARD_NAME_SIZE, "shard-%05lld.h5", (long long)shard);
}

static lk_status write_batch(producer *p, lk_shard_writer *writer, int count)
{
    for (int i = 0; i < count; i++) {
        char key[LK_KEY_SIZE];
        snprintf(key, sizeof key, "%08lld", (long long)(p->first + i));
        lk_sample sample = {p->pictures + (size_t)i * (size_t)p->size * (size_t)p->size * 3, p->parameters[i].continuous,
                            p->parameters[i].discrete, key};
        LK_TRY(lk_shard_append(writer, &sample));
    }
    return LK_OK;
}

static lk_status produce_shard(producer *p, int64_t shard)
{
    const render_options *o = p->options;
    char name[SHARD_NAME_SIZE], path[LK_PATH_SIZE], provenance[512];
    int64_t begin = shard * o->shard_size, end = begin + o->shard_size < o->random ? begin + o->shard_size : o->random;
    shard_name(name, shard);
    snprintf(provenance, sizeof provenance,
             "likeness render --random: client faces, prior %.200s, view %s, seed %lld, first face %lld",
             o->prior ? o->prior : "uniform", VIEW_NAMES[o->view], (long long)o->seed, (long long)(o->start + begin));
    LK_TRY(lk_path_join(path, o->output, name));
    lk_shard_writer *writer = NULL;
    LK_TRY(lk_shard_create(path, p->schema, p->size, end - begin, o->jpeg, provenance, &writer));
    for (int64_t at = begin; at < end; at += p->batch) {
        int count = end - at < p->batch ? (int)(end - at) : p->batch;
        p->first = o->start + at;
        lk_status status = lk_parallel_for(p->threads, count, draw_item, p);
        if (status == LK_OK)
            status = write_batch(p, writer, count);
        if (status != LK_OK) {
            lk_shard_abort(writer);
            return status;
        }
        p->done += count;
        lk_progress_update(&p->bar, p->done, NULL);
    }
    return lk_shard_commit(writer);
}

/* Rank 0: an empty place for the shards. Shards of another run beside new ones would be read as one data set. */
static lk_status prepare_folder(const render_options *o)
{
    static const char *const ours[] = {"shard-"};
    LK_TRY(lk_make_folder(o->output));
    LK_TRY(lk_sweep_temporaries(o->output, ours, 1, false));
    lk_names names;
    LK_TRY(lk_list_folder(o->output, ".h5", &names));
    lk_status status = LK_OK;
    if (names.count > 0 && !o->force)
        status = lk_fail(LK_USAGE, "%s already holds shards (%s); name another folder, or replace them with --force", o->output,
                         names.names[0]);
    if (status == LK_OK)
        status = lk_unfinished_begin(o->output);
    for (size_t i = 0; status == LK_OK && i < names.count; i++) {
        char path[LK_PATH_SIZE];
        status = lk_path_join(path, o->output, names.names[i]);
        if (status == LK_OK && remove(path) != 0)
            status = lk_fail_io("remove", path, errno, 0);
    }
    lk_names_free(&names);
    return status;
}

/* Shards of this rank: rank, rank + ranks, ... */
static int64_t faces_of_rank(const render_options *o, int64_t shards, int rank, int ranks)
{
    int64_t faces = 0;
    for (int64_t shard = rank; shard < shards; shard += ranks)
        faces += shard == shards - 1 ? o->random - shard * o->shard_size : o->shard_size;
    return faces;
}

static lk_status produce(producer *p, lk_process_group *group)
{
    const render_options *o = p->options;
    int64_t shards = (o->random + o->shard_size - 1) / o->shard_size;
    LK_TRY(lk_group_agree(group, producer_open(p)));
    LK_TRY(lk_group_agree(group, group->rank == 0 ? prepare_folder(o) : LK_OK));
    double start = lk_clock();
    lk_progress_begin(&p->bar, "render", group->size > 1 ? "faces of rank 0" : "faces", 0,
                      faces_of_rank(o, shards, group->rank, group->size), group->rank != 0);
    /* All ranks go on together, a shard each, so that one that fails stops the others. */
    lk_status status = LK_OK;
    for (int64_t round = 0; status == LK_OK && round < shards; round += group->size) {
        int64_t shard = round + group->rank;
        status = lk_group_agree(group, shard < shards ? produce_shard(p, shard) : LK_OK);
    }
    if (status == LK_OK)
        status = lk_group_agree(group, group->rank == 0 ? lk_unfinished_end(o->output) : LK_OK);
    lk_progress_end(&p->bar);
    double seconds = lk_clock() - start;
    if (status == LK_OK && group->rank == 0)
        printf("%s: %lld faces of %d x %d pixels in %lld shards, %.0f faces/s\n", o->output, (long long)o->random, p->size,
               p->size, (long long)shards, (double)o->random / (seconds > 1e-9 ? seconds : 1e-9));
    return status;
}

static lk_status render_data_set(const render_options *o)
{
    lk_process_group group;
    LK_TRY(lk_group_open(&group));
    int share = lk_core_count() / group.local_size;
    producer p = {.options = o, .size = o->size ? o->size : 64, .threads = o->threads ? o->threads : share < 1 ? 1 : share};
    lk_schema *schema = NULL;
    lk_status status = lk_group_agree(&group, load_schema(o, &schema));
    p.schema = schema;
    if (status == LK_OK)
        status = lk_group_agree(&group, load_prior(o, schema, &p.prior));
    if (status == LK_OK)
        status = lk_group_agree(&group, load_backgrounds(o->backgrounds, &p.backgrounds));
    if (status == LK_OK)
        status = lk_group_agree(&group, lk_client_open_assets(NULL, o->assets, schema, &p.client));
    if (status == LK_OK)
        status = produce(&p, &group);
    producer_close(&p);
    lk_backgrounds_free(p.backgrounds);
    lk_prior_free(p.prior);
    lk_client_close(p.client);
    lk_schema_free(schema);
    lk_group_close(&group);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    render_options *o = values;
    o->parameters = count ? arguments[0] : NULL;
    if (o->varied)
        o->view = LK_VARIED;
    if ((o->random > 0) + (o->sheet > 0) + count != 1)
        return lk_fail(LK_USAGE,
                       "render: give either one parameter file, or --random N, or --sheet N; likeness render --help says more");
    if (o->random > 0)
        return render_data_set(o);
    const char *const inputs[] = {o->parameters, o->schema_path, o->prior};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++)
        if (inputs[i])
            LK_TRY(lk_keep_input("render", "output", o->output, inputs[i]));
    const char *const folders[] = {o->backgrounds, o->assets};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        if (folders[i])
            LK_TRY(lk_keep_folder("render", "output", o->output, folders[i]));
    LK_TRY(lk_check_output("render", "output", o->output, ".png"));
    return o->sheet > 0 ? render_sheet(o) : render_one(o);
}

const lk_command lk_command_render = {
    .name = "render",
    .summary = "draw faces from parameters: one picture, or shards of random faces",
    .usage = "PARAMS.json -o FACE.png [--size 256] [--view VIEW] [--seed K]\n"
             "--random N -o FOLDER [--size 64] [--view VIEW] [--seed K] [--start I]\n"
             "--sheet N -o SHEET.png [--size 128] [--seed K]",
    .about =
        "The first draws the face of a parameter file. The second writes shards of N random faces; under mpirun or srun the\n"
        "ranks take whole shards in turn, and the files are the same whatever the number of ranks and threads. The third draws\n"
        "N random faces, each in both views, on one page.",
    .options = option_table,
    .size = sizeof(render_options),
    .defaults = &(render_options){.seed = 1, .shard_size = 2000},
    .takes = "one parameter file",
    .most = 1,
    .run = run};
