/* Internal to trainer/kernels/: the product of two matrices that lie in panels.
 *
 * A panel is PANEL = 2 LANES numbers wide: a line of it is two vectors. The micro-kernel keeps ROWS x PANEL sums in registers: 16
 * accumulators of 32 registers with AVX-512, 12 of 16 with AVX2, so that 8 additions and more are under way at a time, and each
 * line of b that is loaded is used ROWS times. b and the rows' share of a come out of the first-level cache.
 *
 * A sum is one chain of fused additions over k, whatever the blocks: c = fma(a_k, b_k, c), k = 0 ... depth-1.
 */
#ifndef LK_TRAINER_KERNELS_GEMM_H
#define LK_TRAINER_KERNELS_GEMM_H

#include "trainer/kernels/simd.h"

#include <stdbool.h>
#include <stddef.h>

enum { PANEL = 2 * LANES };

/* Where a's numbers are: a(i, k) at row * i + line * (k % span) + next * (k / span). */
typedef struct operand {
    const float *values;
    size_t row, line, next;
    int span;
} operand;

/* c[i] (+)= sum of a(i, k) b[k], i < rows, a constant; lines of b and c are PANEL wide. */
INLINE void multiply_rows(int rows, operand a, int depth, const float *b, float *c, bool add)
{
    vec left[ROWS], right[ROWS];
    UNROLL for (int i = 0; i < rows; i++) left[i] = right[i] = vec_zero();
    for (int done = 0; done < depth; done += a.span, a.values += a.next) {
        int span = depth - done < a.span ? depth - done : a.span;
        const float *values = a.values;
        /* Rows that lie apart are no stream that the CPU would see coming: what was half of the time for 512 channels. */
        if (a.next)
            UNROLL for (int i = 0; i < 2 * rows; i++) _mm_prefetch((const char *)(values + a.next + (size_t)i * 16), _MM_HINT_T0);
        for (int k = 0; k < span; k++, values += a.line, b += PANEL) {
            vec l = vec_load(b), r = vec_load(b + LANES);
            UNROLL for (int i = 0; i < rows; i++)
            {
                vec x = vec_all(values[(size_t)i * a.row]);
                left[i] = vec_fma(x, l, left[i]);
                right[i] = vec_fma(x, r, right[i]);
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++, c += PANEL)
    {
        vec_store(c, add ? vec_add(vec_load(c), left[i]) : left[i]);
        vec_store(c + LANES, add ? vec_add(vec_load(c + LANES), right[i]) : right[i]);
    }
}

/* The same for any number of rows that is a multiple of GRAIN. */
enum { GRAIN = LANES == 16 ? 8 : 4 };

INLINE void multiply(int rows, operand a, int depth, const float *b, float *c, bool add)
{
    for (int taken; rows > 0; rows -= taken) {
        /* 6 leaves 4 or more, or nothing. */
        taken = rows == ROWS || rows >= ROWS + GRAIN ? ROWS : GRAIN;
        if (taken == ROWS)
            multiply_rows(ROWS, a, depth, b, c, add);
        else
            multiply_rows(GRAIN, a, depth, b, c, add);
        a.values += (size_t)taken * a.row;
        c += (size_t)taken * PANEL;
    }
}

#endif
