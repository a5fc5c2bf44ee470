#include "dataset/label/landmarks.h"

#include <math.h>
#include <stdbool.h>

/* On base.obj, in its numbers: chosen on renders of the neutral face by the rules of iBUG's markup. */
static const struct {
    int vertices[3];
    float weights[3];
} PLACES[LK_LANDMARKS] = {
    {{5738}, {1}},
    {{5735}, {1}},
    {{5759}, {1}},
    {{5242}, {1}},
    {{895}, {1}},
    {{893}, {1}},
    {{3697}, {1}},
    {{917}, {1}},
    {{732}, {1}},
    {{7619}, {1}},
    {{10365}, {1}},
    {{7595}, {1}},
    {{7597}, {1}},
    {{11851}, {1}},
    {{12356}, {1}},
    {{12332}, {1}},
    {{12335}, {1}},
    {{3744, 5261, 5260}, {0.3219f, 0.6248f, 0.0533f}},
    {{232, 5259, 5260}, {0.018f, 0.5499f, 0.4321f}},
    {{231, 229, 896}, {0.1197f, 0.5857f, 0.2946f}},
    {{230, 223, 233}, {0.5888f, 0.3128f, 0.0984f}},
    {{233, 208, 228}, {0.7525f, 0.0337f, 0.2138f}},
    {{7006, 7001, 6983}, {0.759f, 0.1816f, 0.0593f}},
    {{7003, 7006, 6997}, {0.5913f, 0.0671f, 0.3416f}},
    {{7004, 7598, 7002}, {0.1539f, 0.3111f, 0.535f}},
    {{11868, 10413, 11867}, {0.4871f, 0.0231f, 0.4899f}},
    {{10412, 11869, 10411}, {0.3413f, 0.6066f, 0.0521f}},
    {{136}, {1}},
    {{135}, {1}},
    {{164}, {1}},
    {{5054}, {1}},
    {{358}, {1}},
    {{314}, {1}},
    {{317}, {1}},
    {{7077}, {1}},
    {{7119}, {1}},
    {{6758}, {1}},
    {{0}, {1}},
    {{54}, {1}},
    {{1076}, {1}},
    {{1070}, {1}},
    {{6776}, {1}},
    {{7769}, {1}},
    {{6838}, {1}},
    {{6784}, {1}},
    {{7753}, {1}},
    {{7760}, {1}},
    {{7762}, {1}},
    {{425}, {1}},
    {{5354}, {1}},
    {{450}, {1}},
    {{455}, {1}},
    {{7210}, {1}},
    {{11956}, {1}},
    {{7185}, {1}},
    {{7235}, {1}},
    {{7241}, {1}},
    {{492}, {1}},
    {{486}, {1}},
    {{480}, {1}},
    {{430}, {1}},
    {{471}, {1}},
    {{474}, {1}},
    {{7227}, {1}},
    {{7190}, {1}},
    {{7236}, {1}},
    {{494}, {1}},
    {{481}, {1}},
};

/* A strip's half width; how far it may run back and forward from the jaw's line; decimetres. The middle of the face, from which
 * the contour is seen as a curve. */
static const float STRIP_HALF = 0.06f, STRIP_BACK = 0.02f, STRIP_FORWARD = 0.5f, MIDDLE_Y = -0.35f;

static lk_vec3 on_mesh(const lk_mesh_landmark *l, const lk_vec3 *positions)
{
    lk_vec3 sum = {0};
    for (int c = 0; c < 3; c++)
        sum = lk_vec3_add_scaled(sum, l->weights[c], positions[l->vertices[c]]);
    return sum;
}

/* Skin that can be an outline: no ear, nothing inside of the mouth. */
static bool may_be_outline(const lk_mesh *mesh, int vertex)
{
    return mesh->ear[vertex] < 0.15f && mesh->inner_mouth[vertex] < 0.3f;
}

static void find_strip(const lk_mesh *mesh, const lk_vec3 *neutral, const bool *is_skin, lk_mesh_landmark *place,
                       lk_contour_strip *strip)
{
    lk_vec3 at = on_mesh(place, neutral);
    float x = at.x, y = at.y - MIDDLE_Y, length = sqrtf(x * x + y * y);
    strip->out_x = x / length;
    strip->out_y = y / length;
    strip->vertices[strip->count++] = place->vertices[0];
    for (int v = 0; v < mesh->count && strip->count < LK_STRIP; v++) {
        lk_vec3 off = lk_vec3_sub(neutral[v], at);
        float along = off.y * strip->out_x - off.x * strip->out_y, out = off.x * strip->out_x + off.y * strip->out_y;
        if (is_skin[v] && may_be_outline(mesh, v) && fabsf(along) < STRIP_HALF && out > -0.3f && off.z > -STRIP_BACK &&
            off.z < STRIP_FORWARD && v != place->vertices[0])
            strip->vertices[strip->count++] = (uint16_t)v;
    }
}

lk_status lk_mesh_landmarks_find(const lk_mesh *mesh, const lk_vec3 *neutral, lk_mesh_landmarks *out)
{
    static const lk_mesh_landmarks none;
    bool is_skin[UINT16_MAX + 1] = {false};
    *out = none;
    for (int i = 0; i < mesh->parts[LK_PART_SKIN].count * 3; i++)
        is_skin[mesh->parts[LK_PART_SKIN].corners[i / 3][i % 3]] = true;
    for (int k = 0; k < LK_LANDMARKS; k++)
        for (int c = 0; c < 3; c++) {
            int raw = PLACES[k].vertices[c], kept = raw < mesh->raw_count ? mesh->kept[raw] : -1;
            if (kept < 0)
                return lk_fail(LK_BAD_DATA, "base.obj: vertex %d is not in the face; make deps fetches it anew", raw);
            out->points[k].vertices[c] = (uint16_t)kept;
            out->points[k].weights[c] = PLACES[k].weights[c];
        }
    for (int k = 0; k < LK_CONTOUR; k++)
        find_strip(mesh, neutral, is_skin, &out->points[k], &out->contour[k]);
    return LK_OK;
}

/* The vertex of the strip that lies furthest out for the viewer. */
static lk_vec3 outmost(const lk_contour_strip *strip, const lk_vec3 *turned, const lk_camera *camera)
{
    float most = -1e9f;
    lk_vec3 found = turned[strip->vertices[0]];
    for (int i = 0; i < strip->count; i++) {
        lk_vec3 p = turned[strip->vertices[i]];
        float near = camera->distance / (camera->distance - p.z), out = near * (p.x * strip->out_x + p.y * strip->out_y);
        if (out > most) {
            most = out;
            found = p;
        }
    }
    return found;
}

void lk_mesh_landmarks_project(const lk_mesh_landmarks *landmarks, const lk_vec3 *turned, const lk_camera *camera,
                               lk_point out[LK_LANDMARKS])
{
    for (int k = 0; k < LK_LANDMARKS; k++) {
        lk_vec3 at = k < LK_CONTOUR ? outmost(&landmarks->contour[k], turned, camera) : on_mesh(&landmarks->points[k], turned);
        lk_vec3 seen = lk_project(camera, at);
        out[k] = (lk_point){seen.x, seen.y};
    }
}
