#include "dataset/client/scalp.h"

#include "base/thread.h"
#include "dataset/client/styles.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

const lk_vec3 LK_HEAD_CENTRE = {0, 0.05f, -0.75f};

enum { COLUMNS = 128, ROWS = 64, REACH_SAMPLES = 120000 };

/* A grid of cells around the head; each knows the vertices nearest to its middle, so that binding looks at eight of them. */
enum { CELLS_X = 24, CELLS_Y = 28, CELLS_Z = 22, CELL_NEAREST = 8 };
static const float CELL = 0.15f;
static const lk_vec3 GRID_CORNER = {-1.8f, -2.1f, -2.4f};

struct lk_scalp {
    const lk_mesh *mesh;
    const lk_vec3 *neutral, *normals;
    float *area_below[LK_REGION_COUNT]; /* running sums of the areas of a region's triangles */
    float reach[ROWS][COLUMNS];
    uint16_t *carriers; /* vertices that hair may be bound to */
    int carrier_count;
    uint16_t (*cells)[CELL_NEAREST];
};

static lk_vec3 weigh(const lk_vec3 *values, const uint16_t *corners, const float w[3])
{
    return lk_vec3_add_scaled(lk_vec3_add_scaled(lk_vec3_scale(values[corners[0]], w[0]), w[1], values[corners[1]]), w[2],
                              values[corners[2]]);
}

lk_root lk_scalp_pick(const lk_scalp *scalp, lk_region region, lk_random *random)
{
    const lk_triangles *skin = &scalp->mesh->parts[LK_PART_SKIN];
    const float *area_below = scalp->area_below[region];
    float wanted = lk_random_uniform(random) * area_below[skin->count - 1];
    int low = 0, high = skin->count - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (area_below[middle] <= wanted)
            low = middle + 1;
        else
            high = middle;
    }
    float u = lk_random_uniform(random), v = lk_random_uniform(random);
    if (u + v > 1) {
        u = 1 - u;
        v = 1 - v;
    }
    lk_root root = {.corners = skin->corners[low], .weights = {1 - u - v, u, v}};
    root.at = weigh(scalp->neutral, root.corners, root.weights);
    root.normal = lk_vec3_normalize(weigh(scalp->normals, root.corners, root.weights));
    return root;
}

static bool in_region(const lk_mesh *mesh, int vertex, lk_vec3 at, lk_region region)
{
    bool skin = mesh->ear[vertex] < 0.3f && mesh->inner_mouth[vertex] < 0.2f;
    switch (region) {
    case LK_REGION_HAIR: return skin && at.y > -0.9f && lk_hairline(at) > -0.1f;
    case LK_REGION_BROWS: return skin && at.y > 0 && at.y < 0.6f && at.z > -0.4f;
    case LK_REGION_BEARD:
        return skin && at.y < 0 && at.y > -1.4f && at.z > -1 &&
               lk_mesh_lip(mesh, mesh->uv[vertex][0], mesh->uv[vertex][1]) < 0.5f;
    default: return at.y > -1.6f;
    }
}

static void sum_areas(lk_scalp *scalp, lk_region region)
{
    const lk_triangles *skin = &scalp->mesh->parts[LK_PART_SKIN];
    float sum = 0;
    for (int t = 0; t < skin->count; t++) {
        const uint16_t *c = skin->corners[t];
        lk_vec3 a = scalp->neutral[c[0]];
        if (in_region(scalp->mesh, c[0], a, region))
            sum +=
                0.5f * lk_vec3_length(lk_vec3_cross(lk_vec3_sub(scalp->neutral[c[1]], a), lk_vec3_sub(scalp->neutral[c[2]], a)));
        scalp->area_below[region][t] = sum;
    }
}

/* ---- reach ---- */

static int wrap_column(int column)
{
    return (column + COLUMNS) % COLUMNS;
}

static int clip_row(int row)
{
    return row < 0 ? 0 : row >= ROWS ? ROWS - 1 : row;
}

