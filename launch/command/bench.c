/* likeness bench (commands.h): how fast this machine trains, loads and exchanges. */
#include "base/file.h"
#include "base/log.h"
#include "collectives/group.h"
#include "launch/bench/collectives.h"
#include "launch/bench/loader.h"
#include "launch/bench/step.h"
#include "launch/command/commands.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOADER_SIZE = 128, LOADER_BATCH = 32, LOADER_THREADS = 2, LOADER_FACES = 2000, REPEATS = 11 };

typedef struct bench_options {
    bool step, loader, collectives, json;
    lk_bench_plan plan;
    lk_set_list sets;
    int seconds, megabytes;
} bench_options;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "config", "FILE",
     "shape, batch, precision of the step; else the demo's encoder in float32,\n16 faces a rank",
     LK_TARGET(bench_options, plan.config)},
    LK_SET_OPTION(bench_options, sets),
    {LK_OPTION_INT, "steps", "N", "timed steps after two that warm up", LK_TARGET(bench_options, plan.steps), .low = 1,
     .high = 100000},
    {LK_OPTION_INT, "seconds", "S", "how long the loader is timed", LK_TARGET(bench_options, seconds), .low = 1, .high = 3600},
    {LK_OPTION_INT, "megabytes", "M", "gradients that are exchanged, in buckets of 25", LK_TARGET(bench_options, megabytes),
     .low = 1, .high = 4096},
    {LK_OPTION_PATH, "folder", "F", "work there and leave the shards and weights for other programs; else a\ntemporary folder",
     LK_TARGET(bench_options, plan.folder)},
    {LK_OPTION_FLAG, "json", NULL, "one JSON object instead of the table", LK_TARGET(bench_options, json)},
    {0}};

typedef struct bench_results {
    lk_step_speed step;
    lk_loader_speed loader;
    lk_exchange_speed exchanges[2];
    int exchange_count;
} bench_results;

/* ---- measuring ---- */

/* On rank 0 alone: the ranks of a host would only share its cores. */
static lk_status bench_loader(const char *folder, int seconds, lk_loader_speed *out)
{
    char path[LK_PATH_SIZE];
    const char *paths[1] = {path};
    lk_dataset *dataset;
    LK_TRY(lk_path_join(path, folder, "loader"));
    LK_TRY(lk_remove_tree(path));
    LK_TRY(lk_bench_make_shards(path, LOADER_SIZE, LOADER_FACES, 0));
    LK_TRY(lk_dataset_open(paths, 1, &dataset));
    lk_status status = lk_bench_loader(dataset, LOADER_BATCH, LOADER_THREADS, 4, seconds, out);
    lk_dataset_close(dataset);
    return status;
}

/* The step comes first, so that its peak of memory is its own. */
static lk_status measure(lk_process_group *group, const bench_options *o, bench_results *r)
{
    if (o->step)
        LK_TRY(lk_bench_step(group, &o->plan, &r->step));
    if (o->loader)
        LK_TRY(lk_group_agree(group, group->rank == 0 ? bench_loader(o->plan.folder, o->seconds, &r->loader) : LK_OK));
    if (o->collectives)
        LK_TRY(lk_group_agree(group, lk_bench_collectives(group, (size_t)o->megabytes * 1000000, 25u << 20, REPEATS, r->exchanges,
                                                          &r->exchange_count)));
    return LK_OK;
}

/* ---- telling ---- */

static void print_step(const lk_step_speed *s)
{
    printf("step         encoder %d px, width %g, norm %s, %s, batch %d (micro-batches of %d), "
           "%d rank%s x %d thread%s\n",
           s->size, s->width, s->norm, s->precision, s->global_batch, s->micro_batch, s->ranks, s->ranks == 1 ? "" : "s",
           s->threads, s->threads == 1 ? "" : "s");
    printf("             %10.1f samples/s\n", s->samples_per_s);
    printf("             %10.1f ms a step (median; best %.1f)\n", s->median_ms, s->best_ms);
    printf("             %10.2f ms of exchange that backward did not hide\n", s->exposed_ms);
    printf("             %10.3f %% of a step waiting for data\n", 100 * s->data_wait_share);
    printf("             %10.2f s from the start of the process to the end of the first step\n", s->first_step_s);
    printf("             %10.0f MB of memory at most a rank\n", s->peak_mb);
}

static void print_table(const bench_options *o, const bench_results *r, int ranks)
{
    if (o->step)
        print_step(&r->step);
    if (o->loader)
        printf("loader       %d x %d px, %d threads, batches of %d, checksums verified\n"
               "             %10.0f samples/s, %.2f GB/s, first batch after %.1f ms\n",
               LOADER_SIZE, LOADER_SIZE, LOADER_THREADS, LOADER_BATCH, r->loader.samples_per_s, 1e-9 * r->loader.bytes_per_s,
               r->loader.first_batch_ms);
    if (o->collectives && ranks == 1)
        printf("collectives  one rank exchanges nothing; start with mpirun -n 2 or more\n");
    else if (o->collectives)
        printf("collectives  %d ranks, %d MB of gradients in buckets of 25 MB\n", ranks, o->megabytes);
    for (int i = 0; i < r->exchange_count; i++) {
        const lk_exchange_speed *e = &r->exchanges[i];
        printf("             %10.2f ms %-12s (%.2f GB/s), %.2f ms of arithmetic, %.2f ms together: %.0f %% hidden\n",
               e->exchange_ms, e->reproducible ? "reproducible" : "allreduce", o->megabytes / e->exchange_ms, e->compute_ms,
               e->together_ms, 100 * e->hidden);
    }
}

