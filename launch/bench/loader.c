#include "launch/bench/loader.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/random.h"
#include "dataset/loader.h"
#include "dataset/sampler.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARD_SAMPLES = 1000, CONTINUOUS = 100, GROUPS = 8 };

/* ---- shards to read ---- */

static lk_status make_schema(lk_schema **out)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return lk_fail(LK_INTERNAL, "out of memory for a schema");
    fputs("name: bench\ncontinuous:\n", stream);
    for (int i = 0; i < CONTINUOUS; i++)
        fprintf(stream, "  - {name: c%d, min: 0, max: 1, default: 0}\n", i);
    fputs("discrete:\n", stream);
    for (int i = 0; i < GROUPS; i++)
        fprintf(stream, "  - {name: g%d, choices: [a, b, c, d]}\n", i);
    if (fclose(stream) != 0)
        return lk_fail(LK_INTERNAL, "out of memory for a schema");
    lk_status status = lk_schema_parse(text, "bench", out);
    free(text);
    return status;
}

static void make_picture(lk_random *random, int size, bool smooth, uint8_t *image)
{
    uint32_t tint = lk_random_bits(random);
    for (int i = 0; i < size * size * 3; i++)
        image[i] = smooth ? (uint8_t)(tint + (uint32_t)(i / size / 3 + i / 3 % size)) : (uint8_t)lk_random_bits(random);
}

static lk_status write_shard(const char *path, const lk_schema *schema, int size, int64_t first, int64_t count, int jpeg_quality,
                             uint8_t *image)
{
    lk_shard_writer *writer;
    LK_TRY(lk_shard_create(path, schema, size, count, jpeg_quality, "random pixels of likeness bench", &writer));
    lk_status status = LK_OK;
    for (int64_t i = first; i < first + count && status == LK_OK; i++) {
        lk_random random = lk_random_make(1, (uint64_t)i);
        float continuous[CONTINUOUS];
        uint8_t discrete[GROUPS];
        char key[32];
        make_picture(&random, size, jpeg_quality > 0, image);
        for (int k = 0; k < CONTINUOUS; k++)
            continuous[k] = lk_random_uniform(&random);
        for (int k = 0; k < GROUPS; k++)
            discrete[k] = (uint8_t)lk_random_below(&random, 4);
        snprintf(key, sizeof key, "bench-%08lld", (long long)i);
        const lk_sample sample = {image, continuous, discrete, key};
        status = lk_shard_append(writer, &sample);
    }
    if (status == LK_OK)
        return lk_shard_commit(writer);
    lk_shard_abort(writer);
    return status;
}

lk_status lk_bench_make_shards(const char *folder, int size, int64_t count, int jpeg_quality)
{
    lk_schema *schema = NULL;
    uint8_t *image = malloc((size_t)size * (size_t)size * 3);
    lk_status status = image ? lk_make_folder(folder) : lk_fail(LK_INTERNAL, "out of memory for a picture");
    if (status == LK_OK)
        status = make_schema(&schema);
    for (int64_t first = 0; first < count && status == LK_OK; first += SHARD_SAMPLES) {
        char name[64], path[LK_PATH_SIZE];
        snprintf(name, sizeof name, "shard-%05lld.h5", (long long)(first / SHARD_SAMPLES));
        status = lk_path_join(path, folder, name);
        if (status == LK_OK)
            status = write_shard(path, schema, size, first, count - first < SHARD_SAMPLES ? count - first : SHARD_SAMPLES,
                                 jpeg_quality, image);
    }
    lk_schema_free(schema);
    free(image);
    return status;
}

/* ---- reading them ---- */

typedef struct reading {
    lk_sampler sampler;
    int batch;
} reading;

static int endless_order(const void *context, int64_t number, int batch_size, int64_t *indices)
{
    const lk_sampler *sampler = &((const reading *)context)->sampler;
    for (int i = 0; i < batch_size; i++) {
        int64_t position = number * batch_size + i;
        indices[i] = lk_sampler_at(sampler, position / sampler->count, position % sampler->count);
    }
    return batch_size;
}

