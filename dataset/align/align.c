#include "dataset/align/align.h"

#include "dataset/crop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The upright view in which landmarks are placed again: its edge, its scale beside the crop's, and where dlib's box lies round
 * the eyes on average, in eye distances (the mean over the detections of upright photos). */
enum { VIEW = 256, REFINEMENTS = 2, BOXES = 3 };
static const double view_zoom = 0.66;
static const double box_side = 2.45, box_drop = 0.49;
/* Photos are halved for the detector while their longer edge stays above this. */
enum { COARSEST = 300 };

struct lk_aligner {
    const lk_face_model *model;
    lk_align_options options;
    lk_face_finder *finder;
    uint8_t view[VIEW * VIEW * 3];
    uint8_t view_grey[VIEW * VIEW];
};

lk_status lk_aligner_create(const lk_face_model *model, const lk_align_options *options, lk_aligner **out)
{
    *out = NULL;
    lk_aligner *aligner = calloc(1, sizeof *aligner);
    if (!aligner)
        return lk_fail(LK_INTERNAL, "out of memory for the alignment");
    aligner->model = model;
    aligner->options = *options;
    lk_status status = lk_face_finder_create(model, &aligner->finder);
    if (status != LK_OK) {
        free(aligner);
        return status;
    }
    *out = aligner;
    return LK_OK;
}

void lk_aligner_free(lk_aligner *aligner)
{
    if (!aligner)
        return;
    lk_face_finder_free(aligner->finder);
    free(aligner);
}

void lk_aligned_free(lk_aligned *faces, int count)
{
    for (int i = 0; i < count; i++) {
        free(faces[i].crop);
        faces[i].crop = NULL;
    }
}

static lk_point mean_of_six(const lk_point *p)
{
    lk_point sum = {0, 0};
    for (int i = 0; i < 6; i++) {
        sum.x += p[i].x / 6;
        sum.y += p[i].y / 6;
    }
    return sum;
}

void lk_eye_centres(const lk_point landmarks[LK_LANDMARKS], lk_point *left, lk_point *right)
{
    *left = mean_of_six(landmarks + 36);
    *right = mean_of_six(landmarks + 42);
}

/* A point where the left eye is 0 and the right eye 1 of the complex numbers. */
static lk_point between_eyes(lk_point p, lk_point left, lk_point right)
{
    double ex = right.x - left.x, ey = right.y - left.y, x = p.x - left.x, y = p.y - left.y, square = ex * ex + ey * ey;
    return (lk_point){(x * ex + y * ey) / square, (y * ex - x * ey) / square};
}

double lk_landmark_distance(const lk_point a[LK_LANDMARKS], const lk_point b[LK_LANDMARKS])
{
    lk_point a_left, a_right, b_left, b_right;
    double sum = 0;
    lk_eye_centres(a, &a_left, &a_right);
    lk_eye_centres(b, &b_left, &b_right);
    for (int i = 0; i < LK_LANDMARKS; i++) {
        lk_point p = between_eyes(a[i], a_left, a_right), q = between_eyes(b[i], b_left, b_right);
        sum += hypot(p.x - q.x, p.y - q.y);
    }
    return sum / LK_LANDMARKS;
}

lk_similarity lk_crop_frame(lk_point left, lk_point right, int size)
{
    double apart = (1.0 - 2.0 * LK_EYE_LEFT_X) * size;
    lk_similarity map = {.a = (right.x - left.x) / apart, .b = (right.y - left.y) / apart};
    lk_point moved = lk_similarity_apply(&map, (lk_point){LK_EYE_LEFT_X * size, LK_EYE_Y * size});
    map.x = left.x - moved.x;
    map.y = left.y - moved.y;
    return map;
}

/* ---- finding ---- */

/* Halves a grey picture in place; an odd last row or column is dropped. */
static void halve(uint8_t *pixels, int *width, int *height)
{
    int w = *width / 2, h = *height / 2;
    for (int y = 0; y < h; y++) {
        const uint8_t *above = pixels + (size_t)(2 * y) * (size_t)*width, *below = above + *width;
        uint8_t *to = pixels + (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++)
            to[x] = (uint8_t)((above[2 * x] + above[2 * x + 1] + below[2 * x] + below[2 * x + 1] + 2) / 4);
    }
    *width = w;
    *height = h;
}

static double area(const lk_face_box *b)
{
    return fmax(b->right - b->left, 0) * fmax(b->bottom - b->top, 0);
}

/* Two boxes are one face when the smaller is more than half covered. */
static int same_face(const lk_face_box *a, const lk_face_box *b)
{
    lk_face_box common = {fmax(a->left, b->left), fmax(a->top, b->top), fmin(a->right, b->right), fmin(a->bottom, b->bottom), 0};
    return area(&common) > 0.5 * fmin(area(a), area(b));
}

