/* Weights: the named parameters of a model, in flat buffers.
 *
 * A model adds its weights in forward order; lk_weights_finish() lays them out in one buffer in the opposite order, in which
 * backward finishes their gradients, so that gradient buckets are contiguous. Values are kept in float32 (float64 in gradient
 * checks); layers compute with lk_weights_compute(), which is the value itself or its bfloat16 copy, renewed by
 * lk_weights_refresh().
 *
 * Flat buffers lie on the device of the tensors (lk_tensor_device), where each weight begins at a multiple of
 * lk_weights.alignment numbers; what is between two is zero and belongs to neither hash nor file.
 *
 * 4-d weights lie channels_last in the buffers; files hold PyTorch's layout (trainer/model/weights_file.h).
 *
 * Running statistics of batch norm are weights whose gradient slot carries the batch's statistics: they are summed over
 * ranks with the gradients and then averaged into the value, so that any number of ranks sees the same (optimizer.c). They are
 * handed in like gradients.
 */
#ifndef LK_TRAINER_MODEL_WEIGHTS_H
#define LK_TRAINER_MODEL_WEIGHTS_H

#include "base/error.h"
#include "trainer/tensor/tensor.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LK_WEIGHT_NAME = 64 };

typedef struct lk_weight {
    char name[LK_WEIGHT_NAME];
    int dims;
    int64_t sizes[LK_MAX_DIMS];
    size_t count;          /* numbers in it */
    size_t offset;         /* where it begins in the flat buffers, in numbers */
    size_t compute_offset; /* and in the flat copy of another compute type */
    bool statistic;        /* a running mean or variance, not trained */
    double lr_factor;      /* on the learning rate; 1 for most */
    lk_tensor *value;
    lk_tensor *gradient; /* NULL until bound */
    lk_tensor *compute;  /* lk_weights_compute */
    bool is_computed;    /* it has been asked for, or all are renewed at once */
} lk_weight;

/* Gradient i of this micro-batch is in the buffer. */
typedef void lk_gradient_ready(void *context, int i);

typedef struct lk_weights {
    lk_weight *items;
    int count;
    size_t numbers; /* of all weights */
    size_t total;   /* numbers in a flat buffer, with what lies between */
    int alignment;  /* lk_tensor_alignment, or what a test sets before lk_weights_finish */
    lk_device *device;
    void *values;                   /* total numbers of dtype */
    void *computed;                 /* the copy in compute_dtype; NULL where that is dtype */
    lk_range *trained, *statistics; /* the weights' ranges of a flat buffer, in the order of adding: those falls */
    int trained_count, statistic_count;
    lk_dtype dtype;
    lk_dtype compute_dtype;
    bool frozen;            /* backward computes no gradients for them */
    bool own_kernels;       /* blocks take our kernels where they suit; false, as at first: libtorch's operators alone */
    uint64_t version;       /* of the values, raised by lk_weights_refresh: for what is made of them and kept */
    bool single_pass;       /* they change after each forward and backward: nothing that is made of them there is kept */
    double statistic_share; /* what one micro-batch adds to the statistics: 1 / micro-batches of a global batch */

    /* The micro-batch under way, of weights.c alone but for the gradients. */
    void *gradients;
    bool accumulate;
    int expected;  /* whose gradient comes next; -1: none */
    int misplaced; /* the first that came at another place; -1: none */
    lk_gradient_ready *ready;
    void *ready_context;
} lk_weights;

void lk_weights_init(lk_weights *weights, lk_dtype dtype, lk_dtype compute_dtype);
void lk_weights_free(lk_weights *weights);

/* Returns the index of the new weight; sticky: out of memory is reported by lk_weights_finish. */
int lk_weights_add(lk_weights *weights, int dims, const int64_t *sizes, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Allocates the values (zero) on the device and makes the tensors. Nothing can be added afterwards. */
lk_status lk_weights_finish(lk_weights *weights);

/* The place of weight i in the flat buffers, and of its gradient in the order of handing in: 0 for the weight that was added
 * last. Its own inverse: the weight at place i. */
int lk_weights_place(const lk_weights *weights, int i);

/* Numbers of a flat buffer from where weight i begins to where the one at the next place does. */
size_t lk_weights_extent(const lk_weights *weights, int i);

/* Gives the gradients their memory: `total` numbers of the weights' dtype on the device, zero between the weights, kept alive by
 * the caller. `micro_batches`: how many of them, over all ranks, are summed up for one update. */
lk_status lk_weights_bind_gradients(lk_weights *weights, void *gradients, int micro_batches);

/* What computes blocks of these weights, as files of a run say it: the name of our kernels (LK_KERNELS_NAME), or "torch". Another
 * name, other digits. */
const char *lk_weights_kernels(const lk_weights *weights);

/* Weight i in compute_dtype. A copy is made when it is first asked for, and renewed from then on: weights of which our kernels
 * take the values have none. */
const lk_tensor *lk_weights_compute(const lk_weights *weights, int i);

/* After the values changed, also where compute is the value itself: compute = value, and a new version. */
void lk_weights_refresh(lk_weights *weights);

/* The way of gradients: in each micro-batch every gradient is handed in exactly once, in the opposite order of adding. Also after
 * a failure: other ranks wait for the sum of each.
 *
 *     lk_weights_begin(weights, accumulate, ready, context);
 *     ... backward: lk_weights_give_gradient(weights, i, gradient) for i = count - 1 ... 0 ...
 *     status = lk_weights_end(weights, status);
 *
 * accumulate: add to the buffer instead of setting it. ready (NULL: nobody listens) is called once for each gradient, in that
 * order, whatever backward does. */
void lk_weights_begin(lk_weights *weights, bool accumulate, lk_gradient_ready *ready, void *context);
/* Where gradient i may be written at once and then be handed in, a new handle; NULL where it will be added to what is there. */
lk_tensor *lk_weights_gradient_place(const lk_weights *weights, int i);
/* `gradient` is freed; NULL counts and adds zero. One that comes out of its place is dropped. */
void lk_weights_give_gradient(lk_weights *weights, int i, lk_tensor *gradient);
/* Hands in nothing (NULL) for the gradients that a failure kept back. Returns `status`; if that is LK_OK although a gradient was
 * missing or came out of its place, LK_INTERNAL, naming the weight. */
lk_status lk_weights_end(lk_weights *weights, lk_status status);

/* The layout of one weight, turned in place between the buffers' order (4-d: channels_last) and PyTorch's in files. `scratch`
 * holds `count` numbers. Float32; no libtorch, so any thread may. */
void lk_weight_to_file_order(const lk_weight *w, float *values, float *scratch);
void lk_weight_from_file_order(const lk_weight *w, float *values, float *scratch);
size_t lk_weights_largest(const lk_weights *weights); /* numbers in the largest weight */

int lk_weights_find(const lk_weights *weights, const char *name); /* -1: none */

/* XXH3-64 over the values: equal on two ranks exactly if all bits are. Reads them from the device. */
uint64_t lk_weights_hash(const lk_weights *weights);

/* The name of the first weight with a NaN or infinity in a flat buffer (values or gradients, float32), or NULL. Reads it from the
 * device: whether there is one, lk_sum_squares says sooner. */
const char *lk_weights_find_nonfinite(const lk_weights *weights, const float *buffer);

#endif
