/* likeness bench (commands.h): how fast this machine trains, loads and exchanges. */
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "collectives/deadline.h"
#include "collectives/group.h"
#include "launch/bench/collectives.h"
#include "launch/bench/kernels.h"
#include "launch/bench/loader.h"
#include "launch/bench/peak.h"
#include "launch/bench/step.h"
#include "launch/command/bench_scale.h"
#include "launch/command/commands.h"
#include "trainer/training.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOADER_SIZE = 128, LOADER_BATCH = 32, LOADER_THREADS = 2, REPEATS = 11 };

typedef struct bench_options {
    bool step, loader, collectives, peak, kernels, scale_asked, json;
    lk_bench_plan plan;
    lk_set_list sets;
    int seconds, megabytes, threads, faces, block;
    bool cold;
    lk_scale_values scale;
} bench_options;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "config", "FILE",
     "shape, batch, precision of step and kernels, device of step and\n"
     "collectives; else, of the step, the demo's encoder in float32, 16 faces a\nrank",
     LK_TARGET(bench_options, plan.config)},
    LK_SET_OPTION(bench_options, sets),
    {LK_OPTION_INT, "steps", "N", "timed steps after two that warm up", LK_TARGET(bench_options, plan.steps), .low = 1,
     .high = 100000},
    {LK_OPTION_INT, "seconds", "S", "how long the loader is timed", LK_TARGET(bench_options, seconds), .low = 1, .high = 3600},
    {LK_OPTION_INT, "faces", "N", "what the loader reads", LK_TARGET(bench_options, faces), .low = 1, .high = 100000000},
    {LK_OPTION_INT, "block", "N", "data.block of the loader", LK_TARGET(bench_options, block), .low = 1, .high = 65536},
    {LK_OPTION_FLAG, "cold", NULL,
     "the loader's pictures come from the disk: one pass, after the page cache\nwas emptied of them",
     LK_TARGET(bench_options, cold)},
    {LK_OPTION_INT, "megabytes", "M", "gradients that are exchanged, in buckets of 25", LK_TARGET(bench_options, megabytes),
     .low = 1, .high = 4096},
    {LK_OPTION_INT, "threads", "N", "of peak and kernels; else one for each core", LK_TARGET(bench_options, threads), .low = 1,
     .high = 1024},
    {LK_OPTION_PATH, "folder", "F",
     "work there and leave shards and weights for other programs, and for the next\ntime; else a temporary folder",
     LK_TARGET(bench_options, plan.folder)},
    {LK_OPTION_FLAG, "json", NULL, "one JSON object instead of the table", LK_TARGET(bench_options, json)},
    LK_SCALE_OPTIONS(bench_options),
    {0}};

/* ---- measuring ---- */

/* On rank 0 alone: the ranks of a host would only share its cores. */
static lk_status bench_loader(const bench_options *o, lk_loader_speed *out)
{
    const lk_loader_plan plan = {.batch = LOADER_BATCH,
                                 .threads = LOADER_THREADS,
                                 .prefetch = 4,
                                 .block = o->block,
                                 .seconds = o->seconds,
                                 .cold = o->cold};
    char name[32], path[LK_PATH_SIZE];
    const char *paths[1] = {path};
    lk_dataset *dataset;
    lk_path_kind kind;
    snprintf(name, sizeof name, "loader-%lld", (long long)o->faces);
    LK_TRY(lk_path_join(path, o->plan.folder, name));
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        LK_TRY(lk_bench_make_shards(path, LOADER_SIZE, o->faces, 0));
    LK_TRY(lk_dataset_open(paths, 1, &dataset));
    int64_t count = lk_dataset_count(dataset);
    if (count != o->faces) {
        lk_dataset_close(dataset);
        return lk_fail(LK_BAD_DATA,
                       "%s: holds %lld faces, so it is not, or not all, what bench makes; remove it, or give another --folder",
                       path, (long long)count);
    }
    lk_status status = lk_bench_loader(dataset, &plan, out);
    lk_dataset_close(dataset);
    return status;
}

static lk_status bench_peak(lk_process_group *group, const bench_options *o, lk_peaks *out)
{
    return lk_group_agree(group, group->rank == 0 ? lk_bench_peak(o->threads ? o->threads : lk_core_count(), out) : LK_OK);
}

/* ---- telling: of each part as soon as it is measured, by rank 0; into `json` where one is wanted ---- */

