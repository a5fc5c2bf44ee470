#include "launch/serve/service.h"

#include "base/log.h"
#include "base/version.h"
#include "dataset/align/exif.h"
#include "launch/serve/batch.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/predictor.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct lk_service {
    lk_service_options options;
    lk_counts *counts;
    lk_predictor *predictor;
    const lk_schema *schema;
    int edge; /* of crops */
    lk_workbench *bench;
    lk_batch *batch;
};

/* ---- opening ---- */

static lk_status open_all(lk_service *s)
{
    LK_TRY(lk_predictor_open(s->options.model, s->options.decoder, s->options.device, s->options.threads, &s->predictor));
    s->schema = lk_predictor_schema(s->predictor);
    s->edge = lk_predictor_size(s->predictor);
    lk_workbench_options bench = s->options.bench;
    bench.sets = s->options.threads;
    bench.align.size = s->edge;
    LK_TRY(lk_workbench_open(&bench, s->schema, &s->bench));
    return lk_batch_open(s->predictor, s->options.threads, s->counts, &s->batch);
}

lk_status lk_service_open(const lk_service_options *options, lk_counts *counts, lk_service **out)
{
    *out = NULL;
    lk_service *s = calloc(1, sizeof *s);
    if (!s)
        return lk_fail(LK_INTERNAL, "out of memory");
    s->options = *options;
    s->counts = counts;
    lk_status status = open_all(s);
    if (status == LK_OK) {
        *out = s;
        return LK_OK;
    }
    lk_error error;
    lk_error_take(&error, status);
    lk_service_close(s);
    return lk_error_put(&error);
}

void lk_service_close(lk_service *s)
{
    if (!s)
        return;
    lk_batch_close(s->batch);
    lk_workbench_close(s->bench);
    lk_predictor_close(s->predictor);
    free(s);
}

/* ---- one face ---- */

/* The buffers of one request, in one piece of memory. */
typedef struct face {
    uint8_t *crop, *decoded, *client; /* [S,S,3] */
    float *continuous, *certainty;
    uint8_t *discrete;
    json_t *quality; /* NULL: it was aligned already */
} face;

static lk_status face_allocate(const lk_service *s, face *f)
{
    size_t picture = (size_t)s->edge * (size_t)s->edge * 3, nc = (size_t)s->schema->continuous_count;
    size_t groups = (size_t)s->schema->group_count;
    f->continuous = calloc(1, (nc + groups) * sizeof(float) + 3 * picture + groups);
    if (!f->continuous)
        return lk_fail(LK_INTERNAL, "out of memory for a face");
    f->certainty = f->continuous + nc;
    f->crop = (uint8_t *)(f->certainty + groups);
    f->decoded = f->crop + picture;
    f->client = f->decoded + picture;
    f->discrete = f->client + picture;
    return LK_OK;
}

static void face_free(face *f)
{
    free(f->continuous);
    json_decref(f->quality);
}

/* ---- from the photo to the crop ---- */

static void refuse_photo(lk_service *s, const char *rule, lk_answer *answer)
{
    static const struct {
        const char *rule, *sentence;
    } table[] = {
        {"no face",
         "no face was found: send a photo in which a face is seen from the front, upright and at least 80 pixels wide"},
        {"too small", "the face has too few pixels: send a photo that is larger or taken from nearer (--max-enlarge)"},
        {"turned away", "the face looks too far to the side: send a photo that is taken from the front (--max-turn)"},
        {"cut off", "too much of the face lies outside of the photo: send one that shows it whole (--max-outside)"},
        {"blurred", "the face is blurred: send a sharper photo (--min-sharpness)"},
    };
    lk_counts_add(s->counts, LK_COUNT_photos_without_face_total, 1);
    const char *sentence = rule;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strcmp(table[i].rule, rule) == 0)
            sentence = table[i].sentence;
    lk_answer_refusal(answer, rule, sentence);
}

