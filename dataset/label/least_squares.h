/* Regularised least squares: Gauss-Newton with Levenberg's and Marquardt's damping (Marquardt 1963), Huber's weights against
 * outliers, a Gaussian prior as the regulariser, bounds. For tens of unknowns; dense, by Cholesky. What is minimised:
 *
 *     sum over points of huber(|r_k|)  +  sum over unknowns of ((x_i - middle_i) / deviation_i)^2
 *
 * where point k is the pair of residuals 2k, 2k + 1, and huber(d) is d^2 up to `huber` and linear from there on.
 */
#ifndef LK_DATASET_LABEL_LEAST_SQUARES_H
#define LK_DATASET_LABEL_LEAST_SQUARES_H

#include "base/error.h"

typedef struct lk_least_squares {
    int unknowns, points;
    const float *middle, *deviation, *low, *high; /* [unknowns]; deviation > 0, low <= high */
    const float *step;                            /* [unknowns] of the finite differences, > 0 */
    double huber;
    int iterations; /* at most */
    /* r[2 * points] at x; r is in deviations of the measurement. */
    void (*residuals)(void *context, const float *x, float *r);
    void *context;
} lk_least_squares;

/* x [unknowns]: start and result, within the bounds. *cost (NULL: not wanted) is the sum above. The same digits for the same
 * arguments. LK_INTERNAL: out of memory. */
lk_status lk_least_squares_solve(const lk_least_squares *problem, float *x, double *cost);

#endif