static void tell_step(const lk_step_speed *s, json_t *json)
{
    if (json) {
        json_object_set_new(
            json, "step",
            json_pack("{s:i, s:i, s:i, s:i, s:i, s:f, s:f, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I}", "size",
                      s->size, "ranks", s->ranks, "threads", s->threads, "global_batch", s->global_batch, "micro_batch",
                      s->micro_batch, "width", s->width, "decoder_width", s->decoder_width, "norm", s->norm, "precision",
                      s->precision, "step_ms", s->median_ms, "best_step_ms", s->best_ms, "samples_per_s", s->samples_per_s,
                      "data_wait_share", s->data_wait_share, "comm_exposed_ms", s->exposed_ms, "first_step_s", s->first_step_s,
                      "peak_mb", s->peak_mb, "step_cpu_ms", s->cpu_ms, "page_faults", (json_int_t)s->page_faults));
        return;
    }
    printf("step         encoder %d px, width %g, norm %s, %s, batch %d (micro-batches of %d), "
           "%d rank%s x %d thread%s\n",
           s->size, s->width, s->norm, s->precision, s->global_batch, s->micro_batch, s->ranks, s->ranks == 1 ? "" : "s",
           s->threads, s->threads == 1 ? "" : "s");
    printf("             %10.1f samples/s\n", s->samples_per_s);
    printf("             %10.1f ms a step (median; best %.1f)\n", s->median_ms, s->best_ms);
    printf("             %10.1f ms of computing a rank, of all its threads\n", s->cpu_ms);
    printf("             %10.2f ms of exchange that backward did not hide\n", s->exposed_ms);
    printf("             %10.3f %% of a step waiting for data\n", 100 * s->data_wait_share);
    printf("             %10.2f s from the start of the process to the end of the first step\n", s->first_step_s);
    printf("             %10.0f MB of memory at most a rank, %" PRId64 " page faults at most in a step\n", s->peak_mb,
           s->page_faults);
}

static void tell_loader(const bench_options *o, const lk_loader_speed *s, json_t *json)
{
    if (json) {
        json_object_set_new(json, "loader",
                            json_pack("{s:f, s:f, s:f, s:f, s:i, s:f, s:f}", "samples_per_s", s->samples_per_s, "bytes_per_s",
                                      s->bytes_per_s, "first_batch_ms", s->first_batch_ms, "disk_share", s->disk_share, "block",
                                      o->block, "runs_in_a_step", s->runs, "met_share", s->met));
        return;
    }
    printf("loader       %d x %d px, %d threads, batches of %d, checksums verified%s\n", LOADER_SIZE, LOADER_SIZE, LOADER_THREADS,
           LOADER_BATCH, o->cold ? ", from the disk" : "");
    printf("             %10.0f samples/s, %.2f GB/s, first batch after %.1f ms\n", s->samples_per_s, 1e-9 * s->bytes_per_s,
           s->first_batch_ms);
    if (o->cold)
        printf("             %10.2f bytes from the disk for each of the pictures\n", s->disk_share);
    if (o->block > 1)
        printf("             %10.1f runs of %d in a step of %d; %.2f %% of its samples have their next neighbour in it\n",
               s->runs, o->block, LK_BENCH_MIXED, 100 * s->met);
}

static void tell_exchanges(const lk_exchange_plan *plan, const lk_exchange_speed *exchanges, int count, int ranks, json_t *json)
{
    json_t *all = json ? json_array() : NULL;
    double megabytes = 1e-6 * (double)plan->bytes;
    if (!json && count == 0)
        printf("collectives  one rank exchanges nothing; start with mpirun -n 2 or more\n");
    else if (!json)
        printf("collectives  %d rank%s, %g MB of gradients in buckets of %g MB%s, %s\n", ranks, ranks == 1 ? "" : "s", megabytes,
               (double)plan->options.bucket_bytes / (1 << 20), plan->options.bf16 ? " as bfloat16" : "",
               lk_device_name(plan->device));
    for (int i = 0; i < count; i++) {
        const lk_exchange_speed *e = &exchanges[i];
        if (json)
            json_array_append_new(all, json_pack("{s:b, s:f, s:f, s:f, s:f}", "reproducible", e->reproducible, "exchange_ms",
                                                 e->exchange_ms, "compute_ms", e->compute_ms, "together_ms", e->together_ms,
                                                 "hidden", e->hidden));
        else
            printf("             %10.2f ms %-12s (%.2f GB/s), %.2f ms of arithmetic, %.2f ms together: %.0f %% hidden\n",
                   e->exchange_ms, e->reproducible ? "reproducible" : "allreduce", megabytes / e->exchange_ms, e->compute_ms,
                   e->together_ms, 100 * e->hidden);
    }
    if (json)
        json_object_set_new(json, "collectives", all);
}