static json_t *quality_of(const lk_aligned *aligned)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "enlarge", aligned->enlarge, "turn", aligned->turn, "roll", aligned->roll,
                     "sharpness", aligned->sharpness, "outside", aligned->outside);
}

static void align(lk_service *s, lk_tools *tools, const lk_image *image, face *f, lk_answer *answer)
{
    lk_aligned faces[LK_MAX_FACES];
    int count = 0;
    const char *rejected = NULL;
    lk_status status = lk_align(lk_tools_aligner(tools), image, faces, &count, &rejected);
    if (!rejected && count > 0)
        rejected = faces[0].rejected;
    if (status != LK_OK) {
        lk_answer_failure(answer, 422, status);
    } else if (rejected || count == 0) {
        refuse_photo(s, rejected ? rejected : "no face", answer);
    } else {
        memcpy(f->crop, faces[0].crop, (size_t)s->edge * (size_t)s->edge * 3);
        f->quality = quality_of(&faces[0]);
    }
    lk_aligned_free(faces, count);
}

/* An answer is made only where there is no crop. */
static void find_crop(lk_service *s, const uint8_t *body, size_t size, bool aligned, face *f, lk_answer *answer)
{
    int64_t pixels = lk_image_pixels(body, size);
    if (size == 0) {
        lk_answer_error(answer, 400, "the body is empty; POST the bytes of a JPEG or PNG");
        return;
    }
    if (pixels > s->options.max_pixels) {
        lk_answer_error(answer, 413, "the photo has %lld pixels; at most %lld are read (--max-pixels): send a smaller one",
                        (long long)pixels, (long long)s->options.max_pixels);
        return;
    }
    lk_tools *tools = lk_workbench_take(s->bench, (int64_t)size + LK_ALIGNING_COST * pixels);
    lk_image image = {0};
    lk_status status = lk_photo_decode(body, size, s->options.max_pixels, "the photo", &image);
    if (status == LK_OK && aligned)
        status = lk_take_crop(&image, s->edge, "the photo", f->crop);
    if (status != LK_OK)
        lk_answer_failure(answer, 400, status);
    else if (!aligned)
        align(s, tools, &image, f, answer);
    lk_image_free(&image);
    lk_workbench_give(s->bench, tools);
}

/* ---- pictures ---- */

/* The server's own client failed, not the request: 502, and the log has the sentence. */
static void answer_drawing(lk_answer *answer, lk_status status)
{
    if (status == LK_USAGE) {
        lk_answer_error(answer, 404, "this server has no client that knows the schema; it was started without --client");
    } else if (status == LK_BAD_DATA) {
        lk_warn("%s", lk_error_text());
        lk_answer_error(answer, 502, "the game client did not draw the face; the server's log says why");
    } else {
        lk_answer_failure(answer, 500, status);
    }
}

static bool need_client(const lk_service *s, const lk_query *q)
{
    return q->wanted[LK_SERVE_client] || (q->wanted[LK_SERVE_triptych] && lk_workbench_can_draw(s->bench));
}

static bool need_decoded(const lk_service *s, const lk_query *q)
{
    return lk_predictor_can_draw(s->predictor) && (q->wanted[LK_SERVE_decoded] || q->wanted[LK_SERVE_triptych]);
}

static lk_status add_picture(json_t *map, lk_serve_picture which, const lk_image *image)
{
    uint8_t *data;
    size_t size;
    LK_TRY(lk_image_encode_png(image, &data, &size));
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = malloc(size / 3 * 4 + 5);
    size_t used = 0;
    for (size_t i = 0; text && i < size; i += 3) {
        uint32_t three =
            (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0);
        for (int k = 0; k < 4; k++)
            text[used++] = i + (size_t)k > size ? '=' : digits[three >> (18 - 6 * k) & 63];
    }
    free(data);
    bool added = text && json_object_set_new(map, lk_serve_picture_names[which], json_stringn(text, used)) == 0;
    free(text);
    return added ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for a picture");
}

