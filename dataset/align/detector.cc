// The one C++ file: dlib's face detector and landmarks. Every function catches everything: no exception crosses into C.
#include <dlib/image_processing.h>
#include <dlib/image_processing/frontal_face_detector.h>

#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <vector>

extern "C" {
#include "dataset/align/detector.h"
}

struct lk_face_model {
    dlib::frontal_face_detector detector; // what finders copy: to make one anew takes a quarter of a second
    dlib::shape_predictor landmarks;
};

struct lk_face_finder {
    dlib::frontal_face_detector detector;
    dlib::array2d<unsigned char> picture;
};

namespace
{
const char *const debian_path = "/usr/share/dlib/shape_predictor_68_face_landmarks.dat";

lk_status fail(const char *action, const std::exception &e)
{
    return lk_fail(LK_INTERNAL, "cannot %s: %s", action, e.what());
}

void copy(const lk_grey *picture, dlib::array2d<unsigned char> &out)
{
    out.set_size(picture->height, picture->width);
    for (int y = 0; y < picture->height; y++)
        std::memcpy(&out[y][0], picture->pixels + static_cast<size_t>(y) * picture->width, picture->width);
}
} // namespace

extern "C" lk_status lk_face_model_open(const char *path, lk_face_model **out)
{
    *out = nullptr;
    const char *from = path ? path : debian_path;
    try {
        auto model = std::make_unique<lk_face_model>();
        dlib::deserialize(from) >> model->landmarks;
        model->detector = dlib::get_frontal_face_detector();
        if (model->landmarks.num_parts() != LK_LANDMARKS)
            return lk_fail(LK_BAD_DATA, "%s: a model of %lu landmarks; the one of %d is needed", from,
                           model->landmarks.num_parts(), static_cast<int>(LK_LANDMARKS));
        *out = model.release();
        return LK_OK;
    } catch (const std::exception &e) {
        return lk_fail(LK_BAD_DATA, "%s: cannot read the face landmark model (%s); install libdlib-data or give --landmarks FILE",
                       from, e.what());
    } catch (...) {
        return lk_fail(LK_BAD_DATA, "%s: cannot read the face landmark model", from);
    }
}

extern "C" void lk_face_model_close(lk_face_model *model)
{
    delete model;
}

extern "C" lk_status lk_face_finder_create(const lk_face_model *model, lk_face_finder **out)
{
    *out = nullptr;
    try {
        auto finder = std::make_unique<lk_face_finder>();
        finder->detector = model->detector;
        *out = finder.release();
        return LK_OK;
    } catch (const std::exception &e) {
        return fail("start the face detector", e);
    } catch (...) {
        return lk_fail(LK_INTERNAL, "cannot start the face detector");
    }
}

extern "C" void lk_face_finder_free(lk_face_finder *finder)
{
    delete finder;
}

extern "C" lk_status lk_face_find(lk_face_finder *finder, const lk_grey *picture, lk_face_box boxes[LK_MAX_FACES], int *count)
{
    *count = 0;
    try {
        copy(picture, finder->picture);
        std::vector<dlib::rect_detection> found;
        finder->detector(finder->picture, found, 0.0);
        for (const auto &one : found) {
            if (*count == LK_MAX_FACES)
                break;
            // dlib's rectangles name their last pixel; ours end behind it.
            boxes[(*count)++] = {static_cast<double>(one.rect.left()), static_cast<double>(one.rect.top()),
                                 one.rect.right() + 1.0, one.rect.bottom() + 1.0, one.detection_confidence};
        }
        return LK_OK;
    } catch (const std::exception &e) {
        return fail("look for faces", e);
    } catch (...) {
        return lk_fail(LK_INTERNAL, "cannot look for faces");
    }
}

extern "C" lk_status lk_face_landmarks(const lk_face_model *model, const lk_grey *picture, const lk_face_box *box,
                                       lk_point points[LK_LANDMARKS])
{
    try {
        dlib::array2d<unsigned char> pixels;
        copy(picture, pixels);
        const dlib::rectangle where(std::lround(box->left), std::lround(box->top), std::lround(box->right) - 1,
                                    std::lround(box->bottom) - 1);
        const dlib::full_object_detection shape = model->landmarks(pixels, where);
        for (int i = 0; i < LK_LANDMARKS; i++)
            points[i] = {shape.part(i).x() + 0.5, shape.part(i).y() + 0.5};
        return LK_OK;
    } catch (const std::exception &e) {
        return fail("place the face landmarks", e);
    } catch (...) {
        return lk_fail(LK_INTERNAL, "cannot place the face landmarks");
    }
}
