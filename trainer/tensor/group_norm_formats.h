/* Internal to trainer/tensor/group_norm_*.c, which define LOOPS, the name of the table, and include this once. */
#include "trainer/tensor/group_norm_loops.h"
#include "trainer/tensor/memory.h"

#include <math.h>
#include <stdlib.h>

#define NAME(f) f##_f32
#define ELEMENT float
#define NUMBER float
#define LOAD(v) (v)
#define STORE(v) (v)
#include "trainer/tensor/group_norm_kernel.h"

#define NAME(f) f##_f64
#define ELEMENT double
#define NUMBER double
#define LOAD(v) (v)
#define STORE(v) (v)
#include "trainer/tensor/group_norm_kernel.h"

#define NAME(f) f##_bf16
#define ELEMENT uint16_t
#define NUMBER float
#define LOAD(v) lk_bfloat_to_float(v)
#define STORE(v) lk_float_to_bfloat(v)
#include "trainer/tensor/group_norm_kernel.h"

const lk_norm_loops LOOPS = {
    .forward_f32 = forward_samples_f32,
    .forward_f64 = forward_samples_f64,
    .forward_bf16 = forward_samples_bf16,
    .backward_f32 = backward_samples_f32,
    .backward_f64 = backward_samples_f64,
    .backward_bf16 = backward_samples_bf16,
};
