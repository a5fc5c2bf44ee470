/* The optimizer: SGD with momentum or AdamW through libtorch's fused operators, learning-rate schedules, clipping.
 *
 * Update rules are PyTorch's: SGD v = momentum v + g, w -= lr v (first step v = g); AdamW with decoupled weight decay
 * (Loshchilov and Hutter 2019). Every rank applies the same gradients to the same weights, so all stay equal.
 */
#ifndef LK_TRAINER_OPTIMIZER_H
#define LK_TRAINER_OPTIMIZER_H

#include "base/error.h"
#include "configs/config.h"
#include "trainer/model/weights.h"

#include <stdint.h>

/* Weights that are trained at one rate and lie side by side, and what lies between them (0, as its gradient), as tensors of one
 * dimension: of channels_last ones libtorch's AdamW would make a copy first. */
typedef struct lk_weights_run {
    double lr_factor;
    lk_tensor *value, *gradient, *moments[2];
} lk_weights_run;

typedef struct lk_optimizer {
    const lk_config *config;
    lk_weights *weights;
    int64_t step;      /* updates done */
    int buffer_count;  /* 1: momentum; 2: mean and mean square */
    float *buffers[2]; /* laid out as the weights, on their device */
    lk_weights_run *runs;
    int run_count;
} lk_optimizer;

/* Gradients must be bound; config and weights must outlive it. */
lk_status lk_optimizer_create(const lk_config *config, lk_weights *weights, lk_optimizer *out);
void lk_optimizer_free(lk_optimizer *optimizer);

/* One update with the bound gradients at base rate `lr`; renews the compute copies; applies running statistics. */
lk_status lk_optimizer_update(lk_optimizer *optimizer, double lr);

/* The rate of update `step` (from 0): linear warm-up over warmup_steps, times the schedule. */
double lk_learning_rate(const lk_config *config, int64_t step, int64_t steps_per_epoch, int64_t total_steps);

#endif
