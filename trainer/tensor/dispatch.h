/* Internal to trainer/tensor/: calls of libtorch operators by name.
 *
 * An operator takes its arguments on a stack of 64-bit words and leaves its results there. Tensors and lists on the stack are
 * given away by the call, so lk_push_tensor() pushes a fresh handle. A call with a NULL tensor among its arguments is skipped.
 *
 *     lk_call call = lk_call_begin("aten::linear", "");
 *     lk_push_tensor(&call, x); lk_push_tensor(&call, w); lk_push_optional_tensor(&call, b);
 *     return lk_call_end(&call, 1) ? lk_result_tensor(&call, 0) : NULL;
 */
#ifndef LK_TRAINER_TENSOR_DISPATCH_H
#define LK_TRAINER_TENSOR_DISPATCH_H

#include "trainer/tensor/tensor.h"

#include <torch/csrc/stable/c/shim.h>

enum { LK_CALL_WORDS = 24 };

typedef struct lk_call {
    const char *name, *overload;
    bool skipped; /* an argument was NULL or could not be made */
    int count;
    StableIValue stack[LK_CALL_WORDS];
} lk_call;

lk_call lk_call_begin(const char *name, const char *overload);
/* Runs it; false if skipped or failed (the failure is then kept for lk_tensor_check). */
bool lk_call_end(lk_call *call, int results);

void lk_push_tensor(lk_call *call, const lk_tensor *t);
void lk_push_optional_tensor(lk_call *call, const lk_tensor *t); /* NULL: None */
void lk_push_none(lk_call *call);
void lk_push_int(lk_call *call, int64_t value);
void lk_push_double(lk_call *call, double value);
void lk_push_bool(lk_call *call, bool value);
void lk_push_ints(lk_call *call, int count, const int64_t *values);
void lk_push_optional_ints(lk_call *call, int count, const int64_t *values);
void lk_push_pair(lk_call *call, int64_t value); /* int[2] of one value */
void lk_push_tensors(lk_call *call, int count, lk_tensor *const *tensors);

/* Takes result i from the stack. */
lk_tensor *lk_result_tensor(lk_call *call, int i);

/* Keeps a failure of the C ABI for lk_tensor_check: evaluates a call, true if it succeeded. */
bool lk_torch_ok(AOTITorchError code, const char *what);

/* The same as a status, for those who return one: LK_OK, or LK_INTERNAL with libtorch's reason. */
lk_status lk_torch_status(AOTITorchError code, const char *what);

static inline AtenTensorHandle lk_tensor_handle(const lk_tensor *t)
{
    return (AtenTensorHandle)(uintptr_t)t;
}

int32_t lk_torch_dtype(lk_dtype dtype);
/* The kind of lk_tensor_device as libtorch counts them. */
int32_t lk_torch_device(void);

#endif