/* Takes and releases batches until `samples` have come and `seconds` have passed. */
static lk_status drain(lk_loader *loader, int64_t samples, double seconds, int64_t *taken)
{
    double start = lk_clock();
    *taken = 0;
    while (*taken < samples || lk_clock() - start < seconds) {
        const lk_batch *batch;
        LK_TRY(lk_loader_next(loader, &batch));
        *taken += batch->count;
        lk_loader_release(loader, batch);
    }
    return LK_OK;
}

static int64_t endless_epoch(const void *context, int64_t number)
{
    const reading *r = context;
    return number * r->batch / r->sampler.count;
}

static int by_number(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void judge_shuffle(const lk_sampler *sampler, lk_loader_speed *out)
{
    int64_t of_step[LK_BENCH_MIXED], steps = sampler->count / LK_BENCH_MIXED, runs = 0, met = 0;
    int block = sampler->block > 0 ? sampler->block : 1;
    for (int64_t step = 0; step < steps; step++) {
        for (int i = 0; i < LK_BENCH_MIXED; i++)
            of_step[i] = lk_sampler_at(sampler, 0, step * LK_BENCH_MIXED + i);
        qsort(of_step, LK_BENCH_MIXED, sizeof *of_step, by_number);
        for (int i = 0; i < LK_BENCH_MIXED; i++) {
            runs += i == 0 || of_step[i] / block != of_step[i - 1] / block;
            met += i > 0 && of_step[i] == of_step[i - 1] + 1;
        }
    }
    out->runs = steps > 0 ? (double)runs / (double)steps : 0;
    out->met = steps > 0 ? (double)met / (double)(steps * LK_BENCH_MIXED) : 0;
}

/* What this process had read from disks. */
static double bytes_read(void)
{
    char line[128];
    double bytes = 0;
    FILE *file = fopen("/proc/self/io", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "read_bytes:", 11) == 0)
            bytes = strtod(line + 11, NULL);
    if (file)
        fclose(file);
    return bytes;
}

lk_status lk_bench_loader(const lk_dataset *dataset, const lk_loader_plan *plan, lk_loader_speed *out)
{
    const reading r = {.sampler = {.count = lk_dataset_count(dataset),
                                   .seed = 1,
                                   .shuffle = true,
                                   .block = plan->block,
                                   .window = LK_SAMPLER_WINDOW,
                                   .batch = LK_BENCH_MIXED},
                       .batch = plan->batch};
    const lk_loader_options options = {.batch_size = plan->batch,
                                       .threads = plan->threads,
                                       .prefetch = plan->prefetch,
                                       .block = plan->block,
                                       .order = endless_order,
                                       .epoch = endless_epoch,
                                       .context = &r};
    int64_t first = 0;
    lk_loader *loader;
    judge_shuffle(&r.sampler, out);
    if (plan->cold)
        lk_dataset_forget(dataset);
    double start = lk_clock(), before = bytes_read();
    LK_TRY(lk_loader_start(dataset, &options, &loader));
    lk_status status;
    LK_TRY_OR(done, drain(loader, 1, 0, &first));
    out->first_batch_ms = 1e3 * (lk_clock() - start);
    if (plan->cold) {
        LK_TRY_OR(done, drain(loader, r.sampler.count - first, 0, &out->samples));
        out->samples += first;
    } else {
        LK_TRY_OR(done, drain(loader, r.sampler.count, 0, &first));
        start = lk_clock();
        LK_TRY_OR(done, drain(loader, 1, plan->seconds, &out->samples));
    }
    double passed = lk_clock() - start;
    double edge = lk_dataset_size(dataset), picture = edge * edge * 3;
    out->samples_per_s = (double)out->samples / passed;
    out->bytes_per_s = out->samples_per_s * picture;
    out->disk_share = plan->cold ? (bytes_read() - before) / (picture * (double)out->samples) : 0;
done:
    lk_loader_stop(loader);
    return status;
}
