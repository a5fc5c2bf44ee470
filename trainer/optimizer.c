#include "trainer/optimizer.h"

#include "trainer/model/decoder.h"

#include <math.h>
#include <stdlib.h>

lk_status lk_optimizer_create(const lk_config *config, lk_weights *weights, lk_optimizer *o)
{
    *o = (lk_optimizer){.config = config, .weights = weights, .buffer_count = config->optimizer.name == LK_ADAMW ? 2 : 1};
    for (int b = 0; b < o->buffer_count; b++) {
        o->buffers[b] = lk_device_alloc(weights->device, weights->total * sizeof(float));
        o->views[b] = calloc((size_t)weights->count, sizeof *o->views[b]);
        if (!o->buffers[b] || !o->views[b]) {
            lk_optimizer_free(o);
            return lk_fail(LK_INTERNAL, "out of memory for the optimizer's %zu numbers", weights->numbers);
        }
        for (int i = 0; i < weights->count; i++) {
            const lk_weight *w = &weights->items[i];
            o->views[b][i] = lk_tensor_view(o->buffers[b] + w->offset, LK_DTYPE_F32, w->dims, w->sizes);
        }
    }
    return lk_tensor_check();
}

void lk_optimizer_free(lk_optimizer *o)
{
    for (int b = 0; b < o->buffer_count; b++) {
        for (int i = 0; o->views[b] && i < o->weights->count; i++)
            lk_tensor_free(&o->views[b][i]);
        free(o->views[b]);
        if (o->buffers[b])
            lk_device_free(o->weights->device, o->buffers[b]);
    }
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

/* The trained weights with one factor on the rate, LK_FUSED_MAX at a time. */
static void update_those(const lk_optimizer *o, double factor, double lr)
{
    fused f = {.count = 0};
    for (int i = 0; i < o->weights->count; i++) {
        const lk_weight *w = &o->weights->items[i];
        if (w->statistic || w->lr_factor != factor)
            continue;
        f.values[f.count] = w->value;
        f.gradients[f.count] = w->gradient;
        f.first[f.count] = o->views[0][i];
        f.second[f.count] = o->buffer_count > 1 ? o->views[1][i] : NULL;
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
    for (int i = 0; i < o->weights->count; i++) {
        double factor = o->weights->items[i].lr_factor;
        bool seen = false;
        for (int k = 0; k < i; k++)
            seen |= o->weights->items[k].lr_factor == factor;
        if (!seen)
            update_those(o, factor, lr);
        if (o->weights->items[i].statistic)
            update_statistic(&o->weights->items[i]);
    }
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
