#include "trainer/tensor/dispatch.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <torch/csrc/stable/version.h>

/* Functions that came with libtorch 2.13 are looked up at run time: one binary runs on 2.11 and later. */
typedef const char *what_function(void);
typedef AOTITorchError new_value_function(StableIValue **value);

static _Thread_local lk_error first_failure;

void lk_tensor_fail(lk_status status, const char *what)
{
    if (first_failure.status != LK_OK)
        return;
    lk_fail(status, "%s", what);
    lk_error_take(&first_failure, status);
}

lk_status lk_tensor_check(void)
{
    if (first_failure.status == LK_OK)
        return LK_OK;
    lk_status status = lk_error_put(&first_failure);
    first_failure.status = LK_OK;
    return status;
}

lk_status lk_torch_status(AOTITorchError code, const char *what)
{
    if (code == 0)
        return LK_OK;
    what_function *reason = (what_function *)dlsym(RTLD_DEFAULT, "torch_exception_get_what_without_backtrace");
    const char *why = reason ? reason() : "see the lines above";
    if (lk_device_state(lk_tensor_device()) == LK_DEVICE_LOST)
        return lk_fail_in(LK_DEVICE_LOST, "libtorch: %s", what);
    if (strstr(why, "CUDA out of memory"))
        return lk_fail(LK_INTERNAL, "libtorch: %s failed: %.*s; lower train.micro_batch", what, (int)strcspn(why, "\n"), why);
    return lk_fail(LK_INTERNAL, "libtorch: %s failed: %.*s", what, (int)strcspn(why, "\n"), why);
}

bool lk_tensor_keep(lk_status status)
{
    if (status != LK_OK && first_failure.status == LK_OK)
        lk_error_take(&first_failure, status);
    return status == LK_OK;
}

bool lk_torch_ok(AOTITorchError code, const char *what)
{
    if (code == 0)
        return true;
    return first_failure.status == LK_OK && lk_tensor_keep(lk_torch_status(code, what));
}

int32_t lk_torch_dtype(lk_dtype dtype)
{
    switch (dtype) {
    case LK_DTYPE_F64: return aoti_torch_dtype_float64();
    case LK_DTYPE_BF16: return aoti_torch_dtype_bfloat16();
    case LK_DTYPE_I64: return aoti_torch_dtype_int64();
    case LK_DTYPE_U8: return aoti_torch_dtype_uint8();
    default: return aoti_torch_dtype_float32();
    }
}

lk_call lk_call_begin(const char *name, const char *overload)
{
    return (lk_call){.name = name, .overload = overload, .skipped = first_failure.status != LK_OK};
}

bool lk_call_end(lk_call *call, int results)
{
    /* A skipped call leaks the handles pushed so far: it only happens on the way to the end of the program. */
    if (call->skipped)
        return false;
    if (!lk_torch_ok(torch_call_dispatcher(call->name, call->overload, call->stack, TORCH_ABI_VERSION), call->name))
        return false;
    call->count = results;
    return true;
}

static void push(lk_call *call, StableIValue word)
{
    call->stack[call->count++] = word;
}

void lk_push_none(lk_call *call)
{
    push(call, 0);
}

void lk_push_int(lk_call *call, int64_t value)
{
    push(call, (StableIValue)value);
}

void lk_push_bool(lk_call *call, bool value)
{
    push(call, value);
}

void lk_push_double(lk_call *call, double value)
{
    StableIValue word;
    memcpy(&word, &value, sizeof word);
    push(call, word);
}

void lk_push_tensor(lk_call *call, const lk_tensor *t)
{
    AtenTensorHandle fresh = NULL;
    if (call->skipped || !t || !lk_torch_ok(aoti_torch_new_tensor_handle(lk_tensor_handle(t), &fresh), call->name)) {
        call->skipped = true;
        return;
    }
    push(call, (StableIValue)(uintptr_t)fresh);
}

/* An optional that is engaged is a pointer to a word that the library frees in its own way. */
static void wrap_optional(lk_call *call)
{
    if (call->skipped)
        return;
    new_value_function *new_value = (new_value_function *)dlsym(RTLD_DEFAULT, "torch_new_stable_ivalue");
    StableIValue *word = NULL;
    if (new_value ? !lk_torch_ok(new_value(&word), call->name) : !(word = malloc(sizeof *word))) {
        lk_tensor_fail(LK_INTERNAL, "out of memory for an operator's argument");
        call->skipped = true;
        return;
    }
    *word = call->stack[call->count - 1];
    call->stack[call->count - 1] = (StableIValue)(uintptr_t)word;
}

void lk_push_optional_tensor(lk_call *call, const lk_tensor *t)
{
    if (!t) {
        lk_push_none(call);
        return;
    }
    lk_push_tensor(call, t);
    wrap_optional(call);
}

void lk_push_ints(lk_call *call, int count, const int64_t *values)
{
    StableListHandle list = NULL;
    if (call->skipped || !lk_torch_ok(torch_new_list_reserve_size((size_t)count, &list), call->name)) {
        call->skipped = true;
        return;
    }
    for (int i = 0; i < count; i++)
        lk_torch_ok(torch_list_push_back(list, (StableIValue)values[i]), call->name);
    push(call, (StableIValue)(uintptr_t)list);
}

void lk_push_optional_ints(lk_call *call, int count, const int64_t *values)
{
    lk_push_ints(call, count, values);
    wrap_optional(call);
}

void lk_push_pair(lk_call *call, int64_t value)
{
    lk_push_ints(call, 2, (int64_t[]){value, value});
}

void lk_push_tensors(lk_call *call, int count, lk_tensor *const *tensors)
{
    StableListHandle list = NULL;
    if (call->skipped || !lk_torch_ok(torch_new_list_reserve_size((size_t)count, &list), call->name)) {
        call->skipped = true;
        return;
    }
    for (int i = 0; i < count; i++) {
        AtenTensorHandle fresh = NULL;
        if (!tensors[i] || !lk_torch_ok(aoti_torch_new_tensor_handle(lk_tensor_handle(tensors[i]), &fresh), call->name)) {
            call->skipped = true;
            return;
        }
        lk_torch_ok(torch_list_push_back(list, (StableIValue)(uintptr_t)fresh), call->name);
    }
    push(call, (StableIValue)(uintptr_t)list);
}

lk_tensor *lk_result_tensor(lk_call *call, int i)
{
    return (lk_tensor *)(uintptr_t)call->stack[i];
}