static void map_direction(lk_vec3 d, float length, float *column, float *row)
{
    const float pi = 3.14159265f;
    float cosine = d.y / length;
    *column = (atan2f(d.x, d.z) / (2 * pi) + 0.5f) * COLUMNS;
    *row = acosf(cosine < -1 ? -1 : cosine > 1 ? 1 : cosine) / pi * ROWS;
}

float lk_scalp_reach(const lk_scalp *scalp, lk_vec3 direction)
{
    float column, row;
    map_direction(direction, lk_vec3_length(direction) + 1e-9f, &column, &row);
    column -= 0.5f;
    row -= 0.5f;
    int i = (int)floorf(column), j = (int)floorf(row);
    float u = column - (float)i, v = row - (float)j;
    const float *upper = scalp->reach[clip_row(j)], *lower = scalp->reach[clip_row(j + 1)];
    int left = wrap_column(i), right = wrap_column(i + 1);
    return (upper[left] * (1 - u) + upper[right] * u) * (1 - v) + (lower[left] * (1 - u) + lower[right] * u) * v;
}

/* Mean of the 3 x 3 neighbourhood; where `fill_only`, of its known cells and only for unknown ones. */
static void smooth_reach(lk_scalp *scalp, bool fill_only)
{
    float before[ROWS][COLUMNS];
    memcpy(before, scalp->reach, sizeof before);
    for (int j = 0; j < ROWS; j++)
        for (int i = 0; i < COLUMNS; i++) {
            if (fill_only && before[j][i] > 0)
                continue;
            float sum = 0;
            int n = 0;
            for (int y = j - 1; y <= j + 1; y++)
                for (int x = i - 1; x <= i + 1; x++)
                    if (y >= 0 && y < ROWS && (!fill_only || before[y][wrap_column(x)] > 0)) {
                        sum += before[y][wrap_column(x)];
                        n++;
                    }
            if (n > 0)
                scalp->reach[j][i] = sum / (float)n;
        }
}

static void measure_reach(lk_scalp *scalp)
{
    lk_random random = lk_random_make(5, 0);
    for (int s = 0; s < REACH_SAMPLES; s++) {
        lk_root root = lk_scalp_pick(scalp, LK_REGION_HEAD, &random);
        int corner = root.corners[0];
        /* Shoulders would push hair out that hangs beside the neck. */
        bool shoulder = root.at.y < -0.8f && (fabsf(root.at.x) > 0.55f || root.at.y < -1.1f);
        if (shoulder || scalp->mesh->ear[corner] > 0.3f || scalp->mesh->inner_mouth[corner] > 0.3f)
            continue;
        lk_vec3 d = lk_vec3_sub(root.at, LK_HEAD_CENTRE);
        float length = lk_vec3_length(d), column, row;
        map_direction(d, length, &column, &row);
        float *cell = &scalp->reach[clip_row((int)row)][wrap_column((int)column)];
        *cell = lk_max(*cell, length);
    }
    for (int i = 0; i < 12; i++)
        smooth_reach(scalp, true);
    smooth_reach(scalp, false);
    smooth_reach(scalp, false);
}

/* ---- binding ---- */

static void choose_carriers(lk_scalp *scalp)
{
    const lk_mesh *mesh = scalp->mesh;
    const lk_triangles *skin = &mesh->parts[LK_PART_SKIN];
    bool *on_skin = (bool *)scalp->cells; /* scratch until the cells are made */
    memset(on_skin, 0, (size_t)mesh->count);
    for (int c = 0; c < skin->count * 3; c++)
        on_skin[skin->corners[c / 3][c % 3]] = true;
    for (int i = 0; i < mesh->count; i++) {
        bool dense = i % 3 == 0 || scalp->neutral[i].y > 0.5f || scalp->neutral[i].z < -0.5f; /* the face has more than needed */
        if (on_skin[i] && dense && mesh->ear[i] < 0.2f && mesh->inner_mouth[i] < 0.2f)
            scalp->carriers[scalp->carrier_count++] = (uint16_t)i;
    }
}

