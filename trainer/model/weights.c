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
    *weights = (lk_weights){.dtype = dtype,
                            .compute_dtype = compute_dtype,
                            .alignment = lk_tensor_alignment(),
                            .device = lk_tensor_device(),
                            .version = 1,
                            .statistic_share = 1.0,
                            .expected = -1,
                            .misplaced = -1};
}

void lk_weights_free(lk_weights *weights)
{
    for (int i = 0; i < weights->count; i++) {
        lk_tensor_free(&weights->items[i].value);
        lk_tensor_free(&weights->items[i].gradient);
        lk_tensor_free(&weights->items[i].compute);
    }
    free(weights->items);
    free(weights->trained);
    free(weights->statistics);
    lk_device_free(weights->device, weights->values);
    lk_device_free(weights->device, weights->computed);
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

static size_t round_up(size_t offset, size_t alignment)
{
    return (offset + alignment - 1) / alignment * alignment;
}

/* Where each weight lies; returns the numbers of the flat copy. */
static size_t lay_out(lk_weights *weights)
{
    size_t total = 0, computed = 0;
    weights->numbers = 0;
    for (int place = 0; place < weights->count; place++) {
        lk_weight *w = &weights->items[lk_weights_place(weights, place)];
        w->offset = round_up(total, (size_t)weights->alignment);
        w->compute_offset = round_up(computed, LK_TENSOR_ALIGNMENT);
        total = w->offset + w->count;
        computed = w->compute_offset + w->count;
        weights->numbers += w->count;
    }
    weights->total = total;
    return computed;
}

static lk_status list_ranges(lk_weights *weights)
{
    size_t count = (size_t)weights->count + 1;
    weights->trained = calloc(count, sizeof *weights->trained);
    weights->statistics = calloc(count, sizeof *weights->statistics);
    if (!weights->trained || !weights->statistics)
        return lk_fail(LK_INTERNAL, "out of memory for the list of weights");
    for (int i = 0; i < weights->count; i++) {
        const lk_weight *w = &weights->items[i];
        lk_range range = {(int64_t)w->offset, (int64_t)w->count};
        if (w->statistic)
            weights->statistics[weights->statistic_count++] = range;
        else
            weights->trained[weights->trained_count++] = range;
    }
    return LK_OK;
}

/* Both lie alike: one copy for all. */
static bool renewed_at_once(const lk_weights *weights)
{
    return weights->alignment == LK_TENSOR_ALIGNMENT;
}

lk_status lk_weights_finish(lk_weights *weights)
{
    if (weights->total == SIZE_MAX)
        return lk_fail(LK_INTERNAL, "out of memory for the list of weights");
    size_t computed = lay_out(weights), narrow = lk_dtype_size(weights->compute_dtype);
    LK_TRY(list_ranges(weights));
    bool copied = weights->compute_dtype != weights->dtype;
    weights->values = lk_device_alloc(weights->device, weights->total * lk_dtype_size(weights->dtype));
    if (weights->values && copied)
        weights->computed = lk_device_alloc(weights->device, computed * narrow);
    if (!weights->values || (copied && !weights->computed))
        return lk_fail_in(LK_INTERNAL, "%zu weights", weights->numbers);
    for (int i = 0; i < weights->count; i++) {
        lk_weight *w = &weights->items[i];
        w->value = lk_tensor_view(at(weights->values, weights, w), weights->dtype, w->dims, w->sizes);
        w->compute = copied ? lk_tensor_view((unsigned char *)weights->computed + w->compute_offset * narrow,
                                             weights->compute_dtype, w->dims, w->sizes)
                            : lk_tensor_share(w->value);
        w->is_computed = !copied || renewed_at_once(weights);
    }
    return lk_tensor_check();
}

size_t lk_weights_extent(const lk_weights *weights, int i)
{
    return (i > 0 ? weights->items[i - 1].offset : weights->total) - weights->items[i].offset;
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
    bool own = weights->own_kernels && weights->dtype == LK_DTYPE_F32 && lk_tensor_on_host();
    return own ? LK_KERNELS_NAME : lk_tensor_operators();
}

void lk_weights_refresh(lk_weights *weights)
{
    weights->version++;
    if (weights->compute_dtype == weights->dtype)
        return;
    if (renewed_at_once(weights)) {
        int64_t total = (int64_t)weights->total;
        lk_tensor *values = lk_tensor_view(weights->values, weights->dtype, 1, &total);
        lk_tensor *computed = lk_tensor_view(weights->computed, weights->compute_dtype, 1, &total);
        lk_tensor_copy_(computed, values);
        lk_tensor_free(&values);
        lk_tensor_free(&computed);
        return;
    }
    for (int i = 0; i < weights->count; i++)
        if (weights->items[i].is_computed)
            lk_tensor_copy_(weights->items[i].compute, weights->items[i].value);
}

const lk_tensor *lk_weights_compute(const lk_weights *weights, int i)
{
    lk_weight *w = &weights->items[i];
    if (!w->is_computed)
        lk_tensor_copy_(w->compute, w->value);
    w->is_computed = true;
    return w->compute;
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
            lk_tensor_keep(
                lk_device_zero(weights->device, at(weights->gradients, weights, w), w->count * lk_dtype_size(weights->dtype)));
    } else if (lk_tensor_is_same(gradient, w->gradient)) {
        return; /* by lk_weights_gradient_place() */
    } else if (weights->accumulate) {
        lk_tensor *wide = lk_tensor_cast(gradient, weights->dtype);
        lk_add_(w->gradient, wide);
        lk_tensor_free(&wide);
    } else {
        lk_tensor_copy_(w->gradient, gradient);
    }
}