/* Keeps the surest box of each face; boxes come the surest first. */
static int merge(lk_face_box *boxes, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++) {
        int known = 0;
        for (int k = 0; k < kept; k++)
            known |= same_face(&boxes[k], &boxes[i]);
        if (!known)
            boxes[kept++] = boxes[i];
    }
    return kept;
}

/* Looks at one scale: the photo halved `halvings` times. Boxes are in photo pixels. */
static lk_status find_at(lk_aligner *aligner, const lk_image *photo, int halvings, lk_face_box boxes[LK_MAX_FACES], int *count)
{
    size_t pixels = (size_t)photo->width * (size_t)photo->height;
    uint8_t *grey = malloc(pixels);
    if (!grey)
        return lk_fail(LK_INTERNAL, "out of memory for a photo of %d x %d", photo->width, photo->height);
    lk_luma(photo->pixels, pixels, grey);
    int width = photo->width, height = photo->height;
    for (int i = 0; i < halvings; i++)
        halve(grey, &width, &height);
    lk_status status = LK_OK;
    *count = 0;
    if (width > 0 && height > 0)
        status = lk_face_find(aligner->finder, &(lk_grey){width, height, grey}, boxes, count);
    free(grey);
    double scale = 1 << halvings;
    for (int i = 0; i < *count; i++) {
        boxes[i].left *= scale;
        boxes[i].top *= scale;
        boxes[i].right *= scale;
        boxes[i].bottom *= scale;
    }
    *count = merge(boxes, *count);
    return status;
}

static lk_status find_faces(lk_aligner *aligner, const lk_image *photo, lk_face_box boxes[LK_MAX_FACES], int *count)
{
    int longer = photo->width > photo->height ? photo->width : photo->height;
    int halvings = 0;
    while (longer >> (halvings + 1) >= COARSEST)
        halvings++;
    /* Where every face counts, the small ones must be seen too. */
    if (aligner->options.faces != LK_FACE_CENTRAL)
        halvings = 0;
    *count = 0;
    for (; halvings >= 0 && *count == 0; halvings--)
        LK_TRY(find_at(aligner, photo, halvings, boxes, count));
    return LK_OK;
}

/* Large and near the middle: a face that fills half the height but stands at the border loses to a quarter in the middle. */
static double prominence(const lk_face_box *box, const lk_image *photo)
{
    double x = (box->left + box->right) / photo->width - 1.0, y = (box->top + box->bottom) / photo->height - 1.0;
    return area(box) * (1.0 - 0.5 * fmin(hypot(x, y), 1.0));
}

static void sort_by_prominence(lk_face_box *boxes, int count, const lk_image *photo)
{
    for (int i = 1; i < count; i++)
        for (int k = i; k > 0 && prominence(&boxes[k], photo) > prominence(&boxes[k - 1], photo); k--) {
            lk_face_box swapped = boxes[k];
            boxes[k] = boxes[k - 1];
            boxes[k - 1] = swapped;
        }
}

/* ---- placing ---- */

/* The map from the view, in which the face of `frame` stands upright at normal scale, to the photo. */
static lk_similarity view_of(const lk_similarity *frame, int size)
{
    double zoom = size / (view_zoom * VIEW);
    lk_similarity inner = {.a = zoom, .x = 0.5 * size - 0.5 * zoom * VIEW, .y = 0.55 * size - 0.5 * zoom * VIEW};
    return lk_similarity_compose(frame, &inner);
}

/* Places landmarks in the view of `frame`, with the box where it lies on average round eyes at their places. They are the mean
 * over `count` boxes that differ a little, since a step of the landmarks' trees is a jump of a pixel or two. */
static lk_status place(lk_aligner *aligner, const lk_image *photo, const lk_similarity *frame, int count,
                       lk_point landmarks[LK_LANDMARKS])
{
    int size = aligner->options.size;
    lk_similarity view = view_of(frame, size);
    LK_TRY(lk_warp_rough(photo, &view, VIEW, aligner->view));
    lk_luma(aligner->view, VIEW * VIEW, aligner->view_grey);
    double unit = view_zoom * VIEW; /* pixels of the view to one crop edge */
    double eye = (1.0 - 2.0 * LK_EYE_LEFT_X) * unit;
    double x = 0.5 * VIEW, y = 0.5 * VIEW + (LK_EYE_Y - 0.55) * unit + box_drop * eye;
    memset(landmarks, 0, LK_LANDMARKS * sizeof *landmarks);
    for (int k = 0; k < count; k++) {
        double half = 0.5 * box_side * eye * (1.0 + 0.04 * (k - 0.5 * (count - 1)));
        lk_face_box box = {x - half, y - half, x + half, y + half, 0};
        lk_point points[LK_LANDMARKS];
        LK_TRY(lk_face_landmarks(aligner->model, &(lk_grey){VIEW, VIEW, aligner->view_grey}, &box, points));
        for (int i = 0; i < LK_LANDMARKS; i++) {
            landmarks[i].x += points[i].x / count;
            landmarks[i].y += points[i].y / count;
        }
    }
    for (int i = 0; i < LK_LANDMARKS; i++)
        landmarks[i] = lk_similarity_apply(&view, landmarks[i]);
    return LK_OK;
}

