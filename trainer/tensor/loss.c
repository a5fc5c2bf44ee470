#include "trainer/tensor/loss.h"

#include "trainer/tensor/device_kernels.h"
#include "trainer/tensor/dispatch.h"
#include "trainer/tensor/memory.h"

static lk_tensor *like(const lk_tensor *x)
{
    int64_t sizes[LK_MAX_DIMS];
    int dims = lk_tensor_dims(x);
    for (int i = 0; i < dims; i++)
        sizes[i] = lk_tensor_dim(x, i);
    return lk_tensor_empty(lk_tensor_dtype(x), dims, sizes);
}

/* Memory for a gradient that is wanted; false: there is none. */
static bool make_gradient(const lk_tensor *x, lk_tensor **gradient, void **memory)
{
    *memory = NULL;
    if (!gradient)
        return true;
    *gradient = like(x);
    if (*gradient)
        *memory = lk_tensor_data(*gradient);
    return *memory != NULL;
}

void lk_discrete_loss(const lk_choices *choices, const lk_tensor *logits, const lk_tensor *labels, double share,
                      lk_tensor **dlogits, double *sum)
{
    void *gradient;
    if (dlogits)
        *dlogits = NULL;
    if (!logits || !labels || !make_gradient(logits, dlogits, &gradient))
        return;
    lk_status status =
        lk_tensor_kernels()->discrete_loss(lk_tensor_device(), lk_tensor_dtype(logits), choices, lk_tensor_data(logits),
                                           lk_tensor_data(labels), lk_tensor_dim(logits, 0), share, gradient, sum);
    if (!lk_tensor_keep(status) && dlogits)
        lk_tensor_free(dlogits);
}

typedef lk_status picture_loss(lk_device *d, lk_dtype dtype, const void *y, const void *target, int64_t n, int64_t length,
                               double share, void *dy, double *sum);

static void compare_pictures(picture_loss *loss, const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy,
                             double *sum)
{
    void *gradient;
    if (dy)
        *dy = NULL;
    if (!y || !target)
        return;
    if (!lk_tensor_same_layout(y, target) || lk_tensor_dtype(y) != lk_tensor_dtype(target)) {
        lk_tensor_fail(LK_INTERNAL, "loss: the two pictures differ in shape, type or memory layout");
        return;
    }
    if (!make_gradient(y, dy, &gradient))
        return;
    int64_t n = lk_tensor_dim(y, 0);
    lk_status status = loss(lk_tensor_device(), lk_tensor_dtype(y), lk_tensor_data(y), lk_tensor_data(target), n,
                            lk_tensor_count(y) / n, share, gradient, sum);
    if (!lk_tensor_keep(status) && dy)
        lk_tensor_free(dy);
}

void lk_pixel_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy, double *sum)
{
    compare_pictures(lk_tensor_kernels()->pixel_loss, y, target, share, dy, sum);
}

void lk_l1_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy, double *sum)
{
    compare_pictures(lk_tensor_kernels()->l1_loss, y, target, share, dy, sum);
}
