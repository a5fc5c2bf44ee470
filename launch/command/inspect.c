/* likeness inspect: what is in shards or checkpoints, and whether it is whole. */
#include "base/file.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/thread.h"
#include "dataset/align/draw.h"
#include "dataset/pack/tally.h"
#include "dataset/shard.h"
#include "launch/command/commands.h"
#include "launch/command/inspect_checkpoint.h"
#include "launch/command/options.h"

#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "usage: likeness inspect SHARDS... [--verify] [--contact-sheet FILE.png] [--samples N] [--values]\n"
    "\n"
    "SHARDS are folders of shards or single ones, which together are one data set. Says what is in them: schema, counts, content hash,\n"
    "where they come from.\n"
    "\n"
    "      --verify           read every sample and check its checksum, and print statistics of the parameters\n"
    "      --contact-sheet F  a picture of samples with their parameters\n"
    "      --samples N        how many it shows (24)\n"
    "      --values           print the statistics of every continuous parameter, not only a summary\n"
    "      --threads N        (the cores)\n"
    "\n"
    "       likeness inspect CHECKPOINT|RUN [--config]\n"
    "\n"
    "Checks all hashes and says what is in a checkpoint; of a run, which of its checkpoints are whole.\n"
    "\n"
    "      --config           print the configuration that the checkpoint holds\n";

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
    for (int i = 0; i < count; i++) {
        lk_dataset *one;
        if (count == 1)
            break;
        LK_TRY(lk_dataset_open(&paths[i], 1, &one));
        lk_hash_hex(lk_dataset_content_hash(one), hash);
        printf("  %s: %" PRId64 " samples, content hash %s\n", paths[i], lk_dataset_count(one), hash);
        lk_dataset_close(one);
    }
    return LK_OK;
}

typedef struct inspect_options {
    const char *sheet;
    int samples, threads;
    bool verify, values, config, help;
} inspect_options;

static lk_status parse_options(int argc, char **argv, inspect_options *o)
{
    enum { VERIFY = 256, SHEET, SAMPLES, VALUES, THREADS, CONFIG };
    static const struct option LONG[] = {{"verify", no_argument, NULL, VERIFY},
                                         {"contact-sheet", required_argument, NULL, SHEET},
                                         {"samples", required_argument, NULL, SAMPLES},
                                         {"values", no_argument, NULL, VALUES},
                                         {"threads", required_argument, NULL, THREADS},
                                         {"config", no_argument, NULL, CONFIG},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    optind = 1;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":h", LONG, NULL)) != -1;) {
        lk_status status = LK_OK;
        switch (c) {
        case 'h': o->help = true; return LK_OK;
        case VERIFY: o->verify = true; break;
        case SHEET: o->sheet = optarg; break;
        case SAMPLES: status = lk_option_whole_int("inspect", "samples", optarg, 1, 400, &o->samples); break;
        case CONFIG: o->config = true; break;
        case VALUES: o->values = o->verify = true; break;
        case THREADS: status = lk_option_whole_int("inspect", "threads", optarg, 1, 256, &o->threads); break;
        default: return lk_option_unknown("inspect", c, argv, optind);
        }
        LK_TRY(status);
    }
    if (optind == argc)
        return lk_fail(LK_USAGE, "inspect: needs a folder of shards, a shard or a checkpoint; likeness inspect --help says more");
    return LK_OK;
}

lk_status lk_command_inspect(int argc, char **argv)
{
    inspect_options o = {.samples = 24, .threads = lk_core_count()};
    LK_TRY(parse_options(argc, argv, &o));
    if (o.help) {
        fputs(HELP, stdout);
        return LK_OK;
    }
    const char *const *paths = (const char *const *)argv + optind;
    int count = argc - optind;
    if (count == 1 && lk_inspects_checkpoints(paths[0]))
        return lk_inspect_checkpoints(paths[0], o.config);
    inspection in = {.threads = o.threads, .lock = PTHREAD_MUTEX_INITIALIZER};
    LK_TRY(lk_dataset_open(paths, count, &in.dataset));
    lk_status status = describe(in.dataset, paths, count);
    if (status == LK_OK && o.verify)
        status = verify(&in, o.values);
    if (status == LK_OK && o.sheet)
        status = lk_draw_contact_sheet(in.dataset, o.samples, o.sheet);
    for (int i = 0; in.images && i < in.threads; i++)
        free(in.images[i]);
    free(in.images);
    free(in.continuous);
    free(in.discrete);
    lk_dataset_close(in.dataset);
    return status;
}
