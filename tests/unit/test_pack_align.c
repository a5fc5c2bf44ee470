/* Alignment: the geometry of crops, EXIF, and real photos judged by running the detector again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/unit/check.h"

#include "base/file.h"
#include "dataset/crop.h"
#include "dataset/align/align.h"
#include "dataset/align/exif.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* ---- geometry ---- */

static uint8_t *pixel(lk_image *image, int x, int y)
{
    return image->pixels + ((size_t)y * (size_t)image->width + (size_t)x) * 3;
}

/* Each pixel tells where it is. */
static lk_image chart(int width, int height)
{
    lk_image image;
    assert_int_equal(lk_image_allocate(width, height, &image), LK_OK);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            pixel(&image, x, y)[0] = (uint8_t)(4 * x);
            pixel(&image, x, y)[1] = (uint8_t)(4 * y);
            pixel(&image, x, y)[2] = 77;
        }
    return image;
}

static void eyes_land_at_their_places(void **state)
{
    (void)state;
    lk_point left = {410.25, 300.5}, right = {455.75, 322.125};
    lk_similarity frame = lk_crop_frame(left, right, 128);
    lk_point a = lk_similarity_apply(&frame, (lk_point){LK_EYE_LEFT_X * 128, LK_EYE_Y * 128});
    lk_point b = lk_similarity_apply(&frame, (lk_point){(1 - LK_EYE_LEFT_X) * 128, LK_EYE_Y * 128});
    assert_true(hypot(a.x - left.x, a.y - left.y) < 1e-9);
    assert_true(hypot(b.x - right.x, b.y - right.y) < 1e-9);
}

static void whole_pixels_are_copied_and_borders_reflected(void **state)
{
    (void)state;
    lk_image image = chart(40, 30);
    uint8_t crop[20 * 20 * 3];
    lk_similarity shift = {1, 0, -5, -3};
    assert_int_equal(lk_warp(&image, &shift, 20, crop), LK_OK);
    for (int v = 0; v < 20; v++)
        for (int u = 0; u < 20; u++) {
            int x = u - 5, y = v - 3;
            x = x < 0 ? -1 - x : x;
            y = y < 0 ? -1 - y : y;
            assert_memory_equal(crop + (v * 20 + u) * 3, pixel(&image, x, y), 3);
        }
    /* A quarter turn: u runs down the picture, v to the left. */
    lk_similarity turn = {0, 1, 20, 0};
    assert_int_equal(lk_warp(&image, &turn, 20, crop), LK_OK);
    for (int v = 0; v < 20; v++)
        for (int u = 0; u < 20; u++)
            assert_memory_equal(crop + (v * 20 + u) * 3, pixel(&image, 19 - v, u), 3);
    lk_image_free(&image);
}

/* A board of single pixels has nothing that a smaller picture could show but its mean. */
static void shrinking_does_not_alias(void **state)
{
    (void)state;
    lk_image board;
    static uint8_t crop[64 * 64 * 3];
    static const double scales[] = {1.7, 2, 2.7, 3.3, 4, 7.9};
    assert_int_equal(lk_image_allocate(512, 512, &board), LK_OK);
    for (int y = 0; y < 512; y++)
        for (int x = 0; x < 512; x++)
            memset(pixel(&board, x, y), (x + y) % 2 ? 255 : 0, 3);
    for (int i = 0; i < 6; i++) {
        lk_similarity map = {scales[i] * cos(0.3), scales[i] * sin(0.3), 150, 0};
        assert_int_equal(lk_warp(&board, &map, 64, crop), LK_OK);
        double off = 0;
        for (int k = 0; k < 64 * 64 * 3; k++)
            off += fabs(crop[k] - 127.5) / (64 * 64 * 3);
        print_message("shrunk %.1f times: %.1f from the mean\n", scales[i], off);
        assert_true(off < (scales[i] < 2 ? 40 : 6));
    }
    lk_image_free(&board);
}

static void absurd_crops_are_refused(void **state)
{
    (void)state;
    lk_image image = chart(20, 20);
    uint8_t crop[8 * 8 * 3];
    static const lk_similarity maps[] = {{0, 0, 0, 0}, {NAN, 0, 0, 0}, {1e9, 0, 0, 0}, {1, 0, INFINITY, 0}, {1, 0, 0, 1e300}};
    for (int i = 0; i < 5; i++)
        assert_int_equal(lk_warp(&image, &maps[i], 8, crop), LK_BAD_DATA);
    lk_similarity far = {1, 0, 9e6, -9e6}; /* far outside: reflections all the way */
    assert_int_equal(lk_warp(&image, &far, 8, crop), LK_OK);
    lk_image_free(&image);
}