static json_t *step_json(const lk_step_speed *s)
{
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "size", s->size, "ranks",
                     s->ranks, "threads", s->threads, "global_batch", s->global_batch, "micro_batch", s->micro_batch, "width",
                     s->width, "decoder_width", s->decoder_width, "norm", s->norm, "precision", s->precision, "step_ms",
                     s->median_ms, "best_step_ms", s->best_ms, "samples_per_s", s->samples_per_s, "data_wait_share",
                     s->data_wait_share, "comm_exposed_ms", s->exposed_ms, "first_step_s", s->first_step_s, "peak_mb",
                     s->peak_mb);
}

static lk_status print_json(const bench_options *o, const bench_results *r)
{
    json_t *root = json_object();
    json_t *exchanges = json_array();
    if (o->step)
        json_object_set_new(root, "step", step_json(&r->step));
    if (o->loader)
        json_object_set_new(root, "loader",
                            json_pack("{s:f, s:f, s:f}", "samples_per_s", r->loader.samples_per_s, "bytes_per_s",
                                      r->loader.bytes_per_s, "first_batch_ms", r->loader.first_batch_ms));
    for (int i = 0; i < r->exchange_count; i++) {
        const lk_exchange_speed *e = &r->exchanges[i];
        json_array_append_new(exchanges, json_pack("{s:b, s:f, s:f, s:f, s:f}", "reproducible", e->reproducible, "exchange_ms",
                                                   e->exchange_ms, "compute_ms", e->compute_ms, "together_ms", e->together_ms,
                                                   "hidden", e->hidden));
    }
    if (o->collectives)
        json_object_set(root, "collectives", exchanges);
    char *text = json_dumps(root, JSON_REAL_PRECISION(9));
    lk_status status = text ? LK_OK : lk_fail(LK_INTERNAL, "bench: out of memory for the results");
    if (text)
        puts(text);
    free(text);
    json_decref(exchanges);
    json_decref(root);
    return status;
}

/* ---- where ---- */

/* One folder for all ranks, from rank 0; path[LK_PATH_SIZE]. */
static lk_status make_folder(lk_process_group *group, const char *wanted, char *path)
{
    lk_status status = LK_OK;
    if (group->rank == 0 && wanted) {
        snprintf(path, LK_PATH_SIZE, "%s", wanted);
        status = lk_make_folder(path);
    } else if (group->rank == 0) {
        const char *base = getenv("TMPDIR");
        snprintf(path, LK_PATH_SIZE, "%s/likeness-bench-XXXXXX", base && *base ? base : "/tmp");
        if (!mkdtemp(path))
            status = lk_fail_io("make", path, errno, 0);
    }
    LK_TRY(lk_group_agree(group, status));
    lk_group_broadcast(group, path, LK_PATH_SIZE, 0);
    return LK_OK;
}

static lk_status bench(lk_process_group *group, bench_options *o)
{
    char folder[LK_PATH_SIZE] = "";
    bench_results results = {0};
    const char *wanted = o->plan.folder;
    LK_TRY(make_folder(group, wanted, folder));
    o->plan.folder = folder;
    lk_status status = measure(group, o, &results);
    if (status == LK_OK && group->rank == 0) {
        if (o->json)
            status = print_json(o, &results);
        else
            print_table(o, &results, group->size);
    }
    lk_error error;
    lk_error_take(&error, status);
    if (group->rank == 0 && !wanted && lk_remove_tree(folder) != LK_OK)
        lk_warn("%s", lk_error_text());
    return lk_error_put(&error);
}

static lk_status run(void *values, char **parts, int count)
{
    bench_options *o = values;
    for (int i = 0; i < count; i++) {
        o->step |= strcmp(parts[i], "step") == 0;
        o->loader |= strcmp(parts[i], "loader") == 0;
        o->collectives |= strcmp(parts[i], "collectives") == 0;
    }
    if (count == 0)
        o->step = o->loader = o->collectives = true;
    o->plan.sets = o->sets.items;
    o->plan.set_count = o->sets.count;
    lk_process_group group;
    LK_TRY(lk_group_open(&group));
    lk_status status = bench(&group, o);
    lk_group_close(&group);
    return status;
}

const lk_command lk_command_bench = {
    .name = "bench",
    .summary = "measure the training step, the loader and the exchange of gradients",
    .usage = "[step] [loader] [collectives] [OPTIONS]     (none named: all three)",
    .about =
        "  step          training steps of the encoder stage on random faces: time, samples/s, memory, time to the first step\n"
        "  loader        samples/s of 3 x 128 x 128 pictures, shuffled, checksums verified, 2 threads, batches of 32\n"
        "  collectives   exchange of gradients alone and beside arithmetic; under mpirun -n 2 or more",
    .options = option_table,
    .size = sizeof(bench_options),
    .defaults = &(bench_options){.plan = {.steps = 20}, .seconds = 2, .megabytes = 100},
    .most = LK_ANY_NUMBER,
    .choices = "step|loader|collectives",
    .run = run};
