#include "trainer/task_encoder.h"

#include "trainer/model/inference.h"
#include "trainer/model/weights_file.h"
#include "trainer/tensor/loss.h"

#include <stdlib.h>

typedef struct encoder_task {
    lk_task base;
    const lk_schema *schema;
    lk_choices choices;
    int size;
    lk_sums *judged; /* of one batch */
    lk_encoder encoder;
    lk_decoder decoder; /* frozen */
} encoder_task;

static lk_dtype compute_dtype(const lk_config *config)
{
    return config->train.precision == LK_BF16 ? LK_DTYPE_BF16 : LK_DTYPE_F32;
}

lk_status lk_load_frozen_decoder(const lk_config *config, const lk_schema *schema, lk_decoder *out)
{
    lk_decoder trained;
    lk_decoder_shape shape = {.size = config->model.size,
                              .width = config->model.decoder.width,
                              .inputs = schema->continuous_count + schema->choice_count};
    LK_TRY(lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &trained));
    lk_status status = lk_weights_load(&trained.weights, config->model.decoder.weights);
    if (status == LK_OK)
        status = lk_decoder_fold(&trained, compute_dtype(config), out);
    else
        status = lk_fail_in(status, "model.decoder.weights");
    if (status == LK_OK)
        out->weights.own_kernels = config->train.kernels != LK_KERNELS_TORCH;
    lk_decoder_free(&trained);
    return status;
}

lk_status lk_configured_encoder(const lk_config *config, const lk_schema *schema, lk_encoder *out)
{
    lk_encoder_shape shape = {.size = config->model.size,
                              .width = config->model.encoder.width,
                              .norm = config->model.encoder.norm,
                              .continuous_count = schema->continuous_count,
                              .choice_count = schema->choice_count};
    LK_TRY(lk_encoder_create(&shape, LK_DTYPE_F32, compute_dtype(config), out));
    out->weights.own_kernels = config->train.kernels != LK_KERNELS_TORCH;
    return LK_OK;
}

/* ---- F = F1 + lambda F2 ---- */

/* A batch's labels, lent. */
typedef struct labels {
    lk_tensor *continuous; /* [n,nc] */
    lk_tensor *discrete;   /* [n,groups] */
} labels;

static labels lend_labels(const lk_schema *schema, const lk_batch *batch)
{
    int64_t n = batch->count;
    return (labels){lk_tensor_lend(batch->continuous, LK_DTYPE_F32, 2, (int64_t[]){n, schema->continuous_count}),
                    lk_tensor_lend(batch->discrete, LK_DTYPE_U8, 2, (int64_t[]){n, schema->group_count})};
}

static void free_labels(labels *l)
{
    lk_tensor_free(&l->continuous);
    lk_tensor_free(&l->discrete);
}

/* D(p^), then D(p'), as one batch. p^ = (pc, pd') takes the true discrete parameters (the patent's combination). */
static lk_tensor *decode_both(encoder_task *t, const lk_tensor *pc, const labels *truth, bool keep)
{
    lk_tensor *ours = lk_decoder_input(&t->choices, pc, truth->discrete);
    lk_tensor *label = lk_decoder_input(&t->choices, truth->continuous, truth->discrete);
    lk_tensor *p = lk_tensor_append(ours, label);
    lk_tensor *pictures = lk_decoder_forward(&t->decoder, p, keep);
    lk_tensor_free(&ours);
    lk_tensor_free(&label);
    lk_tensor_free(&p);
    return pictures;
}

/* F2 of predictions pc. *dpc (NULL: not wanted) is the gradient with respect to pc; the labels' pictures have none. */
static void pixel_part(encoder_task *t, const lk_tensor *pc, const labels *truth, double share, lk_tensor **dpc, double *sum)
{
    int64_t n = pc ? lk_tensor_dim(pc, 0) : 0;
    lk_tensor *pictures = decode_both(t, pc, truth, dpc != NULL);
    lk_tensor *y = lk_tensor_first(pictures, n), *target = lk_tensor_behind(pictures, n);
    lk_tensor *dy = NULL;
    lk_pixel_loss(y, target, share, dpc ? &dy : NULL, sum);
    if (dpc) {
        lk_decoder_keep_first(&t->decoder, n);
        lk_tensor *dp = lk_decoder_backward(&t->decoder, dy);
        *dpc = lk_first_columns(dp, t->schema->continuous_count);
        lk_tensor_free(&dp);
    }
    lk_tensor_free(&pictures);
    lk_tensor_free(&y);
    lk_tensor_free(&target);
}

static lk_status learn(lk_task *task, const lk_batch *batch, double share, double *sums)
{
    encoder_task *t = (encoder_task *)task;
    labels truth = lend_labels(t->schema, batch);
    lk_tensor *x = lk_normalized_pictures(batch->images, batch->count, t->size, t->encoder.weights.compute_dtype);
    lk_tensor *pc = NULL;
    lk_tensor *pd = NULL;
    lk_tensor *dpc = NULL;
    lk_tensor *dpd = NULL;
    lk_encoder_forward(&t->encoder, x, true, &pc, &pd);
    lk_tensor_free(&x);
    lk_discrete_loss(&t->choices, pd, truth.discrete, share, &dpd, &sums[0]);
    pixel_part(t, pc, &truth, share * task->lambda, &dpc, &sums[1]);
    lk_encoder_backward(&t->encoder, dpc, dpd);
    lk_tensor_free(&pc);
    lk_tensor_free(&pd);
    free_labels(&truth);
    return lk_tensor_check();
}

