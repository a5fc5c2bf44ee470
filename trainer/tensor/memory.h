/* Internal to trainer/tensor/: the raw memory of tensors, and bfloat16. */
#ifndef LK_TRAINER_TENSOR_MEMORY_H
#define LK_TRAINER_TENSOR_MEMORY_H

#include "trainer/tensor/tensor.h"

#include <string.h>

void *lk_tensor_data(const lk_tensor *t);
int lk_tensor_dims(const lk_tensor *t);
/* Equal shapes, and each number at the same place. */
bool lk_tensor_same_layout(const lk_tensor *a, const lk_tensor *b);
/* Keeps a failure for lk_tensor_check if a 4-d tensor does not lie channels_last without gaps. */
bool lk_tensor_require_channels_last(const lk_tensor *t);

static inline float lk_bfloat_to_float(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To nearest even; a NaN stays one, of the same sign and quiet. Written as a choice of two values, which vector loops can
 * make. */
static inline uint16_t lk_float_to_bfloat(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

#endif
