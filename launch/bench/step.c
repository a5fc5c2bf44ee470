#include "launch/bench/step.h"

#include "base/clock.h"
#include "base/file.h"
#include "launch/bench/loader.h"
#include "trainer/model/decoder.h"
#include "trainer/model/weights_file.h"
#include "trainer/step.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { MOST_SETS = 64, OWN_SETS = 8, WARM_UP = 2, LEAST_FACES = 256 };

static const char demo_shape[] = "run: {dir: bench, seed: 1}\n"
                                 "data: {train: bench, val: bench, threads: 1}\n"
                                 "model: {size: 64, encoder: {width: 0.25}, decoder: {width: 0.25, weights: bench}}\n"
                                 "train: {stage: encoder, global_batch: %d, micro_batch: 16, steps: 1, precision: f32}\n";

/* ---- what is trained ---- */

static lk_status write_demo_shape(const char *path, int ranks)
{
    char text[sizeof demo_shape + 16];
    snprintf(text, sizeof text, demo_shape, 16 * ranks);
    return lk_write_file(path, text, strlen(text));
}

lk_status lk_bench_config(const lk_bench_plan *plan, int ranks, lk_config **out)
{
    char own[OWN_SETS][LK_PATH_SIZE + 32], path[LK_PATH_SIZE];
    const char *sets[MOST_SETS + OWN_SETS];
    int n = 0;
    LK_TRY(lk_path_join(path, plan->folder, "bench.yaml"));
    LK_TRY(write_demo_shape(path, ranks));
    if (plan->set_count > MOST_SETS)
        return lk_fail(LK_USAGE, "bench: more than %d --set", MOST_SETS);
    for (; n < plan->set_count; n++)
        sets[n] = plan->sets[n];
    snprintf(own[0], sizeof own[0], "run.dir='%s/run'", plan->folder);
    snprintf(own[1], sizeof own[1], "data.train='%s/train'", plan->folder);
    snprintf(own[2], sizeof own[2], "data.val='%s/train'", plan->folder);
    snprintf(own[3], sizeof own[3], "model.decoder.weights='%s/decoder.safetensors'", plan->folder);
    snprintf(own[4], sizeof own[4], "train.steps=%d", WARM_UP + plan->steps);
    snprintf(own[5], sizeof own[5], "train.epochs=0");
    snprintf(own[6], sizeof own[6], "train.stage=encoder");
    snprintf(own[7], sizeof own[7], "model.init=none");
    for (int i = 0; i < OWN_SETS; i++)
        sets[n++] = own[i];
    return lk_config_load(plan->config ? plan->config : path, sets, n, out);
}

static lk_status make_decoder(const lk_config *config, const char *train)
{
    lk_dataset *faces;
    lk_decoder decoder;
    LK_TRY(lk_dataset_open(&train, 1, &faces));
    const lk_schema *schema = lk_dataset_schema(faces);
    lk_decoder_shape shape = {.size = config->model.size,
                              .width = config->model.decoder.width,
                              .inputs = schema->continuous_count + schema->choice_count};
    lk_status status = lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &decoder);
    if (status == LK_OK) {
        status = lk_decoder_initialize(&decoder, 1);
        if (status == LK_OK)
            status = lk_weights_save(config->model.decoder.weights, &decoder.weights, NULL, 0, NULL);
        lk_decoder_free(&decoder);
    }
    lk_dataset_close(faces);
    return status;
}

/* Faces for every step to be of another part of the set, but few enough to make in a second or two. */
static lk_status make_inputs(const lk_config *config)
{
    const char *train = config->data.train.paths.items[0];
    int64_t count = 2 * (int64_t)config->train.global_batch;
    LK_TRY(lk_remove_tree(config->run.dir));
    LK_TRY(lk_remove_tree(train));
    LK_TRY(lk_bench_make_shards(train, config->model.size, count < LEAST_FACES ? LEAST_FACES : count, 0));
    return make_decoder(config, train);
}

/* ---- time and memory ---- */

static double seconds_since_start(void)
{
    char text[1024] = "";
    double ticks = 0;
    struct timespec now;
    FILE *file = fopen("/proc/self/stat", "r");
    if (!file)
        return 0;
    char *line = fgets(text, sizeof text, file);
    fclose(file);
    /* Field 22; the name, field 2, may hold spaces but ends in the last parenthesis. */
    const char *at = line ? strrchr(line, ')') : NULL;
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at)
        ticks = strtod(at, NULL);
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec - ticks / (double)sysconf(_SC_CLK_TCK);
}

