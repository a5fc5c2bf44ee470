/* The decoder's stage: parameters drawn uniformly at random, the client's canonical pictures, L1 (task.h). */
#include "trainer/model/decoder.h"
#include "trainer/model/inference.h"
#include "trainer/task.h"

#include "trainer/model/weights_file.h"
#include "trainer/tensor/loss.h"

#include <stdlib.h>

typedef struct decoder_task {
    lk_task base;
    const lk_schema *schema;
    lk_choices choices;
    lk_dtype compute;
    int size;
    lk_sums *judged; /* of one batch */
    lk_decoder decoder;
    lk_decoder folded; /* the form that is judged */
} decoder_task;

static lk_tensor *input_tensor(const decoder_task *t, const lk_batch *batch)
{
    int64_t n = batch->count;
    lk_tensor *continuous = lk_tensor_lend(batch->continuous, LK_DTYPE_F32, 2, (int64_t[]){n, t->schema->continuous_count});
    lk_tensor *discrete = lk_tensor_lend(batch->discrete, LK_DTYPE_U8, 2, (int64_t[]){n, t->schema->group_count});
    lk_tensor *p = lk_decoder_input(&t->choices, continuous, discrete);
    lk_tensor_free(&continuous);
    lk_tensor_free(&discrete);
    return p;
}

static lk_status learn(lk_task *task, const lk_batch *batch, double share, double *sums)
{
    decoder_task *t = (decoder_task *)task;
    lk_tensor *p = input_tensor(t, batch);
    lk_tensor *target = lk_pictures(batch->images, batch->count, t->size, LK_DTYPE_F32);
    lk_tensor *y = lk_decoder_forward(&t->decoder, p, true);
    lk_tensor *dy = NULL;
    lk_l1_loss(y, target, share, &dy, &sums[0]);
    lk_decoder_backward(&t->decoder, dy);
    lk_tensor_free(&y);
    lk_tensor_free(&target);
    lk_tensor_free(&p);
    return lk_tensor_check();
}

static lk_status begin_judging(lk_task *task)
{
    decoder_task *t = (decoder_task *)task;
    lk_decoder_free(&t->folded);
    LK_TRY(lk_decoder_fold(&t->decoder, t->compute, &t->folded));
    t->folded.weights.own_kernels = t->decoder.weights.own_kernels;
    return LK_OK;
}

static lk_status judge(lk_task *task, const lk_batch *batch, lk_losses *losses)
{
    decoder_task *t = (decoder_task *)task;
    lk_sums_clear(t->judged);
    lk_tensor *p = input_tensor(t, batch);
    lk_tensor *target = lk_pictures(batch->images, batch->count, t->size, LK_DTYPE_F32);
    lk_tensor *y = lk_decoder_forward(&t->folded, p, false);
    lk_l1_loss(y, target, 0, NULL, lk_sums_at(t->judged, 0));
    lk_tensor_free(&y);
    lk_tensor_free(&target);
    lk_tensor_free(&p);
    LK_TRY(lk_tensor_check());
    return lk_task_add_losses(task, t->judged, losses);
}

/* The client's picture above D(p). */
static lk_status draw(lk_task *task, const lk_batch *batch, lk_image *out)
{
    decoder_task *t = (decoder_task *)task;
    uint8_t *pixels = malloc((size_t)batch->count * (size_t)t->size * (size_t)t->size * 3);
    if (!pixels)
        return lk_fail(LK_INTERNAL, "out of memory for %d pictures", batch->count);
    lk_tensor *p = input_tensor(t, batch);
    lk_tensor *y = lk_decoder_forward(&t->folded, p, false);
    lk_pictures_to_pixels(y, pixels);
    lk_status status = lk_tensor_check();
    if (status == LK_OK)
        status = lk_draw_columns(batch->count, 2, t->size, (const uint8_t *[]){batch->images, pixels}, out);
    lk_tensor_free(&y);
    lk_tensor_free(&p);
    free(pixels);
    return status;
}

static void free_task(lk_task *task)
{
    decoder_task *t = (decoder_task *)task;
    lk_decoder_free(&t->decoder);
    lk_decoder_free(&t->folded);
    lk_sums_free(t->judged);
    free(t);
}

lk_status lk_decoder_task_create(const lk_config *config, const lk_schema *schema, lk_task **out)
{
    decoder_task *t = calloc(1, sizeof *t);
    if (!t)
        return lk_fail(LK_INTERNAL, "out of memory");
    *out = NULL;
    t->schema = schema;
    t->choices = lk_schema_choices(schema);
    t->size = config->model.size;
    t->compute = config->train.precision == LK_BF16 ? LK_DTYPE_BF16 : LK_DTYPE_F32;
    t->base = (lk_task){
        .loss_name = "L1", .learn = learn, .begin_judging = begin_judging, .judge = judge, .draw = draw, .free = free_task};
    lk_decoder_shape shape = {.size = config->model.size,
                              .width = config->model.decoder.width,
                              .inputs = schema->continuous_count + schema->choice_count};
    lk_status status = lk_decoder_create(&shape, LK_DTYPE_F32, t->compute, &t->decoder);
    t->decoder.weights.own_kernels = config->train.kernels != LK_KERNELS_TORCH;
    if (status == LK_OK)
        status = lk_sums_create(LK_TASK_SUMS, &t->judged);
    if (status == LK_OK)
        status = lk_decoder_initialize(&t->decoder, (uint64_t)config->run.seed);
    if (status != LK_OK) {
        free_task(&t->base);
        return status;
    }
    t->base.weights = &t->decoder.weights;
    *out = &t->base;
    return LK_OK;
}
