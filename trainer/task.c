#include "trainer/task.h"

#include "trainer/model/weights_file.h"

#include <string.h>

lk_status lk_task_create(const lk_config *config, const lk_schema *schema, const double *mean, lk_task **out)
{
    if (config->train.stage == LK_STAGE_DECODER)
        LK_TRY(lk_decoder_task_create(config, schema, out));
    else
        LK_TRY(lk_encoder_task_create(config, schema, mean, out));
    if (strcmp(config->model.init, "none") == 0)
        return LK_OK;
    lk_status status = lk_weights_load_init((*out)->weights, config->model.init);
    if (status != LK_OK) {
        (*out)->free(*out);
        *out = NULL;
        return lk_fail_in(status, "model.init");
    }
    return LK_OK;
}

lk_losses lk_task_losses(const lk_task *task, const double sums[LK_TASK_SUMS])
{
    if (!task->has_parts)
        return (lk_losses){.f = sums[0]};
    return (lk_losses){.f = sums[0] + task->lambda * sums[1], .f1 = sums[0], .f2 = sums[1]};
}

lk_status lk_task_add_losses(const lk_task *task, lk_sums *sums, lk_losses *losses)
{
    double values[LK_TASK_SUMS];
    LK_TRY(lk_sums_read(sums, LK_TASK_SUMS, values));
    lk_losses l = lk_task_losses(task, values);
    losses->f += l.f;
    losses->f1 += l.f1;
    losses->f2 += l.f2;
    return LK_OK;
}

lk_status lk_draw_columns(int n, int rows, int size, const uint8_t *const *pixels, lk_image *out)
{
    LK_TRY(lk_image_allocate(n * size, rows * size, out));
    size_t bytes = (size_t)size * (size_t)size * 3;
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < n; i++) {
            lk_image tile = {size, size, (uint8_t *)(uintptr_t)(pixels[row] + (size_t)i * bytes)};
            lk_image_paste(out, &tile, i * size, row * size);
        }
    return LK_OK;
}