/* What a step costs beside the time that it takes. */
typedef struct cost {
    double cpu; /* seconds */
    int64_t faults;
} cost;

static cost cost_so_far(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (cost){(double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                      1e-6 * (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec),
                  usage.ru_minflt + usage.ru_majflt};
}

static double peak_mb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static void keep_slowest(lk_process_group *group, double *values, int count)
{
    for (int i = 0; i < count; i++) {
        int64_t whole = (int64_t)(1e6 * values[i]);
        lk_group_max_i64(group, &whole, 1);
        values[i] = 1e-6 * (double)whole;
    }
}

static int by_seconds(const void *a, const void *b)
{
    double x = ((const lk_step_report *)a)->seconds, y = ((const lk_step_report *)b)->seconds;
    return (x > y) - (x < y);
}

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* All steps of an opened training: cpu[timed steps], in seconds. */
static lk_status run_steps(lk_training *t, double making, lk_step_report *timed, double *cpu, lk_step_speed *out)
{
    lk_step_report warm;
    for (int i = 0; i < (int)t->total_steps; i++) {
        cost before = cost_so_far();
        LK_TRY(lk_training_step(t, i < WARM_UP ? &warm : &timed[i - WARM_UP]));
        cost after = cost_so_far();
        if (i == 0)
            out->first_step_s = seconds_since_start() - making;
        if (i < WARM_UP)
            continue;
        cpu[i - WARM_UP] = after.cpu - before.cpu;
        if (after.faults - before.faults > out->page_faults)
            out->page_faults = after.faults - before.faults;
    }
    return LK_OK;
}

static lk_status time_steps(lk_training *t, double making, lk_step_speed *out)
{
    int steps = (int)t->total_steps - WARM_UP;
    out->micro_batch = t->order.micro_batch; /* which may be auto */
    lk_step_report *timed = calloc((size_t)steps, sizeof *timed);
    double *cpu = calloc((size_t)steps, sizeof *cpu);
    lk_status status = timed && cpu ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %d steps", steps);
    if (status == LK_OK)
        status = run_steps(t, making, timed, cpu, out);
    if (status == LK_OK) {
        qsort(cpu, (size_t)steps, sizeof *cpu, by_number);
        qsort(timed, (size_t)steps, sizeof *timed, by_seconds);
        const lk_step_report *median = &timed[steps / 2];
        double values[] = {1e3 * median->seconds, 1e3 * timed[0].seconds,  median->data_wait / median->seconds,
                           1e3 * median->exposed, out->first_step_s,       peak_mb(),
                           1e3 * cpu[steps / 2],  (double)out->page_faults};
        keep_slowest(t->group, values, sizeof values / sizeof *values);
        out->median_ms = values[0];
        out->best_ms = values[1];
        out->data_wait_share = values[2];
        out->exposed_ms = values[3];
        out->first_step_s = values[4];
        out->peak_mb = values[5];
        out->cpu_ms = values[6];
        out->page_faults = (int64_t)(values[7] + 0.5);
        out->samples_per_s = 1e3 * out->global_batch / out->median_ms;
    }
    free(timed);
    free(cpu);
    return status;
}

static lk_status bench(lk_process_group *group, const lk_config *config, lk_step_speed *out)
{
    double start = lk_clock();
    LK_TRY(lk_group_agree(group, group->rank == 0 ? make_inputs(config) : LK_OK));
    double making = lk_clock() - start;
    *out = (lk_step_speed){.size = config->model.size,
                           .ranks = group->size,
                           .global_batch = config->train.global_batch,
                           .width = config->model.encoder.width,
                           .decoder_width = config->model.decoder.width,
                           .norm = config->model.encoder.norm == LK_NORM_GROUP ? "group" : "none",
                           .precision = config->train.precision == LK_BF16 ? "bf16" : "f32"};
    lk_training training;
    bool finished;
    lk_status status = lk_training_open(&training, config, group, "never", &finished);
    out->threads = training.placement.threads;
    if (status == LK_OK)
        status = time_steps(&training, making, out);
    lk_error error;
    lk_error_take(&error, status);
    lk_training_close(&training);
    return lk_error_put(&error);
}

lk_status lk_bench_step(lk_process_group *group, const lk_bench_plan *plan, lk_step_speed *out)
{
    lk_config *config = NULL;
    lk_status status = lk_group_agree(group, lk_bench_config(plan, group->size, &config));
    if (status == LK_OK)
        status = bench(group, config, out);
    lk_config_free(config);
    return status;
}
