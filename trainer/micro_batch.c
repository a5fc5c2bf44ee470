#include "trainer/micro_batch.h"

enum { CPU_MOST = 16 };

/* Of the model's own, the same for any batch: libtorch, cuDNN's workspace, weights, gradients, the optimizer's numbers. */
static const double fixed_bytes = 3e9;

/* Bytes that one sample keeps for backward, or needs meanwhile, per pixel of the picture: the maps of VGG19 have 296 numbers in
 * all for each pixel, those of the decoder 64. A map is kept before and after the pool, with its indices, and its gradient beside
 * it; group norm keeps one more, batch norm too. Of the frozen decoder two passes are held. */
static double bytes_of_sample(const lk_config *c)
{
    double pixels = (double)c->model.size * c->model.size;
    double number = c->train.precision == LK_BF16 ? 2 : 4;
    double decoder = 64 * c->model.decoder.width;
    if (c->train.stage == LK_STAGE_DECODER)
        return number * pixels * 6 * decoder;
    double maps = c->model.encoder.norm == LK_NORM_GROUP ? 6 : 4;
    return number * pixels * (maps * 296 * c->model.encoder.width + 4 * decoder);
}

int lk_choose_micro_batch(const lk_config *c, int ranks, size_t memory)
{
    int share = c->train.global_batch / ranks;
    double most = CPU_MOST;
    if (memory > 0) {
        double room = 0.9 * (double)memory - fixed_bytes;
        most = (room > (double)memory / 4 ? room : (double)memory / 4) / bytes_of_sample(c);
    }
    int chosen = 1;
    for (int n = 1; n <= share && n <= most; n++)
        if (share % n == 0)
            chosen = n;
    return chosen;
}
