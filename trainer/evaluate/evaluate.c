#include "trainer/evaluate/evaluate.h"

#include "base/file.h"
#include "base/thread.h"
#include "dataset/labels.h"
#include "trainer/model/inference.h"
#include "trainer/model/safetensors.h"
#include "trainer/model/weights_file.h"
#include "trainer/device.h"
#include "trainer/order.h"
#include "trainer/task_encoder.h"
#include "trainer/tensor/loss.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32, STRENGTH_SAMPLES = 64 };
/* Labels that differ from their mean by less are one value: float32's resolution near 1. */
#define SAME_VALUE 1e-7
enum { SUM_F1, SUM_F2, SUM_BASELINE_F2, SUM_COUNT };

struct lk_evaluator {
    lk_config *config;
    lk_dataset *train_set, *set;
    lk_label_statistics labels;
    bool is_encoder;
    char weights[LK_PATH_SIZE]; /* the file of the run's own */
    double *temperatures;       /* [groups] */
    lk_encoder encoder;
    lk_decoder decoder; /* folded */
    lk_sums *sums;      /* of a batch */
};

/* ---- opening ---- */

static lk_status read_temperatures(lk_evaluator *e)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    lk_safetensors *file = NULL;
    e->temperatures = malloc((size_t)schema->group_count * sizeof *e->temperatures);
    if (!e->temperatures)
        return lk_fail(LK_INTERNAL, "out of memory");
    for (int g = 0; g < schema->group_count; g++)
        e->temperatures[g] = 1;
    LK_TRY(lk_safetensors_open(e->weights, &file));
    const char *text = lk_safetensors_note_of(file, LK_TEMPERATURE_NOTE);
    lk_status status = text ? lk_temperature_parse(schema, text, e->weights, e->temperatures) : LK_OK;
    lk_safetensors_close(file);
    return status;
}

static lk_status open_models(lk_evaluator *e, const char *run)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    if (e->is_encoder) {
        LK_TRY(lk_load_frozen_decoder(e->config, schema, &e->decoder));
        LK_TRY(lk_configured_encoder(e->config, schema, &e->encoder));
        LK_TRY(lk_weights_load(&e->encoder.weights, run));
        LK_TRY(lk_weights_resolve(run, e->weights));
        return read_temperatures(e);
    }
    snprintf(e->config->model.decoder.weights, sizeof e->config->model.decoder.weights, "%s", run);
    return lk_load_frozen_decoder(e->config, schema, &e->decoder);
}

static lk_status open_all(lk_evaluator *e, const char *run, const char *data, lk_device_choice device)
{
    char path[LK_PATH_SIZE];
    lk_path_kind kind;
    LK_TRY(lk_path_join(path, run, "config.yaml"));
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_ABSENT)
        return lk_fail(LK_BAD_DATA, "%s: is not a run: there is no config.yaml in it", run);
    LK_TRY(lk_config_load(path, NULL, 0, &e->config));
    e->is_encoder = e->config->train.stage == LK_STAGE_ENCODER;
    LK_TRY(lk_choose_device_alone(device));
    LK_TRY(lk_tensor_start(e->config->train.threads > 0 ? e->config->train.threads : lk_core_count()));
    LK_TRY(lk_sums_create(SUM_COUNT, &e->sums));
    LK_TRY(lk_open_configured(&e->config->data.train.paths, NULL, NULL, &e->train_set));
    if (data)
        LK_TRY(lk_dataset_open(&data, 1, &e->set));
    else
        LK_TRY(lk_open_configured(&e->config->data.val, NULL, NULL, &e->set));
    LK_TRY(lk_schema_require_equal(lk_dataset_schema(e->train_set), e->config->data.train.paths.items[0],
                                   lk_dataset_schema(e->set), data ? data : e->config->data.val.items[0]));
    LK_TRY(lk_label_statistics_read(e->train_set, &e->labels));
    return open_models(e, run);
}

lk_status lk_evaluator_open(const char *run, const char *data, lk_device_choice device, lk_evaluator **out)
{
    *out = NULL;
    lk_evaluator *e = calloc(1, sizeof *e);
    if (!e)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_status status = open_all(e, run, data, device);
    if (status != LK_OK) {
        lk_error error;
        lk_error_take(&error, status);
        lk_evaluator_close(e);
        return lk_error_put(&error);
    }
    *out = e;
    return LK_OK;
}

