#include "trainer/kernels/norm.h"

#include "trainer/kernels/norm_rows.h"

static const lk_norm_kernel *const table[] = {&lk_norm_avx512, &lk_norm_avx2, &lk_norm_bf16_avx512, &lk_norm_bf16_avx2};

enum { COUNT = sizeof table / sizeof *table };

const lk_norm_kernel *lk_norm_kernel_at(int index)
{
    return index >= 0 && index < COUNT ? table[index] : NULL;
}

const lk_norm_kernel *lk_norm_kernel_choose(const lk_norm_shape *s, unsigned cpu)
{
    if (s->channels % s->groups != 0 || (s->pool && (!s->relu || s->height % 2 != 0 || s->width % 2 != 0)))
        return NULL;
    for (int i = 0; i < COUNT; i++)
        if ((table[i]->needs & cpu) == table[i]->needs && table[i]->bf16 == s->bf16)
            return table[i];
    return NULL;
}
