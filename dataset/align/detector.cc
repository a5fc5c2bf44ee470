// The one C++ file: dlib's face detector, landmarks and descriptor. Every function catches everything: no exception crosses
// into C.
#include <dlib/dnn.h>
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
// The network of dlib's dnn_face_recognition_ex.cpp, layer by layer: its type is what the file is read into.
template <int N, int stride, typename SUBNET>
using convolutions = dlib::affine<dlib::con<N, 3, 3, 1, 1, dlib::relu<dlib::affine<dlib::con<N, 3, 3, stride, stride, SUBNET>>>>>;
template <int N, typename SUBNET> using plain = dlib::relu<dlib::add_prev1<convolutions<N, 1, dlib::tag1<SUBNET>>>>;
template <int N, typename SUBNET>
using down =
    dlib::relu<dlib::add_prev2<dlib::avg_pool<2, 2, 2, 2, dlib::skip1<dlib::tag2<convolutions<N, 2, dlib::tag1<SUBNET>>>>>>>;
template <typename SUBNET> using stage32 = plain<32, plain<32, plain<32, SUBNET>>>;
template <typename SUBNET> using stage64 = plain<64, plain<64, plain<64, down<64, SUBNET>>>>;
template <typename SUBNET> using stage128 = plain<128, plain<128, down<128, SUBNET>>>;
template <typename SUBNET> using stage256 = plain<256, plain<256, down<256, SUBNET>>>;
template <typename SUBNET> using stage256_last = down<256, SUBNET>;
using input =
    dlib::max_pool<3, 3, 2, 2, dlib::relu<dlib::affine<dlib::con<32, 7, 7, 2, 2, dlib::input_rgb_image_sized<LK_CHIP>>>>>;
using descriptor_net = dlib::loss_metric<
    dlib::fc_no_bias<LK_DESCRIPTOR, dlib::avg_pool_everything<stage256_last<stage256<stage128<stage64<stage32<input>>>>>>>>;
} // namespace

struct lk_describer {
    descriptor_net net;
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

extern "C" lk_status lk_face_chip(int width, int height, const uint8_t *rgb, const lk_point landmarks[LK_LANDMARKS],
                                  uint8_t *chip)
{
    try {
        dlib::array2d<dlib::rgb_pixel> picture(height, width);
        std::memcpy(&picture[0][0], rgb, static_cast<size_t>(width) * height * 3);
        std::vector<dlib::point> parts;
        for (int i = 0; i < LK_LANDMARKS; i++)
            parts.emplace_back(std::lround(landmarks[i].x - 0.5), std::lround(landmarks[i].y - 0.5));
        const dlib::full_object_detection shape(dlib::rectangle(), parts);
        dlib::array2d<dlib::rgb_pixel> out;
        dlib::extract_image_chip(picture, dlib::get_face_chip_details(shape, LK_CHIP, 0.25), out);
        std::memcpy(chip, &out[0][0], static_cast<size_t>(LK_CHIP) * LK_CHIP * 3);
        return LK_OK;
    } catch (const std::exception &e) {
        return fail("cut out a face", e);
    } catch (...) {
        return lk_fail(LK_INTERNAL, "cannot cut out a face");
    }
}

extern "C" lk_status lk_describer_open(const char *path, lk_describer **out)
{
    *out = nullptr;
    try {
        auto describer = std::make_unique<lk_describer>();
        dlib::deserialize(path) >> describer->net;
        *out = describer.release();
        return LK_OK;
    } catch (const std::exception &e) {
        return lk_fail(LK_BAD_DATA, "%s: cannot read dlib's model of face descriptors (%.300s)", path, e.what());
    } catch (...) {
        return lk_fail(LK_BAD_DATA, "%s: cannot read dlib's model of face descriptors", path);
    }
}

extern "C" lk_status lk_describer_copy(const lk_describer *describer, lk_describer **out)
{
    *out = nullptr;
    try {
        *out = new lk_describer(*describer);
        return LK_OK;
    } catch (const std::exception &e) {
        return fail("copy the model of face descriptors", e);
    } catch (...) {
        return lk_fail(LK_INTERNAL, "cannot copy the model of face descriptors");
    }
}

extern "C" void lk_describer_free(lk_describer *describer)
{
    delete describer;
}

extern "C" lk_status lk_describe(lk_describer *describer, const uint8_t *chip, float descriptor[LK_DESCRIPTOR])
{
    try {
        dlib::matrix<dlib::rgb_pixel> picture(LK_CHIP, LK_CHIP);
        std::memcpy(&picture(0, 0), chip, static_cast<size_t>(LK_CHIP) * LK_CHIP * 3);
        const dlib::matrix<float, 0, 1> &numbers = describer->net(picture);
        for (int i = 0; i < LK_DESCRIPTOR; i++)
            descriptor[i] = numbers(i);
        return LK_OK;
    } catch (const std::exception &e) {
        return fail("describe a face", e);
    } catch (...) {
        return lk_fail(LK_INTERNAL, "cannot describe a face");
    }
}
