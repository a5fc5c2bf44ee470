#include "trainer/tensor/fused.h"

#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/memory.h"

#include <stdlib.h>

static void run_on_pool(int count, lk_team_range *range, void *context)
{
    lk_torch_ok(torch_parallel_for(0, count, 1, range, context), "our convolution");
}

static lk_team team(void)
{
    return (lk_team){lk_tensor_threads(), run_on_pool};
}

lk_team lk_fused_team(void)
{
    return team();
}

bool lk_fused_suits(lk_fused *f, const lk_tensor *x, const lk_convolution3 *wanted)
{
    f->kernel = NULL;
    if (!x || !lk_tensor_on_host() || (lk_tensor_dtype(x) != LK_DTYPE_F32 && lk_tensor_dtype(x) != LK_DTYPE_BF16))
        return false;
    f->shape = *wanted;
    f->shape.batch = (int)lk_tensor_dim(x, 0);
    f->shape.in = (int)lk_tensor_dim(x, 1);
    f->shape.height = (int)lk_tensor_dim(x, 2);
    f->shape.width = (int)lk_tensor_dim(x, 3);
    f->shape.bf16 = lk_tensor_dtype(x) == LK_DTYPE_BF16;
    f->kernel = lk_kernel_choose(&f->shape, lk_cpu_detect());
    return f->kernel != NULL;
}

/* The kernel's form of w for a direction; false: out of memory. */
static bool make_filters(lk_fused *f, lk_direction direction, const float *w, uint64_t version, lk_filters *out)
{
    lk_made_filters *made = &f->filters[direction];
    size_t count = f->kernel->filter_size(&f->shape, direction);
    *out = (lk_filters){w, NULL};
    if (count == 0)
        return true;
    if (made->count != count) {
        free(made->values);
        *made = (lk_made_filters){aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64), count, 0};
        if (!made->values) {
            made->count = 0;
            lk_tensor_fail(LK_INTERNAL, "out of memory for the filters of a convolution");
            return false;
        }
    }
    if (version == 0 || made->version != version) {
        lk_team threads = team();
        f->kernel->transform(&threads, &f->shape, direction, w, made->values);
        made->version = version;
    }
    out->transformed = made->values;
    return true;
}

static void free_filters(lk_fused *f, lk_direction direction)
{
    free(f->filters[direction].values);
    f->filters[direction] = (lk_made_filters){0};
}

static bool good(lk_status status)
{
    if (status != LK_OK)
        lk_tensor_fail(status, lk_error_text());
    return status == LK_OK;
}

static lk_dtype dtype_of(const lk_convolution3 *s)
{
    return s->bf16 ? LK_DTYPE_BF16 : LK_DTYPE_F32;
}

static bool lie_well(const lk_tensor *a, const lk_tensor *b)
{
    return a && b && lk_tensor_require_channels_last(a) && lk_tensor_require_channels_last(b);
}

lk_tensor *lk_fused_forward(lk_fused *f, const lk_tensor *x, const lk_tensor *w, const lk_tensor *b, uint64_t version)
{
    const lk_convolution3 *s = &f->shape;
    lk_filters filters;
    lk_team threads = team();
    lk_fused_forget(f);
    if (!lie_well(x, w) || !b || !make_filters(f, LK_FORWARD, lk_tensor_data(w), version, &filters))
        return NULL;
    int half = s->pool, twice = s->transposed;
    int64_t sizes[] = {s->batch, s->out, s->height << twice >> half, s->width << twice >> half};
    lk_tensor *y = lk_tensor_empty(dtype_of(s), 4, sizes);
    if (y && s->pool && !(f->choice = malloc((size_t)lk_tensor_count(y)))) {
        lk_tensor_fail(LK_INTERNAL, "out of memory for the maxima of a pool");
        lk_tensor_free(&y);
    }
    if (y && !good(f->kernel->forward(&threads, s, lk_tensor_data(x), &filters, lk_tensor_data(b), lk_tensor_data(y), f->choice)))
        lk_tensor_free(&y);
    if (version == 0)
        free_filters(f, LK_FORWARD);
    return y;
}

static lk_tensor *data_gradient(lk_fused *f, const lk_output_gradient *g, const lk_tensor *w, uint64_t version)
{
    const lk_convolution3 *s = &f->shape;
    lk_filters filters;
    lk_team threads = team();
    if (!make_filters(f, LK_DATA_GRADIENT, lk_tensor_data(w), version, &filters))
        return NULL;
    lk_tensor *dx = lk_tensor_empty(dtype_of(s), 4, (int64_t[]){s->batch, s->in, s->height, s->width});
    if (dx && !good(f->kernel->data_gradient(&threads, s, g, &filters, lk_tensor_data(dx))))
        lk_tensor_free(&dx);
    if (version == 0)
        free_filters(f, LK_DATA_GRADIENT);
    return dx;
}

void lk_fused_backward(lk_fused *f, const lk_tensor *dy, const lk_tensor *x, const lk_tensor *y, const lk_tensor *w,
                       uint64_t version, lk_tensor **dx, lk_tensor **dw, lk_tensor **db)
{
    const lk_convolution3 *s = &f->shape;
    lk_team threads = team();
    if (!lie_well(dy, x) || !w || (s->relu && !y) || (s->pool && !f->choice))
        return;
    lk_output_gradient g = {lk_tensor_data(dy), y ? lk_tensor_data(y) : NULL, f->choice};
    if (dx)
        *dx = data_gradient(f, &g, w, version);
    if (!dw)
        return;
    if (!*dw)
        *dw =
            lk_tensor_empty(LK_DTYPE_F32, 4, s->transposed ? (int64_t[]){s->in, s->out, 4, 4} : (int64_t[]){s->out, s->in, 3, 3});
    if (!*db)
        *db = lk_tensor_empty(LK_DTYPE_F32, 1, (int64_t[]){s->out});
    if (!*dw || !*db ||
        !good(f->kernel->weight_gradient(&threads, s, lk_tensor_data(x), &g, lk_tensor_data(*dw), lk_tensor_data(*db)))) {
        lk_tensor_free(dw);
        lk_tensor_free(db);
    }
}

void lk_fused_keep_first(lk_fused *f, int64_t samples)
{
    f->shape.batch = (int)samples;
}

void lk_fused_forget(lk_fused *f)
{
    free(f->choice);
    f->choice = NULL;
}

void lk_fused_free(lk_fused *f)
{
    lk_fused_forget(f);
    free_filters(f, LK_FORWARD);
    free_filters(f, LK_DATA_GRADIENT);
}