/* ---- EXIF ---- */

/* Puts an orientation into a JPEG, as a camera does. */
static uint8_t *with_orientation(const uint8_t *jpeg, size_t size, int orientation, bool big, size_t *out_size)
{
    uint8_t app1[] = {0xff, 0xe1, 0,    34,   'E', 'x', 'i', 'f', 0, 0, 'I', 'I', 42, 0, 8, 0, 0, 0,
                      1,    0,    0x12, 0x01, 3,   0,   1,   0,   0, 0, 0,   0,   0,  0, 0, 0, 0, 0};
    if (big) {
        static const uint8_t tiff[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1};
        memcpy(app1 + 10, tiff, sizeof tiff);
    }
    app1[big ? 29 : 28] = (uint8_t)orientation;
    *out_size = size + sizeof app1;
    uint8_t *out = malloc(*out_size);
    memcpy(out, jpeg, 2);
    memcpy(out + 2, app1, sizeof app1);
    memcpy(out + 2 + sizeof app1, jpeg + 2, size - 2);
    return out;
}

/* Stores the upright chart as each orientation says (by its definition: which side of the scene row 0 and column 0 are), and
 * wants the chart back. */
static void exif_turns_every_way(void **state)
{
    (void)state;
    enum { W = 24, H = 16 };
    lk_image upright = chart(W, H);
    for (int o = 1; o <= 8; o++) {
        bool swapped = o >= 5;
        lk_image stored;
        assert_int_equal(lk_image_allocate(swapped ? H : W, swapped ? W : H, &stored), LK_OK);
        for (int r = 0; r < stored.height; r++)
            for (int c = 0; c < stored.width; c++) {
                /* EXIF 2.3: 1 top left, 2 top right, 3 bottom right, 4 bottom left, 5 left top, 6 right top, 7 right bottom, 8
                 * left bottom: the side of row 0, then that of column 0. */
                int row = r, column = c, x, y;
                switch (o) {
                case 1: x = column, y = row; break;
                case 2: x = W - 1 - column, y = row; break;
                case 3: x = W - 1 - column, y = H - 1 - row; break;
                case 4: x = column, y = H - 1 - row; break;
                case 5: x = row, y = column; break;
                case 6: x = W - 1 - row, y = column; break;
                case 7: x = W - 1 - row, y = H - 1 - column; break;
                default: x = row, y = H - 1 - column; break;
                }
                memcpy(pixel(&stored, c, r), pixel(&upright, x, y), 3);
            }
        uint8_t *jpeg;
        size_t size, turned_size;
        assert_int_equal(lk_image_encode_jpeg(&stored, 95, &jpeg, &size), LK_OK);
        assert_int_equal(lk_exif_orientation(jpeg, size), 1);
        for (int big = 0; big < 2; big++) {
            uint8_t *turned = with_orientation(jpeg, size, o, big, &turned_size);
            assert_int_equal(lk_exif_orientation(turned, turned_size), o);
            for (size_t cut = 1; cut < 60; cut++) { /* never reads beyond the end, which AddressSanitizer would see */
                uint8_t *piece = memcpy(malloc(cut), turned, cut);
                lk_exif_orientation(piece, cut);
                free(piece);
            }
            free(turned);
        }
        assert_int_equal(lk_exif_apply(o, &stored), LK_OK);
        assert_int_equal(stored.width, W);
        assert_int_equal(stored.height, H);
        assert_memory_equal(stored.pixels, upright.pixels, W * H * 3);
        lk_image_free(&stored);
        free(jpeg);
    }
    lk_image_free(&upright);
}

/* One chunk of a PNG; its checksum is left out, since the orientation is looked for before the picture is read. */
static size_t add_chunk(uint8_t *png, size_t size, const char *type, const void *data, size_t length)
{
    const uint8_t head[] = {0, 0, (uint8_t)(length >> 8), (uint8_t)length};
    memcpy(png + size, head, 4);
    memcpy(png + size + 4, type, 4);
    memcpy(png + size + 8, data, length);
    return size + 12 + length;
}

