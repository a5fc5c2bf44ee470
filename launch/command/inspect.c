/* likeness inspect (commands.h): what is in shards or checkpoints, and whether it is whole. */
#include "base/file.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/thread.h"
#include "dataset/align/draw.h"
#include "dataset/pack/names.h"
#include "dataset/pack/tally.h"
#include "dataset/shard.h"
#include "launch/command/commands.h"
#include "launch/command/inspect_checkpoint.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct inspect_values {
    const char *sheet;
    int samples, threads; /* threads 0: the cores */
    bool verify, values, config;
} inspect_values;

static const lk_option option_table[] = {
    {LK_OPTION_HEADING, .help = "Of shards:"},
    {LK_OPTION_FLAG, "verify", NULL, "read every sample and check its checksum, and print statistics of the parameters",
     LK_TARGET(inspect_values, verify)},
    {LK_OPTION_PATH, "contact-sheet", "FILE.png", "a picture of samples with their parameters", LK_TARGET(inspect_values, sheet),
     .writes = ".png"},
    {LK_OPTION_INT, "samples", "N", "how many it shows", LK_TARGET(inspect_values, samples), .low = 1, .high = 400},
    {LK_OPTION_FLAG, "values", NULL, "verify, and print the statistics of every continuous parameter, not only a summary",
     LK_TARGET(inspect_values, values)},
    {LK_OPTION_INT, "threads", "N", "(the cores)", LK_TARGET(inspect_values, threads), .low = 1, .high = 256},
    {LK_OPTION_HEADING, .help = "Of checkpoints:"},
    {LK_OPTION_FLAG, "config", NULL, "print the configuration that the checkpoint holds", LK_TARGET(inspect_values, config)},
    {0}};

typedef struct inspection {
    lk_dataset *dataset;
    int threads;
    float *continuous; /* [count, nc], filled by --verify */
    uint8_t *discrete;
    uint8_t **images; /* [threads] */
    lk_progress bar;
    pthread_mutex_t lock;
    int64_t done;
} inspection;

static lk_status verify_sample(void *context, int64_t i, int worker)
{
    inspection *in = context;
    const lk_schema *schema = lk_dataset_schema(in->dataset);
    LK_TRY(lk_dataset_read(in->dataset, i, in->images[worker], in->continuous + i * schema->continuous_count,
                           in->discrete + i * schema->group_count, NULL));
    pthread_mutex_lock(&in->lock);
    lk_progress_update(&in->bar, ++in->done, NULL);
    pthread_mutex_unlock(&in->lock);
    return LK_OK;
}

static void print_continuous(const inspection *in, bool all)
{
    const lk_schema *schema = lk_dataset_schema(in->dataset);
    int64_t count = lk_dataset_count(in->dataset);
    int constant = 0;
    if (all)
        puts("continuous, in client units:");
    for (int k = 0; k < schema->continuous_count; k++) {
        const lk_continuous *c = &schema->continuous[k];
        double sum = 0, squares = 0, low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < count; i++) {
            double value = c->min + (double)in->continuous[i * schema->continuous_count + k] * ((double)c->max - c->min);
            sum += value;
            squares += value * value;
            low = fmin(low, value);
            high = fmax(high, value);
        }
        double mean = sum / (double)count, deviation = sqrt(fmax(squares / (double)count - mean * mean, 0));
        constant += low == high;
        if (all)
            printf("  %s: mean %.4g, deviation %.4g, from %.4g to %.4g of %.4g to %.4g\n", c->name, mean, deviation, low, high,
                   (double)c->min, (double)c->max);
    }
    if (constant > 0)
        printf("note: %d of %d continuous parameters have the same value in every sample\n", constant, schema->continuous_count);
}

static void print_discrete(const inspection *in)
{
    const lk_schema *schema = lk_dataset_schema(in->dataset);
    int64_t count = lk_dataset_count(in->dataset);
    puts("discrete:");
    for (int g = 0; g < schema->group_count; g++) {
        int64_t counts[LK_MAX_CHOICES] = {0};
        for (int64_t i = 0; i < count; i++)
            counts[in->discrete[i * schema->group_count + g]]++;
        printf("  %s:", schema->groups[g].name);
        for (int k = 0; k < schema->groups[g].count; k++)
            printf("%s %s %" PRId64, k ? "," : "", schema->groups[g].choices[k], counts[k]);
        putchar('\n');
    }
}