static lk_status add_triptych(const lk_service *s, const lk_query *q, const face *f, json_t *map)
{
    const uint8_t *parts[3];
    int count = 0;
    lk_image page = {0};
    parts[count++] = f->crop;
    if (need_decoded(s, q))
        parts[count++] = f->decoded;
    if (need_client(s, q))
        parts[count++] = f->client;
    LK_TRY(lk_lay_triptychs(s->edge, 1, count, parts, 1, &page));
    lk_status status = add_picture(map, LK_SERVE_triptych, &page);
    lk_image_free(&page);
    return status;
}

static lk_status add_pictures(const lk_service *s, const lk_query *q, const face *f, json_t *map)
{
    uint8_t *const pixels[] = {[LK_SERVE_crop] = f->crop, [LK_SERVE_decoded] = f->decoded, [LK_SERVE_client] = f->client};
    for (int i = 0; i < LK_SERVE_triptych; i++)
        if (q->wanted[i])
            LK_TRY(add_picture(map, (lk_serve_picture)i, &(lk_image){s->edge, s->edge, pixels[i]}));
    return q->wanted[LK_SERVE_triptych] ? add_triptych(s, q, f, map) : LK_OK;
}

/* Puts "pictures" into `root`, unless none is wanted; an answer is made only where that fails. */
static void draw_pictures(lk_service *s, const lk_query *q, face *f, json_t *root, lk_answer *answer)
{
    bool any = false;
    for (int i = 0; i < LK_SERVE_PICTURE_COUNT; i++)
        any = any || q->wanted[i];
    if (!any)
        return;
    json_t *map = json_object();
    lk_tools *tools = lk_workbench_take(s->bench, 0);
    lk_status status = need_client(s, q) ? lk_tools_draw(tools, false, f->continuous, f->discrete, f->client) : LK_OK;
    if (status != LK_OK)
        answer_drawing(answer, status);
    else if ((status = add_pictures(s, q, f, map)) != LK_OK)
        lk_answer_failure(answer, 500, status);
    lk_workbench_give(s->bench, tools);
    json_object_set_new(root, "pictures", map);
}

/* ---- the requests ---- */

static void predict(lk_service *s, const uint8_t *body, size_t size, const lk_query *q, face *f, lk_answer *answer)
{
    lk_status status = face_allocate(s, f);
    if (status != LK_OK) {
        lk_answer_failure(answer, 500, status);
        return;
    }
    find_crop(s, body, size, q->aligned, f, answer);
    if (answer->code)
        return;
    status =
        lk_batch_predict(s->batch, f->crop, f->continuous, f->discrete, f->certainty, need_decoded(s, q) ? f->decoded : NULL);
    json_t *root = status == LK_OK ? lk_prediction_to_json(s->schema, f->continuous, f->discrete, f->certainty) : NULL;
    if (!root) {
        lk_answer_failure(answer, 500, status == LK_OK ? lk_fail(LK_INTERNAL, "out of memory for an answer") : status);
        return;
    }
    if (f->quality)
        json_object_set(root, "quality", f->quality);
    draw_pictures(s, q, f, root, answer);
    if (answer->code)
        json_decref(root);
    else
        lk_answer_json(answer, root);
}

void lk_service_predict(lk_service *s, const uint8_t *body, size_t size, const lk_query *q, lk_answer *answer)
{
    face f = {0};
    if (q->wanted[LK_SERVE_decoded] && !lk_predictor_can_draw(s->predictor))
        lk_answer_error(answer, 404, "this server has no decoder, so it has no decoded faces; it was started without --decoder");
    else
        predict(s, body, size, q, &f, answer);
    face_free(&f);
}

static void answer_png(lk_service *s, uint8_t *pixels, lk_answer *answer)
{
    uint8_t *data;
    size_t size;
    int edge = s->options.bench.size;
    lk_status status = lk_image_encode_png(&(lk_image){edge, edge, pixels}, &data, &size);
    if (status == LK_OK)
        lk_answer_data(answer, "image/png", data, size);
    else
        lk_answer_failure(answer, 500, status);
}

