#include "dataset/client/pose.h"

lk_turn lk_turn_of(float yaw, float pitch)
{
    float cy = cosf(yaw), sy = sinf(yaw), cp = cosf(pitch), sp = sinf(pitch);
    return (lk_turn){{cy, 0, sy}, {sp * sy, cp, -sp * cy}, {-cp * sy, sp, cp * cy}};
}

/* The crop's error: a similarity about the middle of the picture. */
static void misplace_crop(lk_camera *camera, const lk_scene *scene, int size)
{
    float scale = 1 + scene->crop_scale, c = scale * cosf(scene->crop_roll), s = scale * sinf(scene->crop_roll);
    float edge = (float)size, cosine = camera->cosine, sine = camera->sine;
    float x = camera->shift_x - 0.5f * edge, y = camera->shift_y - 0.5f * edge;
    camera->cosine = c * cosine - s * sine;
    camera->sine = c * sine + s * cosine;
    camera->shift_x = c * x - s * y + (0.5f + scene->crop_x) * edge;
    camera->shift_y = s * x + c * y + (0.5f + scene->crop_y) * edge;
    camera->scale *= scale;
}

lk_camera lk_scene_camera(const lk_scene *scene, const lk_mesh *mesh, const lk_vec3 *turned, int size)
{
    lk_camera camera = lk_camera_on_eyes(mesh, turned, size);
    if (scene->lively)
        misplace_crop(&camera, scene, size);
    return camera;
}