/* EXIF as ImageMagick puts it into a PNG's text: behind the name and `before`, plain or compressed. */
static size_t add_text(uint8_t *png, size_t size, const char *type, const void *before, size_t before_size, bool compressed,
                       const uint8_t *exif, size_t exif_size)
{
    char text[1024] = "\nexif\n      32\n";
    uint8_t chunk[2048];
    size_t used = strlen(text), length = 0;
    for (size_t i = 0; i < exif_size; i++)
        used += (size_t)sprintf(text + used, i % 36 == 35 ? "%02x\n" : "%02x", exif[i]);
    memcpy(chunk, "Raw profile type exif", 22);
    length = 22;
    memcpy(chunk + length, before, before_size);
    length += before_size;
    uLongf room = sizeof chunk - length;
    if (compressed)
        assert_int_equal(compress(chunk + length, &room, (uint8_t *)text, used), Z_OK);
    else
        memcpy(chunk + length, text, room = used);
    return add_chunk(png, size, type, chunk, length + room);
}

/* The tag as a LONG, with JPEG's mark in a PNG, as text: what Pillow, ImageMagick and phones obey is obeyed here. */
static void orientation_is_found_wherever_programs_put_it(void **state)
{
    (void)state;
    for (int o = 2; o <= 8; o++) {
        uint8_t marked[] = {'E',  'x',  'i', 'f', 0, 0, 'I', 'I', 42,         0, 8, 0, 0, 0, 1, 0,
                            0x12, 0x01, 4,   0,   1, 0, 0,   0,   (uint8_t)o, 0, 0, 0, 0, 0, 0, 0};
        uint8_t big[] = {'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 4, 0, 0, 0, 1, 0, 0, 0, (uint8_t)o, 0, 0, 0, 0};
        uint8_t jpeg[64] = {0xff, 0xd8, 0xff, 0xe1, 0, sizeof marked + 2};
        memcpy(jpeg + 6, marked, sizeof marked);
        assert_int_equal(lk_exif_orientation(jpeg, sizeof jpeg), o);

        uint8_t png[4096] = "\x89PNG\r\n\x1a\n";
        assert_int_equal(lk_exif_orientation(png, add_chunk(png, 8, "eXIf", marked, sizeof marked)), o);
        assert_int_equal(lk_exif_orientation(png, add_chunk(png, 8, "eXIf", marked + 6, sizeof marked - 6)), o);
        assert_int_equal(lk_exif_orientation(png, add_chunk(png, 8, "eXIf", big, sizeof big)), o);
        static const struct {
            const char *type, *before;
            size_t before_size;
            bool compressed;
        } texts[] = {
            {"tEXt", "", 0, false}, {"zTXt", "", 1, true}, {"iTXt", "\0\0en\0name", 10, false}, {"iTXt", "\1\0\0", 4, true}};
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
            size_t size = add_text(png, add_chunk(png, 8, "IDAT", "pixels", 6), texts[i].type, texts[i].before,
                                   texts[i].before_size, texts[i].compressed, marked, sizeof marked);
            if (lk_exif_orientation(png, size) != o)
                fail_msg("%s, %zu: %d, not %d", texts[i].type, i, lk_exif_orientation(png, size), o);
            for (size_t cut = 8; cut < size; cut++) { /* never reads beyond the end, which AddressSanitizer would see */
                uint8_t *piece = memcpy(malloc(cut), png, cut);
                lk_exif_orientation(piece, cut);
                free(piece);
            }
        }
        /* What a chunk of EXIF says goes before what a text says. */
        uint8_t other[sizeof marked];
        memcpy(other, marked, sizeof marked);
        other[24] = (uint8_t)(o % 8 + 1);
        size_t size = add_text(png, 8, "tEXt", "", 0, false, other, sizeof other);
        assert_int_equal(lk_exif_orientation(png, add_chunk(png, size, "eXIf", marked, sizeof marked)), o);
    }
}