void lk_evaluator_close(lk_evaluator *e)
{
    if (!e)
        return;
    lk_encoder_free(&e->encoder);
    lk_decoder_free(&e->decoder);
    lk_sums_free(e->sums);
    lk_label_statistics_free(&e->labels);
    lk_dataset_close(e->train_set);
    lk_dataset_close(e->set);
    lk_config_free(e->config);
    free(e->temperatures);
    free(e);
}

const lk_schema *lk_evaluator_schema(const lk_evaluator *e)
{
    return lk_dataset_schema(e->set);
}

/* ---- walking over the set ---- */

typedef lk_status batch_function(lk_evaluator *e, const lk_batch *batch, void *context);

static lk_status for_each_batch(lk_evaluator *e, const lk_dataset *set, int64_t limit, batch_function *f, void *context)
{
    int64_t count = lk_dataset_count(set) < limit ? lk_dataset_count(set) : limit;
    lk_validation_order order = lk_validation_order_make(count, BATCH, 0, 1);
    lk_loader_options options = {
        .batch_size = BATCH, .threads = e->config->data.threads, .prefetch = 4, .order = lk_validation_batch, .context = &order};
    lk_loader *loader = NULL;
    LK_TRY(lk_loader_start(set, &options, &loader));
    lk_status status = LK_OK;
    while (status == LK_OK) {
        const lk_batch *batch = NULL;
        status = lk_loader_next(loader, &batch);
        if (status != LK_OK || !batch)
            break;
        status = f(e, batch, context);
        lk_loader_release(loader, batch);
    }
    lk_loader_stop(loader);
    return status;
}

/* ---- the decoder ---- */

typedef struct mean_picture {
    double *mean;
    double count;
} mean_picture;

static lk_status add_picture(lk_evaluator *e, const lk_batch *batch, void *context)
{
    mean_picture *m = context;
    size_t pixels = (size_t)e->config->model.size * (size_t)e->config->model.size * 3;
    for (int i = 0; i < batch->count; i++)
        for (size_t k = 0; k < pixels; k++)
            m->mean[k] += batch->images[(size_t)i * pixels + k] / 255.0;
    m->count += batch->count;
    return LK_OK;
}

typedef struct decoder_sums {
    lk_evaluation *out;
    const mean_picture *picture;
} decoder_sums;

static lk_status measure_decoder(lk_evaluator *e, const lk_batch *batch, void *context)
{
    decoder_sums *s = context;
    int size = e->config->model.size;
    size_t pixels = (size_t)size * (size_t)size * 3;
    lk_tensor *target = lk_pictures(batch->images, batch->count, size, LK_DTYPE_F32);
    lk_tensor *y = lk_decode(&e->decoder, lk_dataset_schema(e->set), batch->count, batch->continuous, batch->discrete);
    double loss = 0;
    lk_sums_clear(e->sums);
    lk_l1_loss(y, target, 0, NULL, lk_sums_at(e->sums, 0));
    lk_tensor_free(&y);
    lk_tensor_free(&target);
    LK_TRY(lk_sums_read(e->sums, 1, &loss));
    s->out->f += loss / (double)s->out->samples;
    for (int i = 0; i < batch->count; i++) {
        double sum = 0;
        for (size_t k = 0; k < pixels; k++)
            sum += fabs(batch->images[(size_t)i * pixels + k] / 255.0 - s->picture->mean[k] / s->picture->count);
        s->out->baseline_f += sum / (double)pixels / (double)s->out->samples;
    }
    return lk_tensor_check();
}

static lk_status evaluate_decoder(lk_evaluator *e, lk_evaluation *out)
{
    size_t pixels = (size_t)e->config->model.size * (size_t)e->config->model.size * 3;
    mean_picture picture = {.mean = calloc(pixels, sizeof(double))};
    if (!picture.mean)
        return lk_fail(LK_INTERNAL, "out of memory");
    lk_status status = for_each_batch(e, e->train_set, 4096, add_picture, &picture);
    decoder_sums sums = {out, &picture};
    if (status == LK_OK)
        status = for_each_batch(e, e->set, INT64_MAX, measure_decoder, &sums);
    free(picture.mean);
    return status;
}

