#include "trainer/tensor/epilogue.h"

#include "trainer/tensor/device_kernels.h"
#include "trainer/tensor/memory.h"

static bool by_cudnn;

void lk_epilogue_use_cudnn(bool use)
{
    by_cudnn = use;
}

bool lk_epilogue_suits(lk_epilogue *e, const lk_tensor *x, int64_t channels, bool relu, bool pool)
{
    const lk_device_kernels *kernels = lk_tensor_kernels();
    e->relu = relu;
    e->pool = pool;
    return x && kernels->fuses && kernels->fuses(lk_tensor_dtype(x), channels) && (relu || !pool);
}

static lk_map_shape map_of(const lk_epilogue *e, const lk_tensor *t)
{
    return (lk_map_shape){lk_tensor_dim(t, 0), e->rows, e->columns, lk_tensor_dim(t, 1)};
}

static lk_tensor *pooled(lk_epilogue *e, const lk_tensor *z, const lk_tensor *bias)
{
    lk_map_shape map = map_of(e, z);
    int64_t sizes[4] = {map.samples, map.channels, map.rows / 2, map.columns / 2};
    lk_tensor *y = lk_tensor_empty(lk_tensor_dtype(z), 4, sizes);
    e->choice = lk_tensor_empty(LK_DTYPE_U8, 4, sizes);
    if (!y || !e->choice ||
        !lk_tensor_keep(lk_tensor_kernels()->bias_relu_pool(lk_tensor_device(), lk_tensor_dtype(z), lk_tensor_data(z),
                                                            lk_tensor_data(bias), &map, lk_tensor_data(y),
                                                            lk_tensor_data(e->choice))))
        lk_tensor_free(&y);
    return y;
}

/* In place. */
static bool add_bias(const lk_epilogue *e, lk_tensor *z, const lk_tensor *bias)
{
    int64_t channels = lk_tensor_dim(z, 1), pixels = lk_tensor_dim(z, 0) * e->rows * e->columns;
    return lk_tensor_keep(lk_tensor_kernels()->bias_relu(lk_tensor_device(), lk_tensor_dtype(z), lk_tensor_data(z),
                                                         lk_tensor_data(bias), pixels, channels, e->relu));
}

lk_tensor *lk_epilogue_forward(lk_epilogue *e, const lk_tensor *x, const lk_tensor *w, const lk_convolution_shape *shape,
                               const lk_tensor *bias, const lk_tensor *narrow_bias)
{
    bool whole = by_cudnn && e->relu && !e->pool && !shape->transposed;
    lk_epilogue_forget(e);
    lk_tensor *z = whole ? lk_cudnn_convolution_relu(x, w, narrow_bias, shape) : lk_convolution(x, w, NULL, shape);
    if (!z || !bias || !lk_tensor_require_channels_last(z)) {
        lk_tensor_free(&z);
        return NULL;
    }
    e->rows = lk_tensor_dim(z, 2);
    e->columns = lk_tensor_dim(z, 3);
    if (e->pool) {
        lk_tensor *y = pooled(e, z, bias);
        lk_tensor_free(&z);
        return y;
    }
    if (!whole && !add_bias(e, z, bias))
        lk_tensor_free(&z);
    if (e->relu)
        e->y = lk_tensor_share(z);
    return z;
}

static lk_tensor *unpooled(const lk_epilogue *e, const lk_tensor *dy, float *db)
{
    lk_map_shape map = map_of(e, dy);
    lk_tensor *dz = lk_tensor_empty(lk_tensor_dtype(dy), 4, (int64_t[]){map.samples, map.channels, map.rows, map.columns});
    if (dz &&
        !lk_tensor_keep(lk_tensor_kernels()->bias_relu_pool_backward(lk_tensor_device(), lk_tensor_dtype(dy), lk_tensor_data(dy),
                                                                     lk_tensor_data(e->choice), &map, lk_tensor_data(dz), db)))
        lk_tensor_free(&dz);
    return dz;
}

lk_tensor *lk_epilogue_backward(lk_epilogue *e, lk_tensor *dy, lk_tensor **db)
{
    lk_tensor *sums = NULL, *dz = NULL;
    int64_t channels = lk_tensor_dim(dy, 1);
    bool good = dy && (!e->pool || e->choice) && (e->pool || !e->relu || e->y) && lk_tensor_require_channels_last(dy);
    if (good && db)
        good = (sums = lk_tensor_empty(LK_DTYPE_F32, 1, &channels)) != NULL;
    float *out = sums ? lk_tensor_data(sums) : NULL;
    if (good && e->pool) {
        dz = unpooled(e, dy, out);
    } else if (good) {
        int64_t pixels = lk_tensor_dim(dy, 0) * e->rows * e->columns;
        if (lk_tensor_keep(lk_tensor_kernels()->bias_relu_backward(lk_tensor_device(), lk_tensor_dtype(dy), lk_tensor_data(dy),
                                                                   e->y ? lk_tensor_data(e->y) : NULL, pixels, channels, out)))
            dz = lk_tensor_share(dy);
    }
    lk_tensor_free(&dy);
    if (!dz)
        lk_tensor_free(&sums);
    if (db)
        *db = sums;
    lk_epilogue_forget(e);
    return dz;
}

void lk_epilogue_forget(lk_epilogue *e)
{
    lk_tensor_free(&e->y);
    lk_tensor_free(&e->choice);
}