/* Tens of thousands of texts, each unpacked a thousandfold, would keep a server busy for minutes. */
static void few_texts_are_searched_for_the_orientation(void **state)
{
    (void)state;
    uint8_t exif[] = {'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 0x01, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0};
    for (int before = 7; before <= 8; before++) {
        uint8_t png[4096] = "\x89PNG\r\n\x1a\n";
        size_t size = 8;
        exif[18] = 1;
        for (int i = 0; i < before; i++)
            size = add_text(png, size, "zTXt", "", 1, true, exif, sizeof exif);
        exif[18] = 6;
        size = add_text(png, size, "zTXt", "", 1, true, exif, sizeof exif);
        assert_int_equal(lk_exif_orientation(png, size), before < 8 ? 6 : 1);
    }
}

/* ---- real photos ---- */

enum { SIZE = 256 };
static char photo_folder[LK_PATH_SIZE];
static lk_face_model *model;
static lk_face_finder *finder;

static bool have_photos(void)
{
    const char *root = getenv("LIKENESS_ROOT");
    char command[LK_PATH_SIZE + 32];
    if (photo_folder[0])
        return true;
    if (!root)
        return false;
    snprintf(command, sizeof command, "%s/tests/photos", root);
    FILE *out = popen(command, "r");
    bool good = out && fgets(photo_folder, sizeof photo_folder, out);
    if (out && pclose(out) != 0)
        good = false;
    photo_folder[strcspn(photo_folder, "\n")] = '\0';
    if (!good)
        photo_folder[0] = '\0';
    return good;
}

static lk_image load_photo(const char *name)
{
    char path[LK_PATH_SIZE], *data;
    size_t size;
    lk_image image;
    assert_int_equal(lk_path_join(path, photo_folder, name), LK_OK);
    assert_int_equal(lk_read_file(path, 1 << 28, &data, &size), LK_OK);
    assert_int_equal(lk_image_decode(data, size, 1 << 28, name, &image), LK_OK);
    assert_int_equal(lk_exif_apply(lk_exif_orientation((uint8_t *)data, size), &image), LK_OK);
    free(data);
    return image;
}

static lk_align_options lenient(void)
{
    lk_align_options o = LK_ALIGN_DEFAULTS;
    o.size = SIZE;
    o.max_enlarge = 10;
    return o;
}

/* Aligns one photo; the rule that refused it or its face, NULL if it was taken. */
static const char *align_one(const lk_image *photo, const lk_align_options *options, lk_aligned *face)
{
    lk_aligner *aligner;
    lk_aligned faces[LK_MAX_FACES];
    int count;
    const char *rejected;
    assert_int_equal(lk_aligner_create(model, options, &aligner), LK_OK);
    assert_int_equal(lk_align(aligner, photo, faces, &count, &rejected), LK_OK);
    lk_aligner_free(aligner);
    *face = (lk_aligned){0};
    if (rejected)
        return rejected;
    *face = faces[0];
    lk_aligned_free(faces + 1, count - 1);
    return face->rejected;
}

/* How far the eye centres of a crop are from their places, in crop edges, by the detector's own box; -1 if it finds no face. */
static double eyes_off(const uint8_t *crop)
{
    static uint8_t grey[SIZE * SIZE];
    lk_face_box boxes[LK_MAX_FACES];
    lk_point points[LK_LANDMARKS], left, right;
    int count;
    lk_luma(crop, SIZE * SIZE, grey);
    lk_grey picture = {SIZE, SIZE, grey};
    assert_int_equal(lk_face_find(finder, &picture, boxes, &count), LK_OK);
    if (count == 0)
        return -1;
    assert_int_equal(lk_face_landmarks(model, &picture, &boxes[0], points), LK_OK);
    lk_eye_centres(points, &left, &right);
    return fmax(hypot(left.x / SIZE - LK_EYE_LEFT_X, left.y / SIZE - LK_EYE_Y),
                hypot(right.x / SIZE - (1 - LK_EYE_LEFT_X), right.y / SIZE - LK_EYE_Y));
}

static const char *const frontal[] = {"0-f1-su-ph.jpg", "0-f15-hao-ph.jpg", "15-f13-anc-ph.jpg", "single_face.jpg",
                                      "obama.jpg",      "obama2.jpg",       "obama3.jpg",        "biden.jpg"};
enum { FRONTAL = sizeof frontal / sizeof *frontal };

#define NEED_PHOTOS()                                                                                                            \
    if (!have_photos()) {                                                                                                        \
        print_message("skipped: tests/photos has no photos (no registry, or LIKENESS_ROOT is not set)\n");                       \
        skip();                                                                                                                  \
    }

static void eyes_of_photos_land_at_their_places(void **state)
{
    (void)state;
    NEED_PHOTOS();
    lk_align_options options = lenient();
    double worst = 0;
    for (int i = 0; i < FRONTAL; i++) {
        lk_image photo = load_photo(frontal[i]);
        lk_aligned face;
        assert_null(align_one(&photo, &options, &face));
        double off = eyes_off(face.crop);
        print_message("%s: eyes %.2f %% of the crop off, turned %.0f, sharpness %.3f\n", frontal[i], 100 * off, face.turn,
                      face.sharpness);
        assert_true(off >= 0 && off < 0.02);
        worst = fmax(worst, off);
        lk_aligned_free(&face, 1);
        lk_image_free(&photo);
    }
    print_message("worst: %.2f %%\n", 100 * worst);
}

/* The photo turned and scaled about the face, grey outside. */
static lk_image turned(const lk_image *photo, const lk_aligned *face, double degrees, double scale)
{
    double angle = degrees * M_PI / 180;
    int side = (int)(2.4 * SIZE * scale * lk_similarity_scale(&face->frame));
    lk_point centre = lk_similarity_apply(&face->frame, (lk_point){SIZE / 2.0, SIZE / 2.0});
    lk_similarity map = {cos(angle) / scale, sin(angle) / scale, 0, 0};
    lk_point middle = lk_similarity_apply(&map, (lk_point){side / 2.0, side / 2.0});
    map.x = centre.x - middle.x;
    map.y = centre.y - middle.y;
    lk_image out;
    assert_int_equal(lk_image_allocate(side, side, &out), LK_OK);
    assert_int_equal(lk_warp(photo, &map, side, out.pixels), LK_OK);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            lk_point p = lk_similarity_apply(&map, (lk_point){x + 0.5, y + 0.5});
            if (p.x < 0 || p.y < 0 || p.x > photo->width || p.y > photo->height)
                memset(pixel(&out, x, y), 128, 3);
        }
    return out;
}

