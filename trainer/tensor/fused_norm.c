#include "trainer/tensor/fused_norm.h"

#include "trainer/tensor/fused.h"
#include "trainer/tensor/memory.h"

#include <stdlib.h>

bool lk_fused_norm_suits(lk_fused_norm *n, const lk_tensor *x, int groups, bool relu, bool pool)
{
    n->kernel = NULL;
    if (!x || !lk_tensor_on_host() || (lk_tensor_dtype(x) != LK_DTYPE_F32 && lk_tensor_dtype(x) != LK_DTYPE_BF16))
        return false;
    n->shape = (lk_norm_shape){.batch = (int)lk_tensor_dim(x, 0),
                               .height = (int)lk_tensor_dim(x, 2),
                               .width = (int)lk_tensor_dim(x, 3),
                               .channels = (int)lk_tensor_dim(x, 1),
                               .groups = groups,
                               .bf16 = lk_tensor_dtype(x) == LK_DTYPE_BF16,
                               .relu = relu,
                               .pool = pool};
    n->kernel = lk_norm_kernel_choose(&n->shape, lk_cpu_detect());
    return n->kernel != NULL;
}

static lk_tensor *map_like(const lk_norm_shape *s, bool pooled)
{
    int64_t sizes[] = {s->batch, s->channels, s->height >> pooled, s->width >> pooled};
    return lk_tensor_empty(s->bf16 ? LK_DTYPE_BF16 : LK_DTYPE_F32, 4, sizes);
}

static double *rstd_of(const lk_fused_norm *n)
{
    return n->statistics + (size_t)n->shape.batch * (size_t)n->shape.groups;
}

/* Memory for what is kept. */
static bool keep(lk_fused_norm *n, const lk_tensor *y)
{
    n->statistics = malloc(2 * (size_t)n->shape.batch * (size_t)n->shape.groups * sizeof *n->statistics);
    n->choice = n->shape.pool ? malloc((size_t)lk_tensor_count(y)) : NULL;
    if (n->statistics && (n->choice || !n->shape.pool))
        return true;
    lk_tensor_fail(LK_INTERNAL, "out of memory for the statistics of a norm");
    return false;
}

lk_tensor *lk_fused_norm_forward(lk_fused_norm *n, const lk_tensor *x, const lk_tensor *scale, const lk_tensor *shift, double eps)
{
    lk_team team = lk_fused_team();
    lk_fused_norm_forget(n);
    if (!x || !scale || !shift || !lk_tensor_require_channels_last(x))
        return NULL;
    lk_tensor *y = map_like(&n->shape, n->shape.pool);
    if (y && (!keep(n, y) || !lk_tensor_keep(n->kernel->forward(&team, &n->shape, lk_tensor_data(x), lk_tensor_data(scale),
                                                                lk_tensor_data(shift), eps, lk_tensor_data(y), n->choice,
                                                                n->statistics, rstd_of(n)))))
        lk_tensor_free(&y);
    return y;
}

lk_tensor *lk_fused_norm_backward(lk_fused_norm *n, const lk_tensor *dy, const lk_tensor *x, const lk_tensor *y,
                                  const lk_tensor *scale, lk_tensor **dscale, lk_tensor **dshift)
{
    lk_team team = lk_fused_team();
    int64_t channels = n->shape.channels;
    lk_tensor *dx = NULL;
    if (dy && x && (y || !n->shape.relu) && scale && n->statistics && lk_tensor_require_channels_last(dy) &&
        lk_tensor_require_channels_last(x))
        dx = map_like(&n->shape, false);
    lk_tensor **sums[2] = {dscale, dshift};
    for (int i = 0; i < 2; i++)
        if (!*sums[i])
            *sums[i] = lk_tensor_empty(LK_DTYPE_F32, 1, &channels);
    lk_output_gradient g = {0};
    if (dx)
        g = (lk_output_gradient){lk_tensor_data(dy), n->shape.relu ? lk_tensor_data(y) : NULL, n->choice};
    if (!dx || !*dscale || !*dshift ||
        !lk_tensor_keep(n->kernel->backward(&team, &n->shape, &g, lk_tensor_data(x), lk_tensor_data(scale), n->statistics,
                                            rstd_of(n), lk_tensor_data(dx), lk_tensor_data(*dscale), lk_tensor_data(*dshift)))) {
        lk_tensor_free(&dx);
        lk_tensor_free(dscale);
        lk_tensor_free(dshift);
    }
    return dx;
}

void lk_fused_norm_forget(lk_fused_norm *n)
{
    free(n->statistics);
    free(n->choice);
    n->statistics = NULL;
    n->choice = NULL;
}
