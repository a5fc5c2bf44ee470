/* Internal to trainer/kernels/: the product of two matrices that lie in panels.
 *
 * A panel is PANEL = 2 LANES numbers wide: a line of it is two vectors. The micro-kernel keeps ROWS x PANEL sums in registers: 16
 * accumulators of 32 registers with AVX-512, 12 of 16 with AVX2, so that 8 additions and more are under way at a time, and each
 * line of b that is loaded is used ROWS times. A slice of b, DEPTH lines, stays in half of the first-level cache while all rows
 * of a go by.
 *
 * A sum is made of chains of fused additions over at most DEPTH products, fma(a_k, b_k, ...), k = 0 ... DEPTH-1, which are added
 * up one after another: the same for any block of rows or columns, and for any vectors' width.
 */
#ifndef LK_TRAINER_KERNELS_GEMM_H
#define LK_TRAINER_KERNELS_GEMM_H

#include "trainer/kernels/simd.h"

#include <stdbool.h>
#include <stddef.h>

enum { PANEL = 2 * LANES, DEPTH = 128 };

INLINE int round_up(int n, int to)
{
    return (n + to - 1) / to * to;
}

INLINE int panels_of(int channels)
{
    return (channels + PANEL - 1) / PANEL;
}

/* Where a's numbers are: a(i, k) at row * i + line * (k % span) + next * (k / span). */
typedef struct operand {
    const float *values;
    size_t row, line, next;
    int span;
} operand;

/* The numbers of b's and c's lines that are wanted: all, or the left half alone. */
typedef enum lines_part { WHOLE, LEFT } lines_part;

/* c[i] (+)= sum of a(i, k) b[k], i < rows, a constant; lines of b and c are PANEL wide. */
INLINE void multiply_rows(int rows, lines_part wanted, operand a, int depth, const float *b, float *c, bool add)
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
            vec l = vec_load(b), r = wanted == WHOLE ? vec_load(b + LANES) : vec_zero();
            UNROLL for (int i = 0; i < rows; i++)
            {
                vec x = vec_all(values[(size_t)i * a.row]);
                left[i] = vec_fma(x, l, left[i]);
                if (wanted == WHOLE)
                    right[i] = vec_fma(x, r, right[i]);
            }
        }
    }
    UNROLL for (int i = 0; i < rows; i++, c += PANEL)
    {
        vec_store(c, add ? vec_add(vec_load(c), left[i]) : left[i]);
        if (wanted == WHOLE)
            vec_store(c + LANES, add ? vec_add(vec_load(c + LANES), right[i]) : right[i]);
    }
}

/* The same for any number of rows that is a multiple of GRAIN. */
enum { GRAIN = LANES == 16 ? 8 : 4 };

INLINE void multiply_slice(int rows, lines_part wanted, operand a, int depth, const float *b, float *c, bool add)
{
    for (int taken; rows > 0; rows -= taken) {
        /* 6 leaves 4 or more, or nothing. */
        taken = rows == ROWS || rows >= ROWS + GRAIN ? ROWS : GRAIN;
        if (taken == ROWS)
            multiply_rows(ROWS, wanted, a, depth, b, c, add);
        else
            multiply_rows(GRAIN, wanted, a, depth, b, c, add);
        a.values += (size_t)taken * a.row;
        c += (size_t)taken * PANEL;
    }
}

/* The same operand from its column k on, a multiple of its span or within it. */
INLINE operand from_column(operand a, int k)
{
    a.values += (size_t)(k / a.span) * a.next + (size_t)(k % a.span) * a.line;
    return a;
}

/* And for any depth; of c's lines the first `count` numbers are wanted. */
static inline void multiply(int rows, int count, operand a, int depth, const float *b, float *c, bool add)
{
    for (int k = 0; k < depth; k += DEPTH, b += DEPTH * PANEL, add = true) {
        int slice = depth - k < DEPTH ? depth - k : DEPTH;
        if (count > LANES)
            multiply_slice(rows, WHOLE, from_column(a, k), slice, b, c, add);
        else
            multiply_slice(rows, LEFT, from_column(a, k), slice, b, c, add);
    }
}

#endif
