#include "trainer/model/weights.h"

#include "base/hash.h"
#include "trainer/kernels/kernels.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void lk_weights_init(lk_weights *weights, lk_dtype dtype, lk_dtype compute_dtype)
{
    *weights = (lk_weights){
        .dtype = dtype, .compute_dtype = compute_dtype, .version = 1, .statistic_share = 1.0, .expected = -1, .misplaced = -1};
}

void lk_weights_free(lk_weights *weights)
{
    for (int i = 0; i < weights->count; i++) {
        lk_tensor_free(&weights->items[i].value);
        lk_tensor_free(&weights->items[i].gradient);
        lk_tensor_free(&weights->items[i].compute);
    }
    free(weights->items);
    free(weights->values);
    *weights = (lk_weights){0};
}

int lk_weights_add(lk_weights *weights, int dims, const int64_t *sizes, const char *format, ...)
{
    lk_weight *grown = realloc(weights->items, (size_t)(weights->count + 1) * sizeof *grown);
    if (!grown) {
        weights->total = SIZE_MAX; /* seen by finish */
        return 0;
    }
    weights->items = grown;
    lk_weight *w = &grown[weights->count];
    *w = (lk_weight){.dims = dims, .count = 1, .lr_factor = 1.0};
    for (int i = 0; i < dims; i++) {
        w->sizes[i] = sizes[i];
        w->count *= (size_t)sizes[i];
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(w->name, sizeof w->name, format, arguments);
    va_end(arguments);
    return weights->count++;
}

int lk_weights_place(const lk_weights *weights, int i)
{
    return weights->count - 1 - i;
}

static unsigned char *at(void *buffer, const lk_weights *weights, const lk_weight *w)
{
    return (unsigned char *)buffer + w->offset * lk_dtype_size(weights->dtype);
}

lk_status lk_weights_finish(lk_weights *weights)
{
    if (weights->total == SIZE_MAX)
        return lk_fail(LK_INTERNAL, "out of memory for the list of weights");
    size_t total = 0;
    for (int place = 0; place < weights->count; place++) {
        lk_weight *w = &weights->items[lk_weights_place(weights, place)];
        w->offset = total;
        total += w->count;
    }
    weights->total = total;
    weights->values = calloc(total ? total : 1, lk_dtype_size(weights->dtype));
    if (!weights->values)
        return lk_fail(LK_INTERNAL, "out of memory for %zu weights", total);
    for (int i = 0; i < weights->count; i++) {
        lk_weight *w = &weights->items[i];
        w->value = lk_tensor_view(at(weights->values, weights, w), weights->dtype, w->dims, w->sizes);
        w->compute = weights->compute_dtype == weights->dtype ? lk_tensor_share(w->value)
                                                              : lk_tensor_empty(weights->compute_dtype, w->dims, w->sizes);
    }
    return lk_tensor_check();
}

lk_status lk_weights_bind_gradients(lk_weights *weights, void *gradients, int micro_batches)
{
    weights->gradients = gradients;
    weights->statistic_share = 1.0 / micro_batches;
    for (int i = 0; i < weights->count; i++) {
        lk_weight *w = &weights->items[i];
        lk_tensor_free(&w->gradient);
        w->gradient = lk_tensor_view(at(gradients, weights, w), weights->dtype, w->dims, w->sizes);
    }
    return lk_tensor_check();
}

const char *lk_weights_kernels(const lk_weights *weights)
{
    return weights->own_kernels && weights->compute_dtype == LK_DTYPE_F32 ? LK_KERNELS_NAME : "torch";
}

void lk_weights_refresh(lk_weights *weights)
{
    weights->version++;
    if (weights->compute_dtype == weights->dtype)
        return;
    for (int i = 0; i < weights->count; i++)
        lk_tensor_copy_(weights->items[i].compute, weights->items[i].value);
}

void lk_weights_begin(lk_weights *weights, bool accumulate, lk_gradient_ready *ready, void *context)
{
    weights->accumulate = accumulate;
    weights->expected = lk_weights_place(weights, 0);
    weights->misplaced = -1;
    weights->ready = ready;
    weights->ready_context = context;
}

static void take_gradient(lk_weights *weights, lk_weight *w, const lk_tensor *gradient)
{
    if (!gradient) {
        if (!weights->accumulate)
            memset(at(weights->gradients, weights, w), 0, w->count * lk_dtype_size(weights->dtype));
    } else if (weights->accumulate) {
        lk_tensor *wide = lk_tensor_cast(gradient, weights->dtype);
        lk_add_(w->gradient, wide);
        lk_tensor_free(&wide);
    } else {
        lk_tensor_copy_(w->gradient, gradient);
    }
}

void lk_weights_give_gradient(lk_weights *weights, int i, lk_tensor *gradient)
{
    if (i == weights->expected) {
        take_gradient(weights, &weights->items[i], gradient);
        weights->expected--;
        if (weights->ready)
            weights->ready(weights->ready_context, i);
    } else if (weights->misplaced < 0) {
        weights->misplaced = i;
    }
    lk_tensor_free(&gradient);
}

lk_status lk_weights_end(lk_weights *weights, lk_status status)
{
    int wrong = weights->misplaced >= 0 ? weights->misplaced : weights->expected;
    while (weights->expected >= 0)
        lk_weights_give_gradient(weights, weights->expected, NULL);
    if (status == LK_OK && wrong >= 0)
        return lk_fail(LK_INTERNAL, "the gradient of %s was not handed in once, in its place", weights->items[wrong].name);
    return status;
}

/* [O][H][W][I] -> [O][I][H][W] where outer is O, inner (rows x columns) is HW x I; and back with the two swapped. */
static void transpose_inner(float *values, float *scratch, size_t outer, size_t rows, size_t columns)
{
    for (size_t o = 0; o < outer; o++) {
        float *matrix = values + o * rows * columns;
        memcpy(scratch, matrix, rows * columns * sizeof *scratch);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                matrix[c * rows + r] = scratch[r * columns + c];
    }
}

void lk_weight_to_file_order(const lk_weight *w, float *values, float *scratch)
{
    if (w->dims == 4)
        transpose_inner(values, scratch, (size_t)w->sizes[0], (size_t)(w->sizes[2] * w->sizes[3]), (size_t)w->sizes[1]);
}

void lk_weight_from_file_order(const lk_weight *w, float *values, float *scratch)
{
    if (w->dims == 4)
        transpose_inner(values, scratch, (size_t)w->sizes[0], (size_t)w->sizes[1], (size_t)(w->sizes[2] * w->sizes[3]));
}

size_t lk_weights_largest(const lk_weights *weights)
{
    size_t largest = 0;
    for (int i = 0; i < weights->count; i++)
        if (weights->items[i].count > largest)
            largest = weights->items[i].count;
    return largest;
}

int lk_weights_find(const lk_weights *weights, const char *name)
{
    for (int i = 0; i < weights->count; i++)
        if (strcmp(weights->items[i].name, name) == 0)
            return i;
    return -1;
}

uint64_t lk_weights_hash(const lk_weights *weights)
{
    return lk_hash(weights->values, weights->total * lk_dtype_size(weights->dtype));
}

static bool is_finite(const float *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!isfinite(values[k]))
            return false;
    return true;
}

const char *lk_weights_find_nonfinite(const lk_weights *weights, const float *buffer)
{
    for (int i = 0; i < weights->count; i++)
        if (!is_finite(buffer + weights->items[i].offset, weights->items[i].count))
            return weights->items[i].name;
    return NULL;
}

const char *lk_weights_find_nonfinite_statistic(const lk_weights *weights, const float *buffer)
{
    for (int i = 0; i < weights->count; i++)
        if (weights->items[i].statistic && !is_finite(buffer + weights->items[i].offset, weights->items[i].count))
            return weights->items[i].name;
    return NULL;
}
