/* What a face is judged by: how far it is turned away, how sharp its crop is. Declared in align.h. */
#include "dataset/align/align.h"

#include <math.h>
#include <stdlib.h>

enum { POINTS = 6 };

/* A rigid face: x to the right in the picture, y down, z towards the camera; the eyes' outer corners 450 apart. The proportions
 * are the usual six-point ones of head pose estimation. */
static const double rigid[POINTS][3] = {{0, 0, 0},         {0, 330, -65},     {-225, -170, -135},
                                        {225, -170, -135}, {-150, 150, -125}, {150, 150, -125}};
static const int rigid_landmark[POINTS] = {30, 8, 36, 45, 48, 54};

/* Solves the 3 x 3 normal equations m x = y by Cramer's rule. */
static void solve3(double m[3][3], const double y[3], double x[3])
{
    double det = m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
                 m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
    for (int c = 0; c < 3; c++) {
        double n[3][3];
        for (int i = 0; i < 3; i++)
            for (int k = 0; k < 3; k++)
                n[i][k] = k == c ? y[i] : m[i][k];
        x[c] = (n[0][0] * (n[1][1] * n[2][2] - n[1][2] * n[2][1]) - n[0][1] * (n[1][0] * n[2][2] - n[1][2] * n[2][0]) +
                n[0][2] * (n[1][0] * n[2][1] - n[1][1] * n[2][0])) /
               det;
    }
}

double lk_face_turn(const lk_point landmarks[LK_LANDMARKS])
{
    /* Least squares for the two rows of the camera in p = R P + t, over points taken from their mean, which removes t. */
    double mean[3] = {0}, centre[2] = {0};
    for (int i = 0; i < POINTS; i++) {
        for (int k = 0; k < 3; k++)
            mean[k] += rigid[i][k] / POINTS;
        centre[0] += landmarks[rigid_landmark[i]].x / POINTS;
        centre[1] += landmarks[rigid_landmark[i]].y / POINTS;
    }
    double square[3][3] = {{0}}, right[2][3] = {{0}};
    for (int i = 0; i < POINTS; i++) {
        double p[3] = {rigid[i][0] - mean[0], rigid[i][1] - mean[1], rigid[i][2] - mean[2]};
        double q[2] = {landmarks[rigid_landmark[i]].x - centre[0], landmarks[rigid_landmark[i]].y - centre[1]};
        for (int k = 0; k < 3; k++) {
            for (int j = 0; j < 3; j++)
                square[k][j] += p[k] * p[j];
            right[0][k] += p[k] * q[0];
            right[1][k] += p[k] * q[1];
        }
    }
    double row[2][3];
    solve3(square, right[0], row[0]);
    solve3(square, right[1], row[1]);
    /* The face's axis is the cross product of the rows; its angle to the camera is between it and the picture's normal, which
     * is the third entry alone whatever the roll. */
    double axis[3] = {row[0][1] * row[1][2] - row[0][2] * row[1][1], row[0][2] * row[1][0] - row[0][0] * row[1][2],
                      row[0][0] * row[1][1] - row[0][1] * row[1][0]};
    double length = sqrt(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2]);
    if (!(length > 0))
        return 180.0;
    return acos(fmax(-1.0, fmin(1.0, axis[2] / length))) * 180.0 / M_PI;
}

lk_status lk_sharpness(const uint8_t *crop, int size, double *out)
{
    int edge = size < 128 ? size : 128;
    *out = 0;
    size_t pixels = (size_t)edge * (size_t)edge;
    uint8_t *small = malloc(pixels * 3), *grey = malloc(pixels);
    lk_status status = LK_OK;
    if (!small || !grey) {
        status = lk_fail(LK_INTERNAL, "out of memory judging a crop");
        goto done;
    }
    lk_image image = {size, size, (uint8_t *)crop};
    LK_TRY_OR(done, lk_resize(&image, edge, small));
    lk_luma(small, pixels, grey);
    double sum = 0, squares = 0, edges = 0, edge_squares = 0;
    for (int y = 1; y < edge - 1; y++) {
        for (int x = 1; x < edge - 1; x++) {
            const uint8_t *p = grey + y * edge + x;
            double laplacian = 4.0 * p[0] - p[-1] - p[1] - p[-edge] - p[edge];
            sum += p[0];
            squares += (double)p[0] * p[0];
            edges += laplacian;
            edge_squares += laplacian * laplacian;
        }
    }
    double n = (double)(edge - 2) * (edge - 2);
    double variance = squares / n - (sum / n) * (sum / n), edge_variance = edge_squares / n - (edges / n) * (edges / n);
    *out = variance > 1.0 ? edge_variance / variance : 0.0;
done:
    free(small);
    free(grey);
    return status;
}