lk_status lk_align_landmarks(lk_aligner *aligner, const lk_image *picture, const lk_similarity *frame,
                             lk_point landmarks[LK_LANDMARKS])
{
    const lk_similarity whole = {.a = (double)picture->width / aligner->options.size};
    return place(aligner, picture, frame ? frame : &whole, BOXES, landmarks);
}

/* The first guess: the detector's box taken as the average box of an upright face. */
static lk_similarity frame_of_box(const lk_face_box *box, int size)
{
    double eye = 0.5 * (box->right - box->left + box->bottom - box->top) / box_side;
    double x = 0.5 * (box->left + box->right), y = 0.5 * (box->top + box->bottom) - box_drop * eye;
    return lk_crop_frame((lk_point){x - eye / 2, y}, (lk_point){x + eye / 2, y}, size);
}

static lk_status locate(lk_aligner *aligner, const lk_image *photo, lk_aligned *face)
{
    int size = aligner->options.size;
    face->frame = frame_of_box(&face->box, size);
    for (int i = 0; i < REFINEMENTS; i++) {
        LK_TRY(place(aligner, photo, &face->frame, i < REFINEMENTS - 1 ? 1 : BOXES, face->landmarks));
        lk_point left, right;
        lk_eye_centres(face->landmarks, &left, &right);
        if (hypot(right.x - left.x, right.y - left.y) < 1.0) {
            face->rejected = "too small";
            return LK_OK;
        }
        face->frame = lk_crop_frame(left, right, size);
    }
    face->enlarge = 1.0 / lk_similarity_scale(&face->frame);
    face->roll = atan2(face->frame.b, face->frame.a) * 180.0 / M_PI;
    face->turn = lk_face_turn(face->landmarks);
    return LK_OK;
}

/* The share of the crop that lies outside the photo, from 32 x 32 points. */
static double share_outside(const lk_image *photo, const lk_similarity *frame, int size)
{
    enum { GRID = 32 };
    int outside = 0;
    for (int i = 0; i < GRID * GRID; i++) {
        lk_point at = {(i % GRID + 0.5) * size / GRID, ((double)(i / GRID) + 0.5) * size / GRID};
        lk_point p = lk_similarity_apply(frame, at);
        outside += p.x < 0 || p.y < 0 || p.x > photo->width || p.y > photo->height;
    }
    return outside / (double)(GRID * GRID);
}

static lk_status align_face(lk_aligner *aligner, const lk_image *photo, lk_aligned *face)
{
    const lk_align_options *o = &aligner->options;
    LK_TRY(locate(aligner, photo, face));
    if (!face->rejected && face->enlarge > o->max_enlarge)
        face->rejected = "too small";
    if (!face->rejected && face->turn > o->max_turn)
        face->rejected = "turned away";
    face->outside = share_outside(photo, &face->frame, o->size);
    if (!face->rejected && face->outside > o->max_outside)
        face->rejected = "cut off";
    if (face->rejected)
        return LK_OK;
    face->crop = malloc((size_t)o->size * (size_t)o->size * 3);
    if (!face->crop)
        return lk_fail(LK_INTERNAL, "out of memory for a crop of %d x %d", o->size, o->size);
    LK_TRY(lk_warp(photo, &face->frame, o->size, face->crop));
    LK_TRY(lk_sharpness(face->crop, o->size, &face->sharpness));
    if (face->sharpness < o->min_sharpness)
        face->rejected = "blurred";
    return LK_OK;
}

lk_status lk_align(lk_aligner *aligner, const lk_image *photo, lk_aligned faces[LK_MAX_FACES], int *count, const char **rejected)
{
    lk_face_box boxes[LK_MAX_FACES];
    int found = 0;
    *count = 0;
    *rejected = NULL;
    LK_TRY(find_faces(aligner, photo, boxes, &found));
    sort_by_prominence(boxes, found, photo);
    if (found == 0) {
        *rejected = "no face";
        return LK_OK;
    }
    if (found > 1 && aligner->options.faces == LK_FACE_ONE) {
        *rejected = "several faces";
        return LK_OK;
    }
    if (found > 1 && aligner->options.faces == LK_FACE_ERROR)
        return lk_fail(LK_BAD_DATA, "has %d faces, one is allowed; take the picture out or choose --faces central, all or one",
                       found);
    int wanted = aligner->options.faces == LK_FACE_ALL ? found : 1;
    for (int i = 0; i < wanted; i++) {
        faces[i] = (lk_aligned){.box = boxes[i]};
        lk_status status = align_face(aligner, photo, &faces[i]);
        if (status != LK_OK) {
            lk_aligned_free(faces, i + 1);
            return status;
        }
    }
    *count = wanted;
    return LK_OK;
}