static void tell_peak(const lk_peaks *p, json_t *json)
{
    if (json)
        json_object_set_new(json, "peak",
                            json_pack("{s:i, s:f, s:f}", "threads", p->threads, "f32_gflops", p->f32, "bf16_gflops", p->bf16));
    else
        printf("peak         %d thread%s, products and sums out of registers\n"
               "             %10.0f GFLOP/s in f32, %.0f in bf16\n",
               p->threads, p->threads == 1 ? "" : "s", p->f32, p->bf16);
}

/* A line for each; what it is of stands above where it begins. */
static void tell_kernel(const lk_kernel_speed *k, void *context)
{
    json_t *rows = context;
    if (rows) {
        json_array_append_new(
            rows, json_pack("{s:s, s:i, s:s, s:i, s:i, s:i, s:i, s:b, s:b, s:b, s:s, s:s, s:s, s:b, s:f, s:f, s:f, s:f}", "layer",
                            k->layer, "layers", k->layers, "precision", k->precision, "batch", k->batch, "size", k->size, "in",
                            k->in, "out", k->out, "transposed", k->transposed, "relu", k->relu, "pool", k->pool, "direction",
                            k->direction, "kernel", k->kernel, "instructions", k->instructions, "chosen", k->chosen, "ms", k->ms,
                            "gflops", k->gflops, "share", k->share, "error", k->error));
        return;
    }
    if (strcmp(k->kernel, "torch") == 0 && strcmp(k->direction, "forward") == 0)
        printf("%s, %s: %d x %d x %d, %d to %d%s%s%s%s%.0d\n", k->layer, k->precision, k->batch, k->size, k->size, k->in, k->out,
               k->transposed ? ", transposed" : "", k->relu ? ", relu" : "", k->pool ? ", pool" : "",
               k->layers > 1 ? "; layers like it: " : "", k->layers > 1 ? k->layers : 0);
    printf("    %-15s %-10s %-8s %c %8.2f ms %6.0f GFLOP/s %4.0f %%   error %.1e\n", k->direction, k->kernel, k->instructions,
           k->chosen ? '*' : ' ', k->ms, k->gflops, 100 * k->share, k->error);
    fflush(stdout);
}

/* On rank 0 alone. */
static lk_status bench_kernels(const bench_options *o, json_t *json)
{
    lk_peaks peaks;
    lk_config *config = NULL;
    if (o->plan.config || o->plan.set_count > 0)
        LK_TRY(lk_bench_config(&o->plan, 1, &config));
    lk_status status = lk_bench_peak(o->threads ? o->threads : lk_core_count(), &peaks);
    if (status == LK_OK) {
        json_t *rows = json ? json_array() : NULL;
        tell_peak(&peaks, json);
        if (!json)
            puts("kernels      *: what training takes; %: of the peak, by the sums and products of the convolution as written");
        status = lk_bench_kernels(config, &peaks, tell_kernel, rows);
        if (json)
            json_object_set_new(json, "kernels", rows);
    }
    lk_config_free(config);
    return status;
}

/* As --config and --set have it, where one of them is given. The steps may have been on a GPU already. */
static lk_status plan_exchange(lk_process_group *group, const bench_options *o, lk_exchange_plan *plan)
{
    char told[LK_DEVICE_TOLD];
    lk_config *config = NULL;
    *plan = (lk_exchange_plan){.device = lk_device_host(),
                               .bytes = (size_t)o->megabytes * 1000000,
                               .repeats = REPEATS,
                               .patience = LK_USUAL_PATIENCE,
                               .options = {.bucket_bytes = 25u << 20}};
    if (!o->plan.config && o->plan.set_count == 0)
        return LK_OK;
    lk_status status = lk_group_agree(group, lk_bench_config(&o->plan, group->size, &config));
    if (status == LK_OK && lk_tensor_on_host())
        status = lk_group_agree(group, lk_training_start_device(config, group, 0, told));
    if (status == LK_OK)
        status = lk_training_exchange(config, &plan->options);
    plan->device = lk_tensor_device();
    plan->patience = config ? config->stall.abort_s : 0;
    lk_config_free(config);
    return status;
}

