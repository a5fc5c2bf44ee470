#include "trainer/task_encoder.h"

#include "trainer/model/inference.h"
#include "trainer/model/loss.h"
#include "trainer/model/weights_file.h"

#include <stdlib.h>
#include <string.h>

typedef struct encoder_task {
    lk_task base;
    const lk_schema *schema;
    double lambda;
    int size;
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

/* Host memory of one batch's outputs. */
typedef struct outputs {
    float *continuous;  /* pc [n,nc] */
    double *logits;     /* [n,choices] */
    double *dlogits;    /* gradient of F1 */
    float *dcontinuous; /* gradient of lambda F2, through the decoder */
} outputs;

static lk_status allocate_outputs(const lk_schema *schema, int n, outputs *o)
{
    size_t nc = (size_t)n * (size_t)schema->continuous_count;
    size_t nd = (size_t)n * (size_t)schema->choice_count;
    *o = (outputs){.continuous = calloc(nc + 1, sizeof(float)),
                   .logits = calloc(nd + 1, sizeof(double)),
                   .dlogits = calloc(nd + 1, sizeof(double)),
                   .dcontinuous = calloc(nc + 1, sizeof(float))};
    if (!o->continuous || !o->logits || !o->dlogits || !o->dcontinuous)
        return lk_fail(LK_INTERNAL, "out of memory for the outputs of %d faces", n);
    return LK_OK;
}

static void free_outputs(outputs *o)
{
    free(o->continuous);
    free(o->logits);
    free(o->dlogits);
    free(o->dcontinuous);
}

/* p^ = (pc, pd'): the decoder sees the true discrete parameters (the patent's combination). Returns the sum of F2 and, where
 * dcontinuous is not NULL, its gradient with respect to pc. */
static double pixel_part(encoder_task *t, const lk_batch *batch, const float *continuous, double share, float *dcontinuous)
{
    const lk_schema *schema = t->schema;
    int n = batch->count;
    int inputs = t->decoder.shape.inputs;
    lk_tensor *target = lk_decode(&t->decoder, schema, n, batch->continuous, batch->discrete);
    float *input = lk_decoder_input(schema, n, continuous, batch->discrete);
    lk_tensor *p = input ? lk_tensor_from_floats(input, LK_DTYPE_F32, 2, (int64_t[]){n, inputs}) : NULL;
    lk_tensor *y = lk_decoder_forward(&t->decoder, p, dcontinuous != NULL);
    lk_tensor *dy = NULL;
    double sum = y && target ? lk_pixel_loss(y, target, share, dcontinuous ? &dy : NULL) : 0;
    if (dcontinuous && input) {
        lk_tensor *dp = lk_decoder_backward(&t->decoder, dy);
        lk_tensor_to_floats(dp, input);
        for (int i = 0; i < n; i++)
            memcpy(dcontinuous + (size_t)i * (size_t)schema->continuous_count, input + (size_t)i * (size_t)inputs,
                   (size_t)schema->continuous_count * sizeof *input);
        lk_tensor_free(&dp);
    }
    free(input);
    lk_tensor_free(&p);
    lk_tensor_free(&y);
    lk_tensor_free(&target);
    return sum;
}

static void add_losses(const encoder_task *t, double f1, double f2, lk_losses *sums)
{
    sums->f1 += f1;
    sums->f2 += f2;
    sums->f += f1 + t->lambda * f2;
}

static lk_status learn(lk_task *task, const lk_batch *batch, double share, lk_losses *sums)
{
    encoder_task *t = (encoder_task *)task;
    const lk_schema *schema = t->schema;
    int n = batch->count;
    outputs o;
    lk_status status = allocate_outputs(schema, n, &o);
    lk_tensor *x = lk_normalized_pictures(batch->images, n, t->size, t->encoder.weights.compute_dtype);
    lk_tensor *pc = NULL;
    lk_tensor *pd = NULL;
    lk_tensor *dpc = NULL;
    lk_tensor *dpd = NULL;
    lk_encoder_forward(&t->encoder, x, true, &pc, &pd);
    lk_tensor_free(&x);
    if (status == LK_OK) {
        lk_tensor_to_floats(pc, o.continuous);
        lk_tensor_to_doubles(pd, o.logits);
        double f1 = lk_discrete_loss(schema, n, o.logits, batch->discrete, share, o.dlogits);
        double f2 = pixel_part(t, batch, o.continuous, share * t->lambda, o.dcontinuous);
        add_losses(t, f1, f2, sums);
        dpc = lk_tensor_from_floats(o.dcontinuous, LK_DTYPE_F32, 2, (int64_t[]){n, schema->continuous_count});
        dpd = lk_tensor_from_doubles(o.dlogits, LK_DTYPE_F32, 2, (int64_t[]){n, schema->choice_count});
    }
    lk_encoder_backward(&t->encoder, dpc, dpd);
    lk_tensor_free(&pc);
    lk_tensor_free(&pd);
    free_outputs(&o);
    lk_status torch = lk_tensor_check();
    return status != LK_OK ? status : torch;
}

static lk_status begin_judging(lk_task *task)
{
    (void)task;
    return LK_OK;
}

static lk_status judge(lk_task *task, const lk_batch *batch, lk_losses *sums)
{
    encoder_task *t = (encoder_task *)task;
    outputs o;
    lk_status status = allocate_outputs(t->schema, batch->count, &o);
    if (status == LK_OK)
        status = lk_encode(&t->encoder, batch->images, batch->count, o.continuous, o.logits);
    if (status == LK_OK) {
        double f1 = lk_discrete_loss(t->schema, batch->count, o.logits, batch->discrete, 0, NULL);
        double f2 = pixel_part(t, batch, o.continuous, 0, NULL);
        add_losses(t, f1, f2, sums);
        status = lk_tensor_check();
    }
    free_outputs(&o);
    return status;
}

/* Input, D(p) of what the encoder says, D(p') of the labels. */
static lk_status draw(lk_task *task, const lk_batch *batch, lk_image *out)
{
    encoder_task *t = (encoder_task *)task;
    int n = batch->count;
    size_t bytes = (size_t)n * (size_t)t->size * (size_t)t->size * 3;
    outputs o;
    lk_status status = allocate_outputs(t->schema, n, &o);
    uint8_t *discrete = calloc((size_t)n * (size_t)t->schema->group_count + 1, 1);
    uint8_t *pixels = malloc(2 * bytes);
    if (status == LK_OK && (!discrete || !pixels))
        status = lk_fail(LK_INTERNAL, "out of memory for %d pictures", n);
    if (status == LK_OK)
        status = lk_encode(&t->encoder, batch->images, n, o.continuous, o.logits);
    if (status == LK_OK) {
        lk_most_probable(t->schema, n, o.logits, NULL, discrete, NULL);
        lk_tensor *ours = lk_decode(&t->decoder, t->schema, n, o.continuous, discrete);
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
    free_outputs(&o);
    return status;
}

static void free_task(lk_task *task)
{
    encoder_task *t = (encoder_task *)task;
    lk_encoder_free(&t->encoder);
    lk_decoder_free(&t->decoder);
    free(t);
}

lk_status lk_encoder_task_create(const lk_config *config, const lk_schema *schema, const double *mean, lk_task **out)
{
    *out = NULL;
    encoder_task *t = calloc(1, sizeof *t);
    if (!t)
        return lk_fail(LK_INTERNAL, "out of memory");
    t->schema = schema;
    t->lambda = config->loss.lambda;
    t->size = config->model.size;
    t->base = (lk_task){.has_parts = true,
                        .loss_name = "F",
                        .learn = learn,
                        .begin_judging = begin_judging,
                        .judge = judge,
                        .draw = draw,
                        .free = free_task};
    lk_status status = lk_configured_encoder(config, schema, &t->encoder);
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