static void turning_and_scaling_change_little(void **state)
{
    (void)state;
    NEED_PHOTOS();
    static const struct {
        double degrees, scale;
    } ways[] = {{-30, 1}, {30, 1}, {0, 0.5}, {0, 3}, {-15, 0.7}, {20, 2}};
    lk_align_options options = lenient();
    options.max_outside = 1;
    double worst = 0, sum = 0;
    int count = 0;
    for (int i = 0; i < FRONTAL; i += 2) {
        lk_image photo = load_photo(frontal[i]);
        lk_aligned face;
        assert_null(align_one(&photo, &options, &face));
        for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
            lk_image other = turned(&photo, &face, ways[w].degrees, ways[w].scale);
            lk_aligned again;
            const char *rejected = align_one(&other, &options, &again);
            if (rejected)
                fail_msg("%s turned by %g, scaled %g: %s", frontal[i], ways[w].degrees, ways[w].scale, rejected);
            double difference = 0;
            for (int k = 0; k < SIZE * SIZE * 3; k++)
                difference += abs(again.crop[k] - face.crop[k]) / (SIZE * SIZE * 3.0);
            print_message("%s turned %+.0f scaled %.1f: mean absolute difference %.2f\n", frontal[i], ways[w].degrees,
                          ways[w].scale, difference);
            worst = fmax(worst, difference);
            sum += difference;
            count++;
            lk_aligned_free(&again, 1);
            lk_image_free(&other);
        }
        lk_aligned_free(&face, 1);
        lk_image_free(&photo);
    }
    print_message("mean absolute difference of 255: mean %.2f, worst %.2f\n", sum / count, worst);
    assert_true(sum / count < 5 && worst < 9);
}

static void faces_break_rules(void **state)
{
    (void)state;
    NEED_PHOTOS();
    static const struct {
        const char *photo, *rule;
    } cases[] = {
        {"45-m7-di-ph.jpg", "turned away"}, {"free-mountain-vector-01.jpg", "no face"}, {"obama_partial_face.jpg", "cut off"}};
    lk_align_options options = lenient();
    lk_aligned face;
    for (int i = 0; i < 3; i++) {
        lk_image photo = load_photo(cases[i].photo);
        const char *rule = align_one(&photo, &options, &face);
        if (!rule || strcmp(rule, cases[i].rule) != 0)
            fail_msg("%s: %s", cases[i].photo, rule ? rule : "taken");
        lk_aligned_free(&face, 1);
        lk_image_free(&photo);
    }
    /* Small, and blurred by being small once. */
    lk_image photo = load_photo("0-f15-hao-ph.jpg"), small, blurred;
    assert_int_equal(lk_image_allocate(170, 170, &small), LK_OK);
    assert_int_equal(lk_resize(&photo, 170, small.pixels), LK_OK);
    options.max_enlarge = 1.5;
    assert_string_equal(align_one(&small, &options, &face), "too small");
    lk_aligned_free(&face, 1);
    options.max_enlarge = 10;
    assert_int_equal(lk_resize(&photo, 60, small.pixels), LK_OK);
    small.width = small.height = 60;
    assert_int_equal(lk_image_allocate(512, 512, &blurred), LK_OK);
    assert_int_equal(lk_resize(&small, 512, blurred.pixels), LK_OK);
    const char *rule = align_one(&blurred, &options, &face);
    print_message("blurred: sharpness %.4f\n", face.sharpness);
    assert_non_null(rule);
    assert_string_equal(rule, "blurred");
    lk_aligned_free(&face, 1);
    lk_image_free(&photo);
    lk_image_free(&small);
    lk_image_free(&blurred);
}

