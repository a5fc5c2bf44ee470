/* Internal to trainer/tensor/: the raw memory of tensors, and bfloat16. */
#ifndef LK_TRAINER_TENSOR_MEMORY_H
#define LK_TRAINER_TENSOR_MEMORY_H

#include "base/bfloat.h"
#include "trainer/tensor/tensor.h"

#include <string.h>

void *lk_tensor_data(const lk_tensor *t);
int lk_tensor_dims(const lk_tensor *t);
/* Equal shapes, and each number at the same place. */
bool lk_tensor_same_layout(const lk_tensor *a, const lk_tensor *b);
/* Keeps a failure for lk_tensor_check if a 4-d tensor does not lie channels_last without gaps. */
bool lk_tensor_require_channels_last(const lk_tensor *t);

#endif