/* The step comes first, so that its peak of memory is its own. */
static lk_status measure(lk_process_group *group, const bench_options *o, json_t *json)
{
    bool tells = group->rank == 0;
    lk_step_speed step;
    lk_loader_speed loader;
    lk_exchange_speed exchanges[2];
    lk_peaks peaks;
    int count = 0;
    if (o->step) {
        LK_TRY(lk_bench_step(group, &o->plan, &step));
        if (tells)
            tell_step(&step, json);
    }
    if (o->loader) {
        LK_TRY(lk_group_agree(group, tells ? bench_loader(o, &loader) : LK_OK));
        if (tells)
            tell_loader(o, &loader, json);
    }
    if (o->collectives) {
        lk_exchange_plan plan;
        LK_TRY(plan_exchange(group, o, &plan));
        LK_TRY(lk_group_agree(group, lk_bench_collectives(group, &plan, exchanges, &count)));
        if (tells)
            tell_exchanges(&plan, exchanges, count, group->size, json);
    }
    if (o->peak && !o->kernels) {
        LK_TRY(bench_peak(group, o, &peaks));
        if (tells)
            tell_peak(&peaks, json);
    }
    if (o->kernels)
        LK_TRY(lk_group_agree(group, tells ? bench_kernels(o, json) : LK_OK));
    return LK_OK;
}

static lk_status tell_scale(const lk_scale_values *values, json_t *json)
{
    json_t *rows = NULL;
    if (!json)
        return lk_scale_print(values);
    lk_status status = lk_scale_json(values, &rows);
    json_object_set_new(json, "scale", rows);
    return status;
}

static lk_status print_json(const json_t *json)
{
    char *text = json_dumps(json, JSON_REAL_PRECISION(9));
    if (!text)
        return lk_fail(LK_INTERNAL, "bench: out of memory for the results");
    puts(text);
    free(text);
    return LK_OK;
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
    json_t *json = o->json ? json_object() : NULL;
    const char *wanted = o->plan.folder;
    LK_TRY(make_folder(group, wanted, folder));
    o->plan.folder = folder;
    lk_status status = measure(group, o, json);
    if (status == LK_OK && group->rank == 0 && o->scale_asked)
        status = tell_scale(&o->scale, json);
    if (status == LK_OK && group->rank == 0 && json)
        status = print_json(json);
    json_decref(json);
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
        o->peak |= strcmp(parts[i], "peak") == 0;
        o->kernels |= strcmp(parts[i], "kernels") == 0;
        o->scale_asked |= strcmp(parts[i], "scale") == 0;
    }
    if (count == 0)
        o->step = o->loader = o->collectives = true;
    o->plan.sets = o->sets.items;
    o->plan.set_count = o->sets.count;
    lk_process_group group;
    LK_TRY(lk_deadline_set("while the ranks start", LK_USUAL_PATIENCE));
    LK_TRY(lk_group_open(&group));
    lk_deadline_clear();
    lk_status status = bench(&group, o);
    lk_group_close(&group);
    return status;
}

const lk_command lk_command_bench = {
    .name = "bench",
    .summary = "measure the training step, the loader and the exchange of gradients",
    .usage = "[step] [loader] [collectives] [peak] [kernels] [scale] [OPTIONS]     (none named: the first three)",
    .about =
        "  step          training steps of the encoder stage on random faces: time, samples/s, memory, time to the first step\n"
        "  loader        samples/s of 3 x 128 x 128 pictures, shuffled, checksums verified, 2 threads, batches of 32\n"
        "  collectives   exchange of gradients alone and beside arithmetic, where and how --config and --set say (train.device,\n"
        "                collectives); under mpirun -n 2 or more, or with collectives.reducer=nccl\n"
        "  peak          what the CPU computes at most: products and sums out of registers, to set other figures beside\n"
        "  kernels       every convolution of the models, by libtorch and by each of our kernels that suits it: time, share of\n"
        "                the peak, error against float64; of full size and of the demo, or of --config and --set\n"
        "  scale         measures nothing: what a step would take on many GPUs, from parts that were measured on few",
    .options = option_table,
    .size = sizeof(bench_options),
    .defaults =
        &(bench_options){
            .plan = {.steps = 20}, .seconds = 2, .megabytes = 100, .faces = 2000, .block = 1, .scale = LK_SCALE_DEFAULTS},
    .most = LK_ANY_NUMBER,
    .choices = "step|loader|collectives|peak|kernels|scale",
    .run = run};