static lk_status verify(inspection *in, bool values)
{
    const lk_schema *schema = lk_dataset_schema(in->dataset);
    size_t count = (size_t)lk_dataset_count(in->dataset), size = (size_t)lk_dataset_size(in->dataset);
    in->continuous = malloc(count * (size_t)schema->continuous_count * sizeof *in->continuous);
    in->discrete = malloc(count * (size_t)schema->group_count);
    in->images = calloc((size_t)in->threads, sizeof *in->images);
    bool good = in->continuous && in->discrete && in->images;
    for (int i = 0; good && i < in->threads; i++)
        good = (in->images[i] = malloc(size * size * 3)) != NULL;
    if (!good)
        return lk_fail(LK_INTERNAL, "out of memory for the labels of %zu samples", count);
    lk_progress_begin(&in->bar, "verify", "samples", 0, (int64_t)count, false);
    lk_status status = lk_parallel_for(in->threads, (int64_t)count, verify_sample, in);
    lk_progress_end(&in->bar);
    LK_TRY(status);
    printf("verified: all %zu samples are whole\n", count);
    print_continuous(in, values);
    print_discrete(in);
    return LK_OK;
}

/* The text is whatever the file says. */
static void print_provenance(const char *indent, const lk_dataset *set)
{
    char shown[2048];
    lk_name_show(lk_dataset_provenance(set), shown, sizeof shown);
    if (shown[0])
        printf("%sfirst shard made by: %s\n", indent, shown);
}

static lk_status describe(const lk_dataset *set, const char *const *paths, int count)
{
    const lk_schema *schema = lk_dataset_schema(set);
    char hash[LK_HEX_SIZE], schema_hash[LK_HEX_SIZE];
    lk_hash_hex(lk_dataset_content_hash(set), hash);
    lk_hash_hex(schema->hash, schema_hash);
    printf("samples: %" PRId64
           "\npicture size: %d\nschema: %s (%d continuous, %d groups with %d choices), hash %s\ncontent hash: %s\n",
           lk_dataset_count(set), lk_dataset_size(set), schema->name, schema->continuous_count, schema->group_count,
           schema->choice_count, schema_hash, hash);
    if (count == 1)
        print_provenance("", set);
    for (int i = 0; count > 1 && i < count; i++) {
        lk_dataset *one;
        LK_TRY(lk_dataset_open(&paths[i], 1, &one));
        lk_hash_hex(lk_dataset_content_hash(one), hash);
        printf("  %s: %" PRId64 " samples, content hash %s\n", paths[i], lk_dataset_count(one), hash);
        print_provenance("    ", one);
        lk_dataset_close(one);
    }
    return LK_OK;
}

static lk_status inspect_shards(const inspect_values *v, const char *const *paths, int count)
{
    inspection in = {.threads = v->threads ? v->threads : lk_core_count(), .lock = PTHREAD_MUTEX_INITIALIZER};
    LK_TRY(lk_dataset_open(paths, count, &in.dataset));
    lk_status status = LK_OK;
    for (int i = 0; v->sheet && status == LK_OK && i < lk_dataset_shard_count(in.dataset); i++)
        status = lk_keep_input("inspect", "contact-sheet", v->sheet, lk_dataset_shard_path(in.dataset, i));
    if (status == LK_OK)
        status = describe(in.dataset, paths, count);
    if (status == LK_OK && (v->verify || v->values))
        status = verify(&in, v->values);
    if (status == LK_OK && v->sheet)
        status = lk_draw_contact_sheet(in.dataset, v->samples, v->sheet);
    for (int i = 0; in.images && i < in.threads; i++)
        free(in.images[i]);
    free(in.images);
    free(in.continuous);
    free(in.discrete);
    lk_dataset_close(in.dataset);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    const inspect_values *v = values;
    bool checkpoints = false;
    if (count == 1)
        LK_TRY(lk_inspects_checkpoints(arguments[0], &checkpoints));
    if (checkpoints)
        return lk_inspect_checkpoints(arguments[0], v->config);
    return inspect_shards(v, (const char *const *)arguments, count);
}

const lk_command lk_command_inspect = {
    .name = "inspect",
    .summary = "say what is in shards or checkpoints, and check them",
    .usage = "SHARDS... [OPTIONS]\nCHECKPOINT|RUN [--config]",
    .about = "SHARDS are folders of shards or single ones, which together are one data set. Says what is in them: schema,\n"
             "counts, content hash, where they come from. Of a checkpoint it checks all hashes and says what is in it; of\n"
             "a run, which of its checkpoints are whole.",
    .options = option_table,
    .size = sizeof(inspect_values),
    .defaults = &(inspect_values){.samples = 24},
    .takes = "a folder of shards, a shard or a checkpoint",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