/* ---- the encoder ---- */

typedef struct encoder_sums {
    lk_evaluation *out;
    double *hits;                 /* [groups] */
    double *error, *mean_error;   /* [nc]: sums of |pc - pc'| and |mean - pc'| */
    double *x, *y, *xx, *yy, *xy; /* [nc]: moments of pc (x) and pc' (y) */
    float *continuous, *mean;     /* [BATCH, nc] */
    double *logits;               /* [BATCH, choices] */
    uint8_t *discrete;            /* [BATCH, groups] */
    float *certainty;             /* [BATCH, groups] */
} encoder_sums;

static lk_status allocate_sums(const lk_evaluator *e, encoder_sums *s)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    size_t nc = (size_t)schema->continuous_count + 1;
    double **moments[] = {&s->error, &s->mean_error, &s->x, &s->y, &s->xx, &s->yy, &s->xy};
    bool good = true;
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++)
        good &= (*moments[i] = calloc(nc, sizeof(double))) != NULL;
    s->hits = calloc((size_t)schema->group_count + 1, sizeof(double));
    s->continuous = calloc(BATCH * nc, sizeof(float));
    s->mean = calloc(BATCH * nc, sizeof(float));
    s->logits = calloc((size_t)BATCH * (size_t)schema->choice_count + 1, sizeof(double));
    s->discrete = calloc((size_t)BATCH * (size_t)schema->group_count + 1, 1);
    s->certainty = calloc((size_t)BATCH * (size_t)schema->group_count + 1, sizeof(float));
    if (!good || !s->certainty || !s->hits || !s->continuous || !s->mean || !s->logits || !s->discrete)
        return lk_fail(LK_INTERNAL, "out of memory");
    for (int i = 0; i < BATCH; i++)
        for (int k = 0; k < schema->continuous_count; k++)
            s->mean[i * schema->continuous_count + k] = (float)e->labels.mean[k];
    return LK_OK;
}

static void free_sums(encoder_sums *s)
{
    void *all[] = {s->hits, s->error,      s->mean_error, s->x,      s->y,        s->xx,       s->yy,
                   s->xy,   s->continuous, s->mean,       s->logits, s->discrete, s->certainty};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}

static void score_labels(const lk_evaluator *e, const lk_batch *batch, encoder_sums *s)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    lk_most_probable(schema, batch->count, s->logits, e->temperatures, s->discrete, s->certainty);
    for (int i = 0; i < batch->count; i++) {
        for (int g = 0; g < schema->group_count; g++) {
            int at = i * schema->group_count + g;
            bool right = s->discrete[at] == batch->discrete[at];
            s->hits[g] += right;
            lk_reliability_add(&s->out->reliability[g], s->certainty[at], right);
            lk_reliability_add(&s->out->reliability[schema->group_count], s->certainty[at], right);
        }
        const double *frequency = e->labels.frequency;
        for (int g = 0; g < schema->group_count; g++) {
            s->out->baseline_f1 -= log(fmax(frequency[batch->discrete[i * schema->group_count + g]], 1e-9));
            frequency += schema->groups[g].count;
        }
        for (int k = 0; k < schema->continuous_count; k++) {
            double x = s->continuous[i * schema->continuous_count + k];
            double y = batch->continuous[i * schema->continuous_count + k];
            s->error[k] += fabs(x - y);
            s->mean_error[k] += fabs(e->labels.mean[k] - y);
            s->x[k] += x;
            s->y[k] += y;
            s->xx[k] += x * x;
            s->yy[k] += y * y;
            s->xy[k] += x * y;
        }
    }
}

/* Logits were float32 (lk_encode), which every device takes. */
static void add_discrete_loss(lk_evaluator *e, const lk_batch *batch, const double *logits)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    lk_choices choices = lk_schema_choices(schema);
    lk_tensor *outputs = lk_tensor_from_doubles(logits, LK_DTYPE_F32, 2, (int64_t[]){batch->count, schema->choice_count});
    lk_tensor *labels = lk_tensor_lend(batch->discrete, LK_DTYPE_U8, 2, (int64_t[]){batch->count, schema->group_count});
    lk_discrete_loss(&choices, outputs, labels, 0, NULL, lk_sums_at(e->sums, SUM_F1));
    lk_tensor_free(&outputs);
    lk_tensor_free(&labels);
}

