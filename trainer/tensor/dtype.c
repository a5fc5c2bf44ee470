#include "trainer/tensor/dtype.h"

size_t lk_dtype_size(lk_dtype dtype)
{
    static const size_t sizes[] = {
#define LK_DTYPE_SIZE(name, size) size,
        LK_DTYPE_TABLE(LK_DTYPE_SIZE)
#undef LK_DTYPE_SIZE
    };
    return sizes[dtype];
}

const char *lk_dtype_name(lk_dtype dtype)
{
    static const char *const names[] = {
#define LK_DTYPE_NAME(name, size) #name,
        LK_DTYPE_TABLE(LK_DTYPE_NAME)
#undef LK_DTYPE_NAME
    };
    return names[dtype];
}
