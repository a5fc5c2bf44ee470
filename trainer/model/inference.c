#include "trainer/model/inference.h"

#include <math.h>

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

lk_choices lk_schema_choices(const lk_schema *schema)
{
    _Static_assert((int)LK_CHOICE_GROUPS >= (int)LK_MAX_GROUPS, "tensors take as many groups as a schema has");
    lk_choices choices = {.groups = schema->group_count};
    for (int g = 0; g < schema->group_count; g++)
        choices.begins[g + 1] = choices.begins[g] + schema->groups[g].count;
    return choices;
}

lk_tensor *lk_decode(lk_decoder *decoder, const lk_schema *schema, int n, const float *continuous, const uint8_t *discrete)
{
    lk_choices choices = lk_schema_choices(schema);
    lk_tensor *parameters = lk_tensor_lend(continuous, LK_DTYPE_F32, 2, (int64_t[]){n, schema->continuous_count});
    lk_tensor *labels = lk_tensor_lend(discrete, LK_DTYPE_U8, 2, (int64_t[]){n, schema->group_count});
    lk_tensor *p = lk_decoder_input(&choices, parameters, labels);
    lk_tensor *y = lk_decoder_forward(decoder, p, false);
    lk_tensor_free(&p);
    lk_tensor_free(&labels);
    lk_tensor_free(&parameters);
    lk_tensor_keep(lk_tensor_lent()); /* callers write their next face where these were */
    return y;
}