void lk_service_render(lk_service *s, const uint8_t *body, size_t size, const lk_query *q, lk_answer *answer)
{
    size_t edge = (size_t)s->options.bench.size;
    face f = {0};
    (void)q;
    lk_tools *tools = lk_workbench_take(s->bench, 0); /* a tree of JSON can be large, too */
    uint8_t *pixels = malloc(edge * edge * 3);
    lk_status status = pixels ? face_allocate(s, &f) : lk_fail(LK_INTERNAL, "out of memory for a picture");
    if (status == LK_OK)
        status = lk_read_face(s->schema, (const char *)body, size, f.continuous, f.discrete);
    if (status != LK_OK)
        lk_answer_failure(answer, 400, status);
    else if ((status = lk_tools_draw(tools, true, f.continuous, f.discrete, pixels)) != LK_OK)
        answer_drawing(answer, status);
    else
        answer_png(s, pixels, answer);
    lk_workbench_give(s->bench, tools);
    free(pixels);
    face_free(&f);
}

void lk_service_mhm(lk_service *s, const uint8_t *body, size_t size, const lk_query *q, lk_answer *answer)
{
    face f = {0};
    char *text = NULL;
    size_t length = 0;
    (void)q;
    lk_tools *tools = lk_workbench_take(s->bench, 0);
    lk_status status = face_allocate(s, &f);
    if (status == LK_OK)
        status = lk_read_face(s->schema, (const char *)body, size, f.continuous, f.discrete);
    if (status != LK_OK)
        lk_answer_failure(answer, 400, status);
    else if ((status = lk_tools_mhm(tools, f.continuous, f.discrete, &text, &length)) == LK_USAGE)
        lk_answer_error(answer, 404, "a group of the schema '%s' has spaces in its name, so there are no .mhm files of it",
                        s->schema->name);
    else if (status != LK_OK)
        lk_answer_failure(answer, 500, status);
    else
        lk_answer_data(answer, "text/plain; charset=utf-8", text, length);
    lk_workbench_give(s->bench, tools);
    face_free(&f);
}

static double decimal(float value)
{
    char text[LK_FLOAT_TEXT];
    lk_float_text(value, text);
    return strtod(text, NULL);
}

void lk_service_schema(lk_service *s, lk_answer *answer)
{
    json_t *continuous = json_array(), *discrete = json_array(), *pictures = json_array();
    for (int i = 0; i < s->schema->continuous_count; i++) {
        const lk_continuous *c = &s->schema->continuous[i];
        json_array_append_new(continuous, json_pack("{s:s, s:f, s:f, s:f}", "name", c->name, "min", decimal(c->min), "max",
                                                    decimal(c->max), "default", decimal(c->default_value)));
    }
    for (int g = 0; g < s->schema->group_count; g++) {
        const lk_choice_group *group = &s->schema->groups[g];
        json_t *choices = json_array();
        for (int i = 0; i < group->count; i++)
            json_array_append_new(choices, json_string(group->choices[i]));
        json_array_append_new(discrete, json_pack("{s:s, s:o}", "name", group->name, "choices", choices));
    }
    const bool there[] = {[LK_SERVE_crop] = true,
                          [LK_SERVE_decoded] = lk_predictor_can_draw(s->predictor),
                          [LK_SERVE_client] = lk_workbench_can_draw(s->bench),
                          [LK_SERVE_triptych] = true};
    for (int i = 0; i < LK_SERVE_PICTURE_COUNT; i++)
        if (there[i])
            json_array_append_new(pictures, json_string(lk_serve_picture_names[i]));
    lk_answer_json(answer, json_pack("{s:s, s:i, s:i, s:s, s:o, s:o, s:o}", "name", s->schema->name, "crop_size", s->edge,
                                     "render_size", s->options.bench.size, "program", lk_program(), "pictures", pictures,
                                     "continuous", continuous, "discrete", discrete));
}