/* The `n` carriers nearest to `at`, nearest first, from `from`. */
static void nearest(const lk_scalp *scalp, lk_vec3 at, const uint16_t *from, int from_count, int n, uint16_t *out, float *squares)
{
    for (int k = 0; k < n; k++) {
        squares[k] = 1e9f;
        out[k] = from[0];
    }
    for (int i = 0; i < from_count; i++) {
        lk_vec3 d = lk_vec3_sub(scalp->neutral[from[i]], at);
        float square = lk_vec3_dot(d, d);
        if (square >= squares[n - 1])
            continue;
        int k = n - 1;
        for (; k > 0 && squares[k - 1] > square; k--) {
            squares[k] = squares[k - 1];
            out[k] = out[k - 1];
        }
        squares[k] = square;
        out[k] = from[i];
    }
}

static lk_status fill_slab(void *context, int64_t z, int worker)
{
    (void)worker;
    lk_scalp *scalp = context;
    float squares[CELL_NEAREST];
    for (int y = 0; y < CELLS_Y; y++)
        for (int x = 0; x < CELLS_X; x++) {
            lk_vec3 middle = lk_vec3_add_scaled(GRID_CORNER, CELL, lk_v3((float)x + 0.5f, (float)y + 0.5f, (float)z + 0.5f));
            nearest(scalp, middle, scalp->carriers, scalp->carrier_count, CELL_NEAREST,
                    scalp->cells[(z * CELLS_Y + y) * CELLS_X + x], squares);
        }
    return LK_OK;
}

static int cell_of(float distance, int cells)
{
    int cell = (int)(distance / CELL);
    return cell < 0 ? 0 : cell >= cells ? cells - 1 : cell;
}

void lk_scalp_bind(const lk_scalp *scalp, lk_vec3 at, uint16_t vertices[4], float weights[4])
{
    lk_vec3 d = lk_vec3_sub(at, GRID_CORNER);
    int cell = (cell_of(d.z, CELLS_Z) * CELLS_Y + cell_of(d.y, CELLS_Y)) * CELLS_X + cell_of(d.x, CELLS_X);
    nearest(scalp, at, scalp->cells[cell], CELL_NEAREST, 4, vertices, weights);
    float total = 0;
    for (int k = 0; k < 4; k++) {
        weights[k] = 1 / (weights[k] + 0.01f);
        total += weights[k];
    }
    for (int k = 0; k < 4; k++)
        weights[k] /= total;
}

lk_status lk_scalp_make(const lk_mesh *mesh, const lk_vec3 *neutral, const lk_vec3 *normals, int threads, lk_scalp **out)
{
    lk_scalp *scalp = calloc(1, sizeof *scalp);
    if (!scalp)
        return lk_fail(LK_INTERNAL, "no memory for the scalp");
    scalp->mesh = mesh;
    scalp->neutral = neutral;
    scalp->normals = normals;
    bool complete = true;
    for (int region = 0; region < LK_REGION_COUNT; region++) {
        scalp->area_below[region] = malloc((size_t)mesh->parts[LK_PART_SKIN].count * sizeof(float));
        complete &= scalp->area_below[region] != NULL;
    }
    scalp->carriers = malloc((size_t)mesh->count * sizeof *scalp->carriers);
    size_t cells = (size_t)CELLS_X * CELLS_Y * CELLS_Z * sizeof *scalp->cells;
    scalp->cells = malloc(cells > (size_t)mesh->count ? cells : (size_t)mesh->count);
    lk_status status = LK_OK;
    if (!complete || !scalp->carriers || !scalp->cells) {
        status = lk_fail(LK_INTERNAL, "no memory for the scalp");
        goto failed;
    }
    for (int region = 0; region < LK_REGION_COUNT; region++)
        sum_areas(scalp, (lk_region)region);
    measure_reach(scalp);
    choose_carriers(scalp);
    LK_TRY_OR(failed, lk_parallel_for(threads, CELLS_Z, fill_slab, scalp));
    *out = scalp;
    return LK_OK;
failed:
    lk_scalp_free(scalp);
    return status;
}

void lk_scalp_free(lk_scalp *scalp)
{
    if (!scalp)
        return;
    for (int region = 0; region < LK_REGION_COUNT; region++)
        free(scalp->area_below[region]);
    free(scalp->carriers);
    free(scalp->cells);
    free(scalp);
}
