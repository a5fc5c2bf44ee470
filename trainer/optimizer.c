#include "trainer/optimizer.h"

#include "trainer/model/decoder.h"

#include <math.h>
#include <stdlib.h>

/* From weight i on, which lies behind those that follow it; returns the first that is not part of the run. */
static int make_run(lk_optimizer *o, int i)
{
    const lk_weights *weights = o->weights;
    const lk_weight *last = &weights->items[i], *first = last;
    while (++i < weights->count && !weights->items[i].statistic && weights->items[i].lr_factor == last->lr_factor)
        first = &weights->items[i];
    int64_t count = (int64_t)(last->offset + last->count - first->offset);
    size_t size = first->offset * sizeof(float);
    lk_weights_run *run = &o->runs[o->run_count++];
    *run = (lk_weights_run){
        .lr_factor = first->lr_factor,
        .value = lk_tensor_view((char *)weights->values + size, LK_DTYPE_F32, 1, &count),
        .gradient = lk_tensor_view((char *)weights->gradients + size, LK_DTYPE_F32, 1, &count),
    };
    for (int b = 0; b < o->buffer_count; b++)
        run->moments[b] = lk_tensor_view(o->buffers[b] + first->offset, LK_DTYPE_F32, 1, &count);
    return i;
}

lk_status lk_optimizer_create(const lk_config *config, lk_weights *weights, lk_optimizer *o)
{
    *o = (lk_optimizer){.config = config, .weights = weights, .buffer_count = config->optimizer.name == LK_ADAMW ? 2 : 1};
    bool complete = (o->runs = calloc((size_t)weights->count + 1, sizeof *o->runs)) != NULL;
    for (int b = 0; b < o->buffer_count; b++)
        complete = (o->buffers[b] = lk_device_alloc(weights->device, weights->total * sizeof(float))) != NULL && complete;
    if (!complete) {
        lk_optimizer_free(o);
        return lk_fail(LK_INTERNAL, "out of memory for the optimizer's %zu numbers", weights->numbers);
    }
    for (int i = 0; i < weights->count;)
        i = weights->items[i].statistic ? i + 1 : make_run(o, i);
    return lk_tensor_check();
}

void lk_optimizer_free(lk_optimizer *o)
{
    for (int i = 0; i < o->run_count; i++) {
        lk_weights_run *run = &o->runs[i];
        lk_tensor_free(&run->value);
        lk_tensor_free(&run->gradient);
        for (int b = 0; b < o->buffer_count; b++)
            lk_tensor_free(&run->moments[b]);
    }
    free(o->runs);
    for (int b = 0; b < o->buffer_count; b++)
        if (o->buffers[b])
            lk_device_free(o->weights->device, o->buffers[b]);
    *o = (lk_optimizer){0};
}

/* Tensors of one fused call. */
typedef struct fused {
    int count;
    lk_tensor *values[LK_FUSED_MAX], *gradients[LK_FUSED_MAX], *first[LK_FUSED_MAX], *second[LK_FUSED_MAX];
} fused;

static void update_list(const lk_optimizer *o, double lr, const fused *f)
{
    const lk_config *c = o->config;
    if (c->optimizer.name == LK_SGD) {
        lk_sgd rule = {
            .lr = lr, .momentum = c->optimizer.momentum, .weight_decay = c->optimizer.weight_decay, .first_step = o->step == 0};
        lk_fused_sgd_(&rule, f->count, f->values, f->gradients, f->first);
    } else {
        lk_adamw rule = {.lr = lr,
                         .beta1 = c->optimizer.momentum,
                         .beta2 = c->optimizer.beta2,
                         .eps = c->optimizer.eps,
                         .weight_decay = c->optimizer.weight_decay,
                         .step = o->step + 1};
        lk_fused_adamw_(&rule, f->count, f->values, f->gradients, f->first, f->second);
    }
}

/* The runs with one factor on the rate, LK_FUSED_MAX at a time. */
static void update_those(const lk_optimizer *o, double factor, double lr)
{
    fused f = {.count = 0};
    for (int i = 0; i < o->run_count; i++) {
        const lk_weights_run *run = &o->runs[i];
        if (run->lr_factor != factor)
            continue;
        f.values[f.count] = run->value;
        f.gradients[f.count] = run->gradient;
        f.first[f.count] = run->moments[0];
        f.second[f.count] = run->moments[1];
        if (++f.count == LK_FUSED_MAX) {
            update_list(o, lr * factor, &f);
            f.count = 0;
        }
    }
    if (f.count > 0)
        update_list(o, lr * factor, &f);
}

/* value += momentum * (batch - value) */
static void update_statistic(const lk_weight *w)
{
    lk_tensor *change = lk_subtract(w->gradient, w->value);
    lk_scale_(change, LK_BATCH_NORM_MOMENTUM);
    lk_add_(w->value, change);
    lk_tensor_free(&change);
}

lk_status lk_optimizer_update(lk_optimizer *o, double lr)
{
    for (int i = 0; i < o->run_count; i++) {
        bool seen = false;
        for (int k = 0; k < i; k++)
            seen |= o->runs[k].lr_factor == o->runs[i].lr_factor;
        if (!seen)
            update_those(o, o->runs[i].lr_factor, lr);
    }
    for (int i = 0; i < o->weights->count; i++)
        if (o->weights->items[i].statistic)
            update_statistic(&o->weights->items[i]);
    o->step++;
    lk_weights_refresh(o->weights);
    return lk_tensor_check();
}

double lk_learning_rate(const lk_config *c, int64_t step, int64_t steps_per_epoch, int64_t total_steps)
{
    double rate = c->optimizer.lr;
    if (step < c->optimizer.warmup_steps)
        rate *= (double)(step + 1) / c->optimizer.warmup_steps;
    switch (c->optimizer.schedule) {
    case LK_CONSTANT: break;
    case LK_STEP: rate *= pow(c->optimizer.step_gamma, (double)(step / steps_per_epoch / c->optimizer.step_epochs)); break;
    case LK_COSINE: {
        double done = total_steps > 1 ? (double)step / (double)(total_steps - 1) : 0;
        double last = c->optimizer.final_lr;
        rate *= last + (1 - last) * 0.5 * (1 + cos(3.14159265358979323846 * fmin(done, 1)));
        break;
    }
    }
    return rate;
}
