/* Number formats of tensors, in memory and in safetensors files. */
#ifndef LK_TRAINER_TENSOR_DTYPE_H
#define LK_TRAINER_TENSOR_DTYPE_H

#include <stddef.h>

/* name, bytes an element; the name is also the one in safetensors files */
#define LK_DTYPE_TABLE(X)                                                                                                        \
    X(F64, 8)                                                                                                                    \
    X(I64, 8)                                                                                                                    \
    X(F32, 4)                                                                                                                    \
    X(BF16, 2)                                                                                                                   \
    X(U8, 1)

typedef enum lk_dtype {
#define LK_DTYPE_ENUM(name, size) LK_DTYPE_##name,
    LK_DTYPE_TABLE(LK_DTYPE_ENUM)
#undef LK_DTYPE_ENUM
        LK_DTYPE_COUNT
} lk_dtype;

size_t lk_dtype_size(lk_dtype dtype);
/* "F32", ... */
const char *lk_dtype_name(lk_dtype dtype);

#endif
