/* Our kernels: convolutions with raw arrays, without libtorch, that stand behind trainer/model/block.h where they are faster.
 *
 * A kernel is a row of a table. lk_kernel_choose() takes the first that this CPU runs and that suits the shape; where none does,
 * libtorch computes. What suits depends on the shape alone, and every kernel does the same sums and products in the same order
 * whatever its vectors' width, the number of threads and the sizes of its blocks: the digits are those of the shape.
 *
 *     const lk_kernel *k = lk_kernel_choose(&shape, lk_cpu_detect());
 *     status = k->forward(&team, &shape, x, &filters, bias, y, choice);
 *
 * x, y and their gradients: [batch][height][width][channels], float32 or bfloat16; filters [out][3][3][in], as channels_last
 * tensors lie in memory, those of a transposed one [in][4][4][out]. Filters, bias and their gradients are float32 always. 3x3
 * convolutions of stride 1 and padding 1, and transposed 4x4 ones of stride 2 and padding 1.
 */
#ifndef LK_TRAINER_KERNELS_KERNELS_H
#define LK_TRAINER_KERNELS_KERNELS_H

#include "base/error.h"
#include "trainer/kernels/team.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A convolution and what is computed with it while its result is at hand. */
typedef struct lk_convolution3 {
    int batch, height, width; /* of the input, and of the output of a 3x3 convolution */
    int in, out;              /* channels */
    bool transposed;          /* 4x4 filters, stride 2: the output is twice as high and wide */
    bool bf16;                /* x, y and their gradients are bfloat16; else float32 */
    bool first;               /* its input needs no gradient */
    bool relu;
    bool pool; /* then 2x2 maxima, behind relu only: y is [batch][height/2][width/2][out] */
} lk_convolution3;

typedef enum lk_direction { LK_FORWARD, LK_DATA_GRADIENT, LK_WEIGHT_GRADIENT } lk_direction;

/* The filters, and what lk_kernel.transform made of them for a direction, or NULL: the digits are the same. */
typedef struct lk_filters {
    const float *values;
    const float *transformed;
} lk_filters;

/* What comes out of forward and goes into backward: y, where relu is computed; choice, of a pool: which of the four (0 1 above
 * 2 3) was the greatest, one byte for each number of y. */
typedef struct lk_output_gradient {
    const void *dy;
    const void *y;
    const uint8_t *choice;
} lk_output_gradient;

/* Bits of what a CPU can do. */
typedef enum lk_cpu {
    LK_CPU_AVX2 = 1,
    LK_CPU_AVX512 = 2,
    LK_CPU_AMX = 4, /* products of tiles of bfloat16 */
} lk_cpu;

typedef struct lk_kernel {
    const char *name; /* the method, which decides the digits */
    const char *instructions;
    unsigned needs;     /* of lk_cpu */
    unsigned yields_to; /* of lk_cpu: with one of these libtorch is faster */
    bool (*suits)(const lk_convolution3 *shape);

    /* Numbers of the transformed filters that forward or the data gradient want to be given, to be made once for each change of
     * the filters; 0: it wants none. */
    size_t (*filter_size)(const lk_convolution3 *shape, lk_direction direction);
    void (*transform)(const lk_team *team, const lk_convolution3 *shape, lk_direction direction, const float *filters,
                      float *transformed);

    /* LK_INTERNAL where memory is short. A number that is not finite stays one. */
    lk_status (*forward)(const lk_team *team, const lk_convolution3 *shape, const void *x, const lk_filters *filters,
                         const float *bias, void *y, uint8_t *choice);
    /* NULL where only first layers suit. */
    lk_status (*data_gradient)(const lk_team *team, const lk_convolution3 *shape, const lk_output_gradient *gradient,
                               const lk_filters *filters, void *dx);
    lk_status (*weight_gradient)(const lk_team *team, const lk_convolution3 *shape, const void *x,
                                 const lk_output_gradient *gradient, float *dfilters, float *dbias);
} lk_kernel;

/* What this CPU can do, less what ONEDNN_MAX_CPU_ISA=AVX2 (a variable of oneDNN's, whose older values mean the same here) leaves
 * out. */
unsigned lk_cpu_detect(void);

/* The table, in the order of preference; NULL past the last. */
const lk_kernel *lk_kernel_at(int index);
const lk_kernel *lk_kernel_choose(const lk_convolution3 *shape, unsigned cpu);

/* What a run's files call the whole table: another name, other digits. */
#define LK_KERNELS_NAME "winograd-5"

#endif