lk_tensor *lk_weights_gradient_place(const lk_weights *weights, int i)
{
    const lk_tensor *place = weights->items[i].gradient;
    return place && !weights->accumulate ? lk_tensor_share(place) : NULL;
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

/* Numbers of a flat buffer, weight by weight in the order of the buffer, read to the host a piece at a time. */
typedef struct reading {
    const lk_weights *weights;
    const unsigned char *buffer;
    int place;    /* of the weight */
    size_t taken; /* of its numbers */
    unsigned char piece[1 << 17];
} reading;

static size_t next_piece(void *context, const void **data)
{
    reading *r = context;
    size_t size = lk_dtype_size(r->weights->dtype);
    while (r->place < r->weights->count) {
        const lk_weight *w = &r->weights->items[lk_weights_place(r->weights, r->place)];
        size_t left = w->count - r->taken, count = left < sizeof r->piece / size ? left : sizeof r->piece / size;
        if (count == 0) {
            r->place++;
            r->taken = 0;
            continue;
        }
        if (!lk_tensor_keep(
                lk_device_to_host(r->weights->device, r->piece, r->buffer + (w->offset + r->taken) * size, count * size)))
            return 0;
        r->taken += count;
        *data = r->piece;
        return count * size;
    }
    return 0;
}

uint64_t lk_weights_hash(const lk_weights *weights)
{
    reading r = {.weights = weights, .buffer = weights->values};
    return lk_hash_stream(next_piece, &r);
}

static bool is_finite(const float *values, size_t count)
{
    for (size_t k = 0; k < count; k++)
        if (!isfinite(values[k]))
            return false;
    return true;
}

/* In the order of adding, though the pieces come the other way round. */
const char *lk_weights_find_nonfinite(const lk_weights *weights, const float *buffer)
{
    reading r = {.weights = weights, .buffer = (const unsigned char *)buffer};
    const char *found = NULL;
    const void *data;
    size_t bytes;
    while ((bytes = next_piece(&r, &data)) > 0)
        if (!is_finite(data, bytes / sizeof(float)))
            found = weights->items[lk_weights_place(weights, r.place)].name;
    return found;
}