static lk_status measure_encoder(lk_evaluator *e, const lk_batch *batch, void *context)
{
    encoder_sums *s = context;
    const lk_schema *schema = lk_dataset_schema(e->set);
    int n = batch->count;
    double sums[SUM_COUNT];
    LK_TRY(lk_encode(&e->encoder, batch->images, n, s->continuous, s->logits));
    lk_sums_clear(e->sums);
    add_discrete_loss(e, batch, s->logits);
    lk_tensor *target = lk_decode(&e->decoder, schema, n, batch->continuous, batch->discrete);
    lk_tensor *ours = lk_decode(&e->decoder, schema, n, s->continuous, batch->discrete);
    lk_tensor *guess = lk_decode(&e->decoder, schema, n, s->mean, batch->discrete);
    lk_pixel_loss(ours, target, 0, NULL, lk_sums_at(e->sums, SUM_F2));
    lk_pixel_loss(guess, target, 0, NULL, lk_sums_at(e->sums, SUM_BASELINE_F2));
    lk_tensor_free(&target);
    lk_tensor_free(&ours);
    lk_tensor_free(&guess);
    LK_TRY(lk_sums_read(e->sums, SUM_COUNT, sums));
    s->out->f1 += sums[SUM_F1];
    s->out->f2 += sums[SUM_F2];
    s->out->baseline_f2 += sums[SUM_BASELINE_F2];
    score_labels(e, batch, s);
    return lk_tensor_check();
}

/* How much the decoder's picture changes when parameter k moves by +-1 deviation from the mean, other labels as in the data. */
static lk_status measure_strength(lk_evaluator *e, const lk_batch *batch, void *context)
{
    encoder_sums *s = context;
    const lk_schema *schema = lk_dataset_schema(e->set);
    size_t nc = (size_t)schema->continuous_count;
    int n = batch->count;
    for (int k = 0; k < schema->continuous_count; k++) {
        lk_tensor *side[2] = {NULL, NULL};
        for (int sign = 0; sign < 2; sign++) {
            memcpy(s->continuous, batch->continuous, (size_t)n * nc * sizeof(float));
            for (int i = 0; i < n; i++)
                s->continuous[(size_t)i * nc + (size_t)k] = (float)(e->labels.mean[k] + (sign ? 1 : -1) * e->labels.deviation[k]);
            side[sign] = lk_decode(&e->decoder, schema, n, s->continuous, batch->discrete);
        }
        double change = 0;
        lk_sums_clear(e->sums);
        lk_pixel_loss(side[0], side[1], 0, NULL, lk_sums_at(e->sums, 0));
        lk_tensor_free(&side[0]);
        lk_tensor_free(&side[1]);
        LK_TRY(lk_sums_read(e->sums, 1, &change));
        s->out->parameters[k].strength += change / 2;
    }
    return lk_tensor_check();
}

static int by_strength(const void *a, const void *b)
{
    double x = ((const lk_parameter_score *)a)->strength;
    double y = ((const lk_parameter_score *)b)->strength;
    return (x < y) - (x > y);
}

static void finish_encoder(const lk_evaluator *e, const encoder_sums *s)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    lk_evaluation *out = s->out;
    double n = (double)out->samples;
    double strength_samples = fmin(n, STRENGTH_SAMPLES);
    out->f1 /= n;
    out->f2 /= n;
    out->baseline_f1 /= n;
    out->baseline_f2 /= n;
    out->f = out->f1 + e->config->loss.lambda * out->f2;
    out->baseline_f = out->baseline_f1 + e->config->loss.lambda * out->baseline_f2;
    const double *frequency = e->labels.frequency;
    for (int g = 0; g < schema->group_count; g++) {
        out->accuracy[g] = s->hits[g] / n;
        out->temperature[g] = e->temperatures[g];
        for (int k = 0; k < schema->groups[g].count; k++)
            out->majority[g] = fmax(out->majority[g], frequency[k]);
        frequency += schema->groups[g].count;
    }
    for (int k = 0; k < schema->continuous_count; k++) {
        lk_parameter_score *p = &out->parameters[k];
        double vx = s->xx[k] - s->x[k] * s->x[k] / n;
        double vy = s->yy[k] - s->y[k] * s->y[k] / n;
        p->index = k;
        p->strength /= strength_samples;
        p->mae = s->error[k] / n;
        p->mae_ratio = s->mean_error[k] / n > SAME_VALUE ? s->error[k] / s->mean_error[k] : NAN;
        p->correlation = (s->xy[k] - s->x[k] * s->y[k] / n) / (sqrt(vx * vy) + 1e-12);
    }
    qsort(out->parameters, (size_t)schema->continuous_count, sizeof *out->parameters, by_strength);
}