static void several_faces_are_chosen_from(void **state)
{
    (void)state;
    NEED_PHOTOS();
    lk_image photo = load_photo("multi_face.jpg");
    lk_aligned faces[LK_MAX_FACES];
    lk_aligner *aligner;
    int count;
    const char *rejected;
    lk_align_options options = lenient();
    static const lk_face_choice choices[] = {LK_FACE_CENTRAL, LK_FACE_ALL, LK_FACE_ONE, LK_FACE_ERROR};
    static const int counts[] = {1, 4, 0, 0};
    for (int i = 0; i < 4; i++) {
        options.faces = choices[i];
        assert_int_equal(lk_aligner_create(model, &options, &aligner), LK_OK);
        lk_status status = lk_align(aligner, &photo, faces, &count, &rejected);
        assert_int_equal(status, choices[i] == LK_FACE_ERROR ? LK_BAD_DATA : LK_OK);
        assert_int_equal(count, counts[i]);
        if (choices[i] == LK_FACE_ONE)
            assert_string_equal(rejected, "several faces");
        lk_aligned_free(faces, count);
        lk_aligner_free(aligner);
    }
    lk_image_free(&photo);
}

static void a_missing_model_is_told(void **state)
{
    (void)state;
    lk_face_model *none;
    assert_fails(lk_face_model_open("not-there.dat", &none), LK_BAD_DATA, "not-there.dat");
    assert_int_equal(lk_write_file("garbage.dat", "garbage garbage garbage", 23), LK_OK);
    assert_int_equal(lk_face_model_open("garbage.dat", &none), LK_BAD_DATA);
    assert_null(none);
}

/* Pictures of every small size, and noise: no crash. */
static void odd_pictures_have_no_face(void **state)
{
    (void)state;
    lk_align_options options = lenient();
    lk_aligned face;
    static const int sizes[][2] = {{1, 1}, {1, 500}, {700, 1}, {2, 3}, {79, 81}, {301, 299}, {640, 7}};
    for (int i = 0; i < 7; i++) {
        lk_image image = chart(sizes[i][0], sizes[i][1]);
        assert_string_equal(align_one(&image, &options, &face), "no face");
        lk_image_free(&image);
    }
}

static int prepare(void **state)
{
    (void)state;
    if (lk_face_model_open(NULL, &model) != LK_OK || lk_face_finder_create(model, &finder) != LK_OK) {
        print_message("%s\n", lk_error_text());
        return 1;
    }
    return 0;
}

static int clean(void **state)
{
    (void)state;
    lk_face_finder_free(finder);
    lk_face_model_close(model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(eyes_land_at_their_places),
        cmocka_unit_test(whole_pixels_are_copied_and_borders_reflected),
        cmocka_unit_test(shrinking_does_not_alias),
        cmocka_unit_test(absurd_crops_are_refused),
        cmocka_unit_test(exif_turns_every_way),
        cmocka_unit_test(orientation_is_found_wherever_programs_put_it),
        cmocka_unit_test(few_texts_are_searched_for_the_orientation),
        cmocka_unit_test(eyes_of_photos_land_at_their_places),
        cmocka_unit_test(turning_and_scaling_change_little),
        cmocka_unit_test(faces_break_rules),
        cmocka_unit_test(several_faces_are_chosen_from),
        cmocka_unit_test(a_missing_model_is_told),
        cmocka_unit_test(odd_pictures_have_no_face),
    };
    return cmocka_run_group_tests(tests, prepare, clean);
}
