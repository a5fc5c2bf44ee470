#include "dataset/label/least_squares.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A round that gains less than this share of the cost was the last. */
static const double least_gain = 1e-5;
enum { DAMPINGS = 8 };

typedef struct workspace {
    const lk_least_squares *problem;
    int n, m;
    double *normal, *factor; /* [n,n] lower triangles */
    double *gradient, *move; /* [n] */
    float *slopes;           /* [n,m] */
    float *r, *tried_r;      /* [m] */
    float *tried;            /* [n] */
} workspace;

static double weight_of(double huber, float a, float b)
{
    double length = hypot(a, b);
    return length <= huber ? 1 : huber / length;
}

static double cost_at(workspace *w, const float *x, float *r)
{
    const lk_least_squares *p = w->problem;
    double sum = 0;
    p->residuals(p->context, x, r);
    for (int k = 0; k < w->m; k += 2) {
        double length = hypot(r[k], r[k + 1]);
        sum += length <= p->huber ? length * length : p->huber * (2 * length - p->huber);
    }
    for (int i = 0; i < w->n; i++) {
        double off = (x[i] - p->middle[i]) / p->deviation[i];
        sum += off * off;
    }
    return sum;
}

static float clamp(float v, float low, float high)
{
    return v < low ? low : v > high ? high : v;
}

/* One-sided differences, inwards at the upper bound; tried_r is scratch. */
static void find_slopes(workspace *w, const float *x)
{
    const lk_least_squares *p = w->problem;
    memcpy(w->tried, x, (size_t)w->n * sizeof *x);
    for (int i = 0; i < w->n; i++) {
        float *slopes = w->slopes + (size_t)i * (size_t)w->m;
        float step = x[i] + p->step[i] <= p->high[i] ? p->step[i] : -p->step[i];
        w->tried[i] = x[i] + step;
        p->residuals(p->context, w->tried, w->tried_r);
        for (int k = 0; k < w->m; k++)
            slopes[k] = (w->tried_r[k] - w->r[k]) / step;
        w->tried[i] = x[i];
    }
}

/* J'WJ and J'Wr with the prior's part. */
static void find_normal(workspace *w, const float *x)
{
    const lk_least_squares *p = w->problem;
    for (int i = 0; i < w->n; i++) {
        const float *a = w->slopes + (size_t)i * (size_t)w->m;
        for (int j = 0; j <= i; j++) {
            const float *b = w->slopes + (size_t)j * (size_t)w->m;
            double sum = 0;
            for (int k = 0; k < w->m; k += 2)
                sum += weight_of(p->huber, w->r[k], w->r[k + 1]) * ((double)a[k] * b[k] + (double)a[k + 1] * b[k + 1]);
            w->normal[i * w->n + j] = sum;
        }
        double certainty = 1 / ((double)p->deviation[i] * p->deviation[i]), sum = (x[i] - p->middle[i]) * certainty;
        for (int k = 0; k < w->m; k += 2)
            sum += weight_of(p->huber, w->r[k], w->r[k + 1]) * ((double)a[k] * w->r[k] + (double)a[k + 1] * w->r[k + 1]);
        w->normal[i * w->n + i] += certainty;
        w->gradient[i] = sum;
    }
    /* An unknown that would leave its bounds rests. */
    for (int i = 0; i < w->n; i++)
        if ((x[i] <= p->low[i] && w->gradient[i] > 0) || (x[i] >= p->high[i] && w->gradient[i] < 0)) {
            for (int j = 0; j < w->n; j++)
                w->normal[i > j ? i * w->n + j : j * w->n + i] = i == j;
            w->gradient[i] = 0;
        }
}

/* move = -(N + damping diag N)^-1 gradient by Cholesky. False: not positive definite in floating point. */
static bool solve_damped(workspace *w, double damping)
{
    int n = w->n;
    for (int i = 0; i < n; i++)
        for (int j = 0; j <= i; j++) {
            double sum = w->normal[i * n + j] * (i == j ? 1 + damping : 1);
            for (int k = 0; k < j; k++)
                sum -= w->factor[i * n + k] * w->factor[j * n + k];
            if (i == j && !(sum > 0))
                return false;
            w->factor[i * n + j] = i == j ? sqrt(sum) : sum / w->factor[j * n + j];
        }
    for (int i = 0; i < n; i++) {
        double sum = -w->gradient[i];
        for (int k = 0; k < i; k++)
            sum -= w->factor[i * n + k] * w->move[k];
        w->move[i] = sum / w->factor[i * n + i];
    }
    for (int i = n - 1; i >= 0; i--) {
        double sum = w->move[i];
        for (int k = i + 1; k < n; k++)
            sum -= w->factor[k * n + i] * w->move[k];
        w->move[i] = sum / w->factor[i * n + i];
    }
    return true;
}

/* One accepted move, with as little damping as helps. False: none does. */
static bool take_step(workspace *w, float *x, double *cost, double *damping)
{
    const lk_least_squares *p = w->problem;
    for (int tries = 0; tries < DAMPINGS; tries++, *damping *= 5) {
        if (!solve_damped(w, *damping))
            continue;
        for (int i = 0; i < w->n; i++)
            w->tried[i] = clamp(x[i] + (float)w->move[i], p->low[i], p->high[i]);
        double tried = cost_at(w, w->tried, w->tried_r);
        if (!(tried < *cost))
            continue;
        memcpy(x, w->tried, (size_t)w->n * sizeof *x);
        memcpy(w->r, w->tried_r, (size_t)w->m * sizeof *w->r);
        *cost = tried;
        *damping *= 0.2;
        return true;
    }
    return false;
}

static lk_status allocate(workspace *w)
{
    size_t n = (size_t)w->n, m = (size_t)w->m;
    w->normal = malloc(n * n * sizeof *w->normal);
    w->factor = malloc(n * n * sizeof *w->factor);
    w->gradient = malloc(n * sizeof *w->gradient);
    w->move = malloc(n * sizeof *w->move);
    w->slopes = malloc(n * m * sizeof *w->slopes);
    w->r = malloc(m * sizeof *w->r);
    w->tried_r = malloc(m * sizeof *w->tried_r);
    w->tried = malloc(n * sizeof *w->tried);
    if (!w->normal || !w->factor || !w->gradient || !w->move || !w->slopes || !w->r || !w->tried_r || !w->tried)
        return lk_fail(LK_INTERNAL, "out of memory for a fit of %d unknowns", w->n);
    return LK_OK;
}

lk_status lk_least_squares_solve(const lk_least_squares *problem, float *x, double *cost)
{
    workspace w = {.problem = problem, .n = problem->unknowns, .m = 2 * problem->points};
    double now = 0, damping = 1e-3;
    lk_status status = allocate(&w);
    if (status != LK_OK)
        goto done;
    for (int i = 0; i < w.n; i++)
        x[i] = clamp(x[i], problem->low[i], problem->high[i]);
    now = cost_at(&w, x, w.r);
    for (int round = 0; round < problem->iterations; round++) {
        double before = now;
        find_slopes(&w, x);
        find_normal(&w, x);
        if (!take_step(&w, x, &now, &damping) || before - now < least_gain * before)
            break;
    }
    if (cost)
        *cost = now;
done:
    free(w.normal);
    free(w.factor);
    free(w.gradient);
    free(w.move);
    free(w.slopes);
    free(w.r);
    free(w.tried_r);
    free(w.tried);
    return status;
}