static lk_status evaluate_encoder(lk_evaluator *e, lk_evaluation *out)
{
    encoder_sums s = {.out = out};
    lk_status status = allocate_sums(e, &s);
    if (status == LK_OK)
        status = for_each_batch(e, e->set, INT64_MAX, measure_encoder, &s);
    if (status == LK_OK)
        status = for_each_batch(e, e->set, STRENGTH_SAMPLES, measure_strength, &s);
    if (status == LK_OK)
        finish_encoder(e, &s);
    free_sums(&s);
    return status;
}

lk_status lk_evaluate(lk_evaluator *e, lk_evaluation *out)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    *out = (lk_evaluation){.samples = lk_dataset_count(e->set),
                           .has_parts = e->is_encoder,
                           .group_count = schema->group_count,
                           .continuous_count = schema->continuous_count,
                           .accuracy = calloc((size_t)schema->group_count + 1, sizeof(double)),
                           .majority = calloc((size_t)schema->group_count + 1, sizeof(double)),
                           .temperature = calloc((size_t)schema->group_count + 1, sizeof(double)),
                           .reliability = calloc((size_t)schema->group_count + 1, sizeof(lk_reliability)),
                           .parameters = calloc((size_t)schema->continuous_count + 1, sizeof(lk_parameter_score))};
    lk_status status = LK_OK;
    if (!out->accuracy || !out->majority || !out->temperature || !out->reliability || !out->parameters)
        status = lk_fail(LK_INTERNAL, "out of memory");
    if (status == LK_OK)
        status = e->is_encoder ? evaluate_encoder(e, out) : evaluate_decoder(e, out);
    if (status != LK_OK)
        lk_evaluation_free(out);
    return status;
}

void lk_evaluation_free(lk_evaluation *evaluation)
{
    free(evaluation->accuracy);
    free(evaluation->majority);
    free(evaluation->temperature);
    free(evaluation->reliability);
    free(evaluation->parameters);
    *evaluation = (lk_evaluation){0};
}

/* ---- calibration ---- */

typedef struct gathered {
    int64_t count;
    float *logits, *continuous; /* [count,choices], and scratch [BATCH,nc] */
    double *batch;              /* [BATCH,choices] */
    uint8_t *labels;            /* [count,groups] */
} gathered;

static lk_status gather(lk_evaluator *e, const lk_batch *batch, void *context)
{
    gathered *g = context;
    const lk_schema *schema = lk_dataset_schema(e->set);
    size_t choices = (size_t)schema->choice_count, groups = (size_t)schema->group_count, n = (size_t)batch->count;
    LK_TRY(lk_encode(&e->encoder, batch->images, batch->count, g->continuous, g->batch));
    for (size_t k = 0; k < n * choices; k++)
        g->logits[(size_t)g->count * choices + k] = (float)g->batch[k];
    memcpy(g->labels + (size_t)g->count * groups, batch->discrete, n * groups);
    g->count += batch->count;
    return LK_OK;
}

static lk_status note_temperatures(lk_evaluator *e)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    lk_safetensors *file = NULL;
    char *text = lk_temperature_text(schema, e->temperatures);
    if (!text)
        return lk_fail(LK_INTERNAL, "%s: out of memory for the temperatures", e->weights);
    const lk_safetensors_note notes[] = {{"schema", schema->text}, {LK_TEMPERATURE_NOTE, text}};
    lk_status status = lk_temperature_parse(schema, text, e->weights, e->temperatures); /* its digits, as others read them */
    if (status == LK_OK)
        status = lk_safetensors_open(e->weights, &file);
    if (status == LK_OK)
        status = lk_weights_copy(file, e->weights, notes, 2);
    lk_safetensors_close(file);
    free(text);
    return status;
}

