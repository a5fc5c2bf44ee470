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
