/* Operations that are libtorch operators, one after the other in the order of tensor.h. */
#include "trainer/tensor/dispatch.h"

#include <torch/csrc/inductor/aoti_torch/generated/c_shim_aten.h>

static lk_tensor *unary(const char *name, const lk_tensor *x)
{
    lk_call call = lk_call_begin(name, "");
    lk_push_tensor(&call, x);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

/* In-place operators return a new handle on the argument. */
static void discard(lk_call *call)
{
    if (lk_call_end(call, 1)) {
        lk_tensor *same = lk_result_tensor(call, 0);
        lk_tensor_free(&same);
    }
}

/* ---- parts ---- */

static lk_tensor *samples_of(const lk_tensor *t, int64_t first, int64_t count)
{
    lk_call call = lk_call_begin("aten::narrow", "");
    lk_push_tensor(&call, t);
    lk_push_int(&call, 0);
    lk_push_int(&call, first);
    lk_push_int(&call, count);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

lk_tensor *lk_tensor_first(const lk_tensor *t, int64_t samples)
{
    return samples_of(t, 0, samples);
}

lk_tensor *lk_tensor_behind(const lk_tensor *t, int64_t samples)
{
    return samples_of(t, samples, lk_tensor_dim(t, 0) - samples);
}

lk_tensor *lk_tensor_append(const lk_tensor *a, const lk_tensor *b)
{
    lk_tensor *both[2] = {lk_tensor_share(a), lk_tensor_share(b)};
    lk_call call = lk_call_begin("aten::cat", "");
    lk_push_tensors(&call, 2, both);
    lk_push_int(&call, 0);
    lk_tensor *joined = lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
    lk_tensor_free(&both[0]);
    lk_tensor_free(&both[1]);
    return joined;
}

/* ---- convolution ---- */

static void push_convolution_shape(lk_call *call, const lk_convolution_shape *shape)
{
    lk_push_pair(call, shape->stride);
    lk_push_pair(call, shape->padding);
    lk_push_pair(call, 1); /* dilation */
    lk_push_bool(call, shape->transposed);
    lk_push_pair(call, 0); /* output padding */
    lk_push_int(call, 1);  /* groups */
}

lk_tensor *lk_convolution(const lk_tensor *x, const lk_tensor *w, const lk_tensor *b, const lk_convolution_shape *shape)
{
    lk_call call = lk_call_begin("aten::convolution", "");
    lk_push_tensor(&call, x);
    lk_push_tensor(&call, w);
    lk_push_optional_tensor(&call, b);
    push_convolution_shape(&call, shape);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

lk_tensor *lk_cudnn_convolution_relu(const lk_tensor *x, const lk_tensor *w, const lk_tensor *b,
                                     const lk_convolution_shape *shape)
{
    lk_call call = lk_call_begin("aten::cudnn_convolution_relu", "");
    lk_push_tensor(&call, x);
    lk_push_tensor(&call, w);
    lk_push_optional_tensor(&call, b);
    lk_push_pair(&call, shape->stride);
    lk_push_pair(&call, shape->padding);
    lk_push_pair(&call, 1); /* dilation */
    lk_push_int(&call, 1);  /* groups */
    if (lk_call_end(&call, 1))
        return lk_result_tensor(&call, 0);
    if (!call.skipped) /* this libtorch may be without cuDNN, or cuDNN without such a convolution */
        lk_tensor_keep(lk_fail_in(lk_tensor_check(), "train.cudnn_fuse"));
    return NULL;
}

static void push_mask(lk_call *call, bool a, bool b, bool c)
{
    lk_push_ints(call, 3, (int64_t[]){a, b, c});
}

/* Results that were not asked for come as handles on undefined tensors. */
static void take_three(lk_call *call, lk_tensor **a, lk_tensor **b, lk_tensor **c)
{
    lk_tensor **wanted[3] = {a, b, c};
    bool good = lk_call_end(call, 3);
    for (int i = 0; i < 3; i++) {
        lk_tensor *t = good ? lk_result_tensor(call, i) : NULL;
        if (wanted[i])
            *wanted[i] = t;
        else
            lk_tensor_free(&t);
    }
}

void lk_convolution_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *w, const lk_convolution_shape *shape,
                             lk_tensor **dx, lk_tensor **dw, lk_tensor **db)
{
    lk_call call = lk_call_begin("aten::convolution_backward", "");
    lk_push_tensor(&call, dy);
    lk_push_tensor(&call, x);
    lk_push_tensor(&call, w);
    if (db)
        lk_push_optional_ints(&call, 1, (int64_t[]){lk_tensor_dim(dy, 1)});
    else
        lk_push_none(&call);
    push_convolution_shape(&call, shape);
    push_mask(&call, dx != NULL, dw != NULL, db != NULL);
    take_three(&call, dx, dw, db);
}

/* ---- pieces of a block ---- */

void lk_relu_(lk_tensor *x)
{
    lk_call call = lk_call_begin("aten::relu_", "");
    lk_push_tensor(&call, x);
    discard(&call);
}

static void push_pool_shape(lk_call *call)
{
    lk_push_pair(call, 2); /* kernel */
    lk_push_pair(call, 2); /* stride */
    lk_push_pair(call, 0); /* padding */
    lk_push_pair(call, 1); /* dilation */
    lk_push_bool(call, false);
}

lk_tensor *lk_max_pool(const lk_tensor *x, lk_tensor **indices)
{
    lk_call call = lk_call_begin("aten::max_pool2d_with_indices", "");
    lk_push_tensor(&call, x);
    push_pool_shape(&call);
    bool good = lk_call_end(&call, 2);
    *indices = good ? lk_result_tensor(&call, 1) : NULL;
    return good ? lk_result_tensor(&call, 0) : NULL;
}

lk_tensor *lk_max_pool_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *indices)
{
    lk_call call = lk_call_begin("aten::max_pool2d_with_indices_backward", "");
    lk_push_tensor(&call, dy);
    lk_push_tensor(&call, x);
    push_pool_shape(&call);
    lk_push_tensor(&call, indices);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

lk_tensor *lk_batch_norm(const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, double eps, lk_tensor *saved[2])
{
    lk_tensor *y = NULL;
    lk_call call = lk_call_begin("aten::native_batch_norm", "");
    lk_push_tensor(&call, x);
    lk_push_optional_tensor(&call, scale);
    lk_push_optional_tensor(&call, shift);
    lk_push_none(&call); /* running mean and variance are ours: trainer/model/weights.h */
    lk_push_none(&call);
    lk_push_bool(&call, true);
    lk_push_double(&call, 0.1);
    lk_push_double(&call, eps);
    take_three(&call, &y, &saved[0], &saved[1]);
    return y;
}

lk_tensor *lk_batch_norm_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *scale, double eps,
                                  lk_tensor *const saved[2], lk_tensor **dscale, lk_tensor **dshift)
{
    lk_tensor *dx = NULL;
    lk_call call = lk_call_begin("aten::native_batch_norm_backward", "");
    lk_push_tensor(&call, dy);
    lk_push_tensor(&call, x);
    lk_push_optional_tensor(&call, scale);
    lk_push_none(&call);
    lk_push_none(&call);
    lk_push_optional_tensor(&call, saved[0]);
    lk_push_optional_tensor(&call, saved[1]);
    lk_push_bool(&call, true);
    lk_push_double(&call, eps);
    push_mask(&call, true, true, true);
    take_three(&call, &dx, dscale, dshift);
    return dx;
}

/* ---- fully connected ---- */

lk_tensor *lk_linear(const lk_tensor *x, const lk_tensor *w, const lk_tensor *b)
{
    lk_call call = lk_call_begin("aten::linear", "");
    lk_push_tensor(&call, x);
    lk_push_tensor(&call, w);
    lk_push_optional_tensor(&call, b);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

static lk_tensor *matrix_product(const lk_tensor *a, const lk_tensor *b)
{
    lk_call call = lk_call_begin("aten::mm", "");
    lk_push_tensor(&call, a);
    lk_push_tensor(&call, b);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

void lk_linear_backward(const lk_tensor *dy, const lk_tensor *x, const lk_tensor *w, lk_tensor **dx, lk_tensor **dw,
                        lk_tensor **db)
{
    if (dx)
        *dx = matrix_product(dy, w);
    if (dw) {
        lk_tensor *transposed = unary("aten::t", dy);
        *dw = matrix_product(transposed, x);
        lk_tensor_free(&transposed);
    }
    if (db) {
        lk_call call = lk_call_begin("aten::sum", "dim_IntList");
        lk_push_tensor(&call, dy);
        lk_push_optional_ints(&call, 1, (int64_t[]){0});
        lk_push_bool(&call, false);
        lk_push_none(&call);
        *db = lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
    }
}

static lk_tensor *reshape(const lk_tensor *x, int dims, const int64_t *sizes)
{
    lk_call call = lk_call_begin("aten::reshape", "");
    lk_push_tensor(&call, x);
    lk_push_ints(&call, dims, sizes);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

lk_tensor *lk_flatten(const lk_tensor *x)
{
    if (!x)
        return NULL;
    int64_t n = lk_tensor_dim(x, 0);
    return reshape(x, 2, (int64_t[]){n, lk_tensor_count(x) / n});
}

lk_tensor *lk_unflatten(const lk_tensor *x, int64_t channels, int64_t height, int64_t width)
{
    if (!x)
        return NULL;
    lk_tensor *shaped = reshape(x, 4, (int64_t[]){lk_tensor_dim(x, 0), channels, height, width});
    lk_call call = lk_call_begin("aten::contiguous", "");
    lk_push_tensor(&call, shaped);
    lk_push_int(&call, aoti_torch_memory_format_channels_last());
    lk_tensor *y = lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
    lk_tensor_free(&shaped);
    return y;
}

/* ---- element by element ---- */

lk_tensor *lk_sigmoid(const lk_tensor *x)
{
    return unary("aten::sigmoid", x);
}

lk_tensor *lk_sigmoid_backward(const lk_tensor *dy, const lk_tensor *y)
{
    lk_call call = lk_call_begin("aten::sigmoid_backward", "");
    lk_push_tensor(&call, dy);
    lk_push_tensor(&call, y);
    return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
}

/* a - alpha b: the only addition whose factor the C ABI takes for every device. */
static lk_tensor *subtract_scaled(const lk_tensor *a, const lk_tensor *b, double alpha)
{
    AtenTensorHandle out = NULL;
    if (a && b)
        lk_torch_ok(aoti_torch_aten_subtract_Tensor(lk_tensor_handle(a), lk_tensor_handle(b), alpha, &out), "subtract");
    return (lk_tensor *)out;
}

lk_tensor *lk_add(const lk_tensor *a, const lk_tensor *b)
{
    return subtract_scaled(a, b, -1.0);
}

lk_tensor *lk_subtract(const lk_tensor *a, const lk_tensor *b)
{
    return subtract_scaled(a, b, 1.0);
}

lk_tensor *lk_first_columns(const lk_tensor *x, int64_t columns)
{
    lk_call call = lk_call_begin("aten::narrow", "");
    lk_push_tensor(&call, x);
    lk_push_int(&call, 1); /* dimension */
    lk_push_int(&call, 0); /* from */
    lk_push_int(&call, columns);
    lk_tensor *window = lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
    call = lk_call_begin("aten::contiguous", "");
    lk_push_tensor(&call, window);
    lk_push_int(&call, aoti_torch_memory_format_contiguous_format());
    lk_tensor *out = lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
    lk_tensor_free(&window);
    return out;
}

/* ---- optimizers ---- */

void lk_fused_sgd_(const lk_sgd *rule, int count, lk_tensor *const *weights, lk_tensor *const *gradients,
                   lk_tensor *const *momenta)
{
    lk_call call = lk_call_begin("aten::_fused_sgd_", "");
    lk_push_tensors(&call, count, weights);
    lk_push_tensors(&call, count, gradients);
    lk_push_tensors(&call, rule->momentum != 0 ? count : 0, momenta); /* libtorch refuses buffers that it has no use for */
    lk_push_double(&call, rule->weight_decay);
    lk_push_double(&call, rule->momentum);
    lk_push_double(&call, rule->lr);
    lk_push_double(&call, 0);   /* dampening */
    lk_push_bool(&call, false); /* Nesterov */
    lk_push_bool(&call, false); /* maximize */
    lk_push_bool(&call, rule->first_step);
    lk_push_none(&call);
    lk_push_none(&call);
    lk_call_end(&call, 0);
}

void lk_fused_adamw_(const lk_adamw *rule, int count, lk_tensor *const *weights, lk_tensor *const *gradients,
                     lk_tensor *const *means, lk_tensor *const *squares)
{
    lk_tensor *step = lk_tensor_number((float)rule->step);
    lk_tensor *steps[LK_FUSED_MAX];
    for (int i = 0; i < count; i++)
        steps[i] = step; /* which is only read */
    lk_call call = lk_call_begin("aten::_fused_adamw_", "");
    lk_push_tensors(&call, count, weights);
    lk_push_tensors(&call, count, gradients);
    lk_push_tensors(&call, count, means);
    lk_push_tensors(&call, count, squares);
    lk_push_tensors(&call, 0, NULL); /* maxima of amsgrad */
    lk_push_tensors(&call, count, steps);
    lk_push_double(&call, rule->lr);
    lk_push_double(&call, rule->beta1);
    lk_push_double(&call, rule->beta2);
    lk_push_double(&call, rule->weight_decay);
    lk_push_double(&call, rule->eps);
    lk_push_bool(&call, false); /* amsgrad */
    lk_push_bool(&call, false); /* maximize */
    lk_push_none(&call);
    lk_push_none(&call);
    lk_call_end(&call, 0);
    lk_tensor_free(&step);
}