lk_status lk_evaluator_calibrate(lk_evaluator *e)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    if (!e->is_encoder)
        return lk_fail(LK_USAGE, "evaluate: --calibrate is for the certainties of an encoder, and this run trained a decoder");
    int64_t count = lk_dataset_count(e->set) < LK_CALIBRATION_FACES ? lk_dataset_count(e->set) : LK_CALIBRATION_FACES;
    gathered g = {.logits = malloc((size_t)count * (size_t)schema->choice_count * sizeof(float)),
                  .continuous = malloc(BATCH * (size_t)schema->continuous_count * sizeof(float)),
                  .batch = malloc(BATCH * (size_t)schema->choice_count * sizeof(double)),
                  .labels = malloc((size_t)count * (size_t)schema->group_count)};
    lk_status status = LK_OK;
    if (!g.logits || !g.continuous || !g.batch || !g.labels)
        status = lk_fail(LK_INTERNAL, "out of memory for %lld faces", (long long)count);
    if (status == LK_OK)
        status = for_each_batch(e, e->set, count, gather, &g);
    if (status == LK_OK) {
        lk_fit_temperatures(schema, g.count, g.logits, g.labels, e->temperatures);
        status = note_temperatures(e);
    }
    free(g.logits);
    free(g.continuous);
    free(g.batch);
    free(g.labels);
    return status;
}

/* ---- pictures ---- */

static lk_status predict_batch(lk_evaluator *e, const lk_batch *batch, void *context)
{
    lk_faces *f = context;
    const lk_schema *schema = lk_dataset_schema(e->set);
    int n = batch->count;
    size_t nc = (size_t)schema->continuous_count;
    size_t groups = (size_t)schema->group_count;
    size_t pixels = (size_t)f->size * (size_t)f->size * 3;
    float *continuous = f->continuous + (size_t)f->count * nc;
    uint8_t *discrete = f->discrete + (size_t)f->count * groups;
    memcpy(f->inputs + (size_t)f->count * pixels, batch->images, (size_t)n * pixels);
    memcpy(continuous, batch->continuous, (size_t)n * nc * sizeof *continuous);
    memcpy(discrete, batch->discrete, (size_t)n * groups);
    if (e->is_encoder) {
        double *logits = malloc((size_t)n * (size_t)schema->choice_count * sizeof *logits);
        if (!logits)
            return lk_fail(LK_INTERNAL, "out of memory");
        lk_status status = lk_encode(&e->encoder, batch->images, n, continuous, logits);
        lk_most_probable(schema, n, logits, NULL, discrete, NULL);
        free(logits);
        LK_TRY(status);
    }
    lk_tensor *y = lk_decode(&e->decoder, schema, n, continuous, discrete);
    lk_pictures_to_pixels(y, f->decoded + (size_t)f->count * pixels);
    lk_tensor_free(&y);
    f->count += n;
    return lk_tensor_check();
}

lk_status lk_predict_faces(lk_evaluator *e, int count, lk_faces *f)
{
    const lk_schema *schema = lk_dataset_schema(e->set);
    size_t n = (size_t)count + 1;
    size_t pixels = (size_t)e->config->model.size * (size_t)e->config->model.size * 3;
    *f = (lk_faces){.size = e->config->model.size,
                    .inputs = malloc(n * pixels),
                    .decoded = malloc(n * pixels),
                    .continuous = calloc(n * ((size_t)schema->continuous_count + 1), sizeof(float)),
                    .discrete = calloc(n * ((size_t)schema->group_count + 1), 1)};
    lk_status status = LK_OK;
    if (!f->inputs || !f->decoded || !f->continuous || !f->discrete)
        status = lk_fail(LK_INTERNAL, "out of memory for %d faces", count);
    if (status == LK_OK)
        status = for_each_batch(e, e->set, count, predict_batch, f);
    if (status != LK_OK)
        lk_faces_free(f);
    return status;
}

void lk_faces_free(lk_faces *f)
{
    free(f->inputs);
    free(f->decoded);
    free(f->continuous);
    free(f->discrete);
    *f = (lk_faces){0};
}
