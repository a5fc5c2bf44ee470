#include "trainer/model/inference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

lk_status lk_encode(lk_encoder *encoder, const uint8_t *images, int n, float *continuous, double *logits)
{
    lk_tensor *x = lk_normalized_pictures(images, n, encoder->shape.size, encoder->weights.compute_dtype);
    lk_tensor *pc = NULL;
    lk_tensor *pd = NULL;
    lk_encoder_forward(encoder, x, false, &pc, &pd);
    lk_tensor_to_floats(pc, continuous);
    lk_tensor_to_doubles(pd, logits);
    lk_tensor_free(&x);
    lk_tensor_free(&pc);
    lk_tensor_free(&pd);
    return lk_tensor_check();
}

void lk_most_probable(const lk_schema *schema, int n, const double *logits, const double *temperature, uint8_t *discrete,
                      float *certainty)
{
    for (int i = 0; i < n; i++)
        for (int g = 0; g < schema->group_count; g++) {
            int best = 0;
            for (int k = 1; k < schema->groups[g].count; k++)
                if (logits[k] > logits[best])
                    best = k;
            double sum = 0;
            for (int k = 0; certainty && k < schema->groups[g].count; k++)
                sum += exp((logits[k] - logits[best]) / (temperature ? temperature[g] : 1));
            if (certainty)
                *certainty++ = (float)(1 / sum);
            *discrete++ = (uint8_t)best;
            logits += schema->groups[g].count;
        }
}

float *lk_decoder_input(const lk_schema *schema, int n, const float *continuous, const uint8_t *discrete)
{
    int nc = schema->continuous_count;
    int width = nc + schema->choice_count;
    float *input = calloc((size_t)n * (size_t)width, sizeof *input);
    if (!input) {
        lk_tensor_fail(LK_INTERNAL, "out of memory for the decoder's input");
        return NULL;
    }
    for (int i = 0; i < n; i++) {
        float *row = input + (size_t)i * (size_t)width;
        memcpy(row, continuous + (size_t)i * (size_t)nc, (size_t)nc * sizeof *row);
        float *group = row + nc;
        for (int g = 0; g < schema->group_count; g++) {
            group[discrete[(size_t)i * (size_t)schema->group_count + (size_t)g]] = 1;
            group += schema->groups[g].count;
        }
    }
    return input;
}

lk_tensor *lk_decode(lk_decoder *decoder, const lk_schema *schema, int n, const float *continuous, const uint8_t *discrete)
{
    float *input = lk_decoder_input(schema, n, continuous, discrete);
    if (!input)
        return NULL;
    lk_tensor *p = lk_tensor_from_floats(input, LK_DTYPE_F32, 2, (int64_t[]){n, decoder->shape.inputs});
    lk_tensor *y = lk_decoder_forward(decoder, p, false);
    lk_tensor_free(&p);
    free(input);
    return y;
}