static lk_status begin_judging(lk_task *task)
{
    (void)task;
    return LK_OK;
}

static lk_status judge(lk_task *task, const lk_batch *batch, lk_losses *losses)
{
    encoder_task *t = (encoder_task *)task;
    labels truth = lend_labels(t->schema, batch);
    lk_tensor *x = lk_normalized_pictures(batch->images, batch->count, t->size, t->encoder.weights.compute_dtype);
    lk_tensor *pc = NULL;
    lk_tensor *pd = NULL;
    lk_sums_clear(t->judged);
    lk_encoder_forward(&t->encoder, x, false, &pc, &pd);
    lk_tensor_free(&x);
    lk_discrete_loss(&t->choices, pd, truth.discrete, 0, NULL, lk_sums_at(t->judged, 0));
    pixel_part(t, pc, &truth, 0, NULL, lk_sums_at(t->judged, 1));
    lk_tensor_free(&pc);
    lk_tensor_free(&pd);
    free_labels(&truth);
    LK_TRY(lk_tensor_check());
    return lk_task_add_losses(task, t->judged, losses);
}

/* Input, D(p) of what the encoder says, D(p') of the labels. */
static lk_status draw(lk_task *task, const lk_batch *batch, lk_image *out)
{
    encoder_task *t = (encoder_task *)task;
    int n = batch->count;
    size_t bytes = (size_t)n * (size_t)t->size * (size_t)t->size * 3;
    lk_status status = LK_OK;
    float *continuous = malloc(((size_t)n * (size_t)t->schema->continuous_count + 1) * sizeof *continuous);
    double *logits = malloc(((size_t)n * (size_t)t->schema->choice_count + 1) * sizeof *logits);
    uint8_t *discrete = calloc((size_t)n * (size_t)t->schema->group_count + 1, 1);
    uint8_t *pixels = malloc(2 * bytes);
    if (!continuous || !logits || !discrete || !pixels)
        status = lk_fail(LK_INTERNAL, "out of memory for %d pictures", n);
    if (status == LK_OK)
        status = lk_encode(&t->encoder, batch->images, n, continuous, logits);
    if (status == LK_OK) {
        lk_most_probable(t->schema, n, logits, NULL, discrete, NULL);
        lk_tensor *ours = lk_decode(&t->decoder, t->schema, n, continuous, discrete);
        lk_tensor *label = lk_decode(&t->decoder, t->schema, n, batch->continuous, batch->discrete);
        lk_pictures_to_pixels(ours, pixels);
        lk_pictures_to_pixels(label, pixels + bytes);
        lk_tensor_free(&ours);
        lk_tensor_free(&label);
        status = lk_tensor_check();
    }
    if (status == LK_OK)
        status = lk_draw_columns(n, 3, t->size, (const uint8_t *[]){batch->images, pixels, pixels + bytes}, out);
    free(pixels);
    free(discrete);
    free(logits);
    free(continuous);
    return status;
}

static void free_task(lk_task *task)
{
    encoder_task *t = (encoder_task *)task;
    lk_encoder_free(&t->encoder);
    lk_decoder_free(&t->decoder);
    lk_sums_free(t->judged);
    free(t);
}

lk_status lk_encoder_task_create(const lk_config *config, const lk_schema *schema, const double *mean, lk_task **out)
{
    *out = NULL;
    encoder_task *t = calloc(1, sizeof *t);
    if (!t)
        return lk_fail(LK_INTERNAL, "out of memory");
    t->schema = schema;
    t->choices = lk_schema_choices(schema);
    t->size = config->model.size;
    t->base = (lk_task){.has_parts = true,
                        .lambda = config->loss.lambda,
                        .loss_name = "F",
                        .learn = learn,
                        .begin_judging = begin_judging,
                        .judge = judge,
                        .draw = draw,
                        .free = free_task};
    lk_status status = lk_configured_encoder(config, schema, &t->encoder);
    if (status == LK_OK)
        status = lk_sums_create(LK_TASK_SUMS, &t->judged);
    if (status == LK_OK)
        status = lk_load_frozen_decoder(config, schema, &t->decoder);
    if (status == LK_OK)
        status = lk_encoder_initialize(&t->encoder, (uint64_t)config->run.seed);
    if (status == LK_OK && config->optimizer.continuous_head_bias_from_data)
        status = lk_encoder_set_continuous_bias(&t->encoder, mean);
    if (status != LK_OK) {
        free_task(&t->base);
        return status;
    }
    t->base.weights = &t->encoder.weights;
    t->base.frozen = &t->decoder.weights;
    lk_encoder_set_continuous_lr(&t->encoder, config->optimizer.continuous_head_lr);
    *out = &t->base;
    return LK_OK;
}
