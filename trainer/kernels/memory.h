/* Internal to trainer/kernels/: memory that a kernel works in. */
#ifndef LK_TRAINER_KERNELS_MEMORY_H
#define LK_TRAINER_KERNELS_MEMORY_H

#include "base/error.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Memory for vectors, in huge pages where it is large: its parts are far from each other. Whoever gets NULL says so. Where not
 * all of a panel is written, what stands there by chance is computed with all the same, and dropped. */
enum { HUGE_PAGE = 2 << 20 };
static inline float *numbers(size_t count)
{
    size_t size = count * sizeof(float), page = size >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
    size = (size + page - 1) / page * page;
    float *memory = aligned_alloc(page, size);
    if (memory && page == HUGE_PAGE)
        madvise(memory, size, MADV_HUGEPAGE);
    return memory;
}

/* Where 0 is counted on. */
static inline float *zeros(size_t count)
{
    float *memory = numbers(count);
    if (memory)
        memset(memory, 0, count * sizeof *memory);
    return memory;
}

static inline lk_status no_memory(const char *what)
{
    return lk_fail(LK_INTERNAL, "out of memory for %s", what);
}

#endif
