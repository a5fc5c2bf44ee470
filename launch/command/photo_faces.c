#include "launch/command/photo_faces.h"

#include "base/log.h"
#include "base/thread.h"
#include "dataset/align/exif.h"
#include "dataset/client/other.h"
#include "trainer/evaluate/predictor.h"
#include "trainer/tensor/tensor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Faces that go through the networks together; lines that may wait for them. */
enum { BATCH = 32, LINES = 256 };

/* What a photo gave. */
typedef struct findings {
    char *refused; /* the whole photo */
    int count;
    lk_aligned faces[LK_MAX_FACES];
    uint8_t *extra; /* [count] of calls->extra_bytes */
} findings;

typedef struct faces_run {
    const lk_photo_options *options;
    const lk_photo_calls *calls;
    const char *model_path;
    lk_photo_setup setup;
    lk_predictor *predictor;
    lk_face_model *model; /* NULL: not looked for */

    lk_photo_face lines[LINES];
    int line_count, face_count;
    lk_photo_face *faces[BATCH];      /* those of the lines that are faces */
    uint8_t *crops, *decoded, *drawn; /* [BATCH,S,S,3] */
    float *continuous, *certainty;
    uint8_t *discrete, *extra;
    int64_t total;
} faces_run;

static size_t picture_bytes(const faces_run *run)
{
    return (size_t)run->setup.size * (size_t)run->setup.size * 3;
}

/* ---- one photo, on a thread of the walk ---- */

static void forget(void *made)
{
    findings *f = made;
    lk_aligned_free(f->faces, f->count);
    free(f->refused);
    free(f->extra);
    free(f);
}

static lk_status take_crop(const faces_run *run, const lk_photo *p, const lk_image *image, findings *f)
{
    f->count = 1;
    f->faces[0].crop = malloc(picture_bytes(run));
    if (!f->faces[0].crop)
        return lk_fail(LK_INTERNAL, "out of memory for a crop");
    return lk_take_crop(image, run->setup.size, p->origin, f->faces[0].crop);
}

static lk_status look(const faces_run *run, lk_aligner *aligner, const lk_image *image, findings *f)
{
    const lk_photo_calls *calls = run->calls;
    f->extra = calloc((size_t)f->count + 1, calls->extra_bytes + 1);
    if (!f->extra)
        return lk_fail(LK_INTERNAL, "out of memory for %d faces", f->count);
    for (int k = 0; k < f->count; k++)
        if (!f->faces[k].rejected)
            LK_TRY(calls->look(calls->context, aligner, image, run->options->aligned ? NULL : &f->faces[k],
                               f->extra + (size_t)k * calls->extra_bytes));
    return LK_OK;
}

static lk_status find_faces(const faces_run *run, const lk_photo *p, lk_aligner *aligner, findings *f)
{
    bool aligned = run->options->aligned;
    lk_image image = {0};
    const char *rejected = NULL;
    LK_TRY(lk_photo_decode(p->data, p->size, LK_PHOTO_PIXELS, p->origin, &image));
    lk_status status = aligned ? take_crop(run, p, &image, f) : lk_align(aligner, &image, f->faces, &f->count, &rejected);
    if (status == LK_OK && run->calls->look)
        status = look(run, aligner, &image, f);
    lk_image_free(&image);
    if (status != LK_OK && !aligned)
        return lk_fail_in(status, "%s", p->origin);
    if (rejected && !(f->refused = strdup(rejected)))
        return lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    return status;
}

/* A photo that cannot be read is a line, not the end of all others; but several faces under --faces error are. */
static void work(void *context, lk_photo *p, lk_aligner *aligner)
{
    const faces_run *run = context;
    findings *f = p->made = calloc(1, sizeof *f);
    lk_status status = f ? find_faces(run, p, aligner, f) : lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    if (status == LK_BAD_DATA && run->options->align.faces != LK_FACE_ERROR) {
        f->refused = strdup(lk_error_text());
        status = f->refused ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    }
    if (status != LK_OK)
        lk_error_take(&p->error, status);
}

/* ---- a batch ---- */

static lk_status hand_to_thread(void *context, int64_t i, int worker)
{
    const faces_run *run = context;
    return run->calls->face(run->calls->context, run->faces[i], worker);
}

static void free_lines(faces_run *run)
{
    for (int i = 0; i < run->line_count; i++) {
        free(run->lines[i].photo);
        free(run->lines[i].refused);
    }
    run->line_count = run->face_count = 0;
}

static lk_status finish_batch(faces_run *run)
{
    int n = run->face_count;
    lk_status status = LK_OK;
    if (n > 0) {
        LK_TRY_OR(done, lk_predict(run->predictor, n, run->crops, run->continuous, run->discrete, run->certainty));
        if (run->setup.can_draw)
            LK_TRY_OR(done, lk_predictor_draw(run->predictor, n, run->continuous, run->discrete, run->decoded));
        LK_TRY_OR(done, lk_parallel_for(run->setup.threads, n, hand_to_thread, run));
    }
    for (int i = 0; i < run->line_count; i++)
        LK_TRY_OR(done, run->calls->line(run->calls->context, &run->lines[i]));
    run->total += n;
done:
    free_lines(run);
    return status;
}

/* `crop` NULL: refused. */
static lk_status add_line(faces_run *run, const lk_photo *p, const char *tail, const char *refused, const uint8_t *crop,
                          const uint8_t *extra)
{
    lk_photo_face *l = &run->lines[run->line_count];
    size_t i = (size_t)run->face_count, pixels = i * picture_bytes(run), groups = i * (size_t)run->setup.schema->group_count;
    *l = (lk_photo_face){.photo = strdup(p->origin), .refused = refused ? strdup(refused) : NULL};
    run->line_count++;
    if (!l->photo || (refused && !l->refused))
        return lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    snprintf(l->name, sizeof l->name, "%s%s", p->stem, tail);
    if (crop) {
        memcpy(run->crops + pixels, crop, picture_bytes(run));
        l->crop = run->crops + pixels;
        l->decoded = run->setup.can_draw ? run->decoded + pixels : NULL;
        l->drawn = run->drawn + pixels;
        l->continuous = run->continuous + i * (size_t)run->setup.schema->continuous_count;
        l->certainty = run->certainty + groups;
        l->discrete = run->discrete + groups;
        l->extra = run->extra + i * run->calls->extra_bytes;
        if (extra)
            memcpy(l->extra, extra, run->calls->extra_bytes);
        run->faces[run->face_count++] = l;
    }
    return run->line_count == LINES || run->face_count == BATCH ? finish_batch(run) : LK_OK;
}

static lk_status take(void *context, lk_photo *p)
{
    faces_run *run = context;
    const findings *f = p->made;
    if (p->error.status != LK_OK)
        return LK_OK;
    if (!f || f->refused)
        return add_line(run, p, "", f ? f->refused : p->unread, NULL, NULL);
    for (int k = 0; k < f->count; k++) {
        char tail[16] = "";
        if (run->options->align.faces == LK_FACE_ALL && !run->options->aligned)
            snprintf(tail, sizeof tail, "-%d", k + 1);
        const char *rejected = f->faces[k].rejected;
        LK_TRY(add_line(run, p, tail, rejected, rejected ? NULL : f->faces[k].crop,
                        f->extra ? f->extra + (size_t)k * run->calls->extra_bytes : NULL));
    }
    return LK_OK;
}

/* ---- the whole ---- */

static lk_status open_client(faces_run *run)
{
    const lk_photo_options *o = run->options;
    lk_photo_setup *s = &run->setup;
    const lk_client_choice choice = {.command = o->client,
                                     .assets = o->assets,
                                     .seconds = o->client_seconds,
                                     .folder = run->calls->folder,
                                     .size = run->calls->client_size ? run->calls->client_size : s->size};
    lk_status status = lk_any_client_open(s->schema, &choice, s->threads, &s->client);
    if (status == LK_OK || o->client)
        return status;
    lk_info("no client's faces: %s; --client names another client", lk_error_text());
    return LK_OK;
}

static bool needs_model(const faces_run *run)
{
    return !run->options->aligned || run->calls->look;
}

/* Half of what a single photo takes is waiting for these, so they are opened side by side. */
static lk_status open_part(void *context, int64_t part, int worker)
{
    faces_run *run = context;
    (void)worker;
    if (part == 1)
        return needs_model(run) ? lk_face_model_open(run->options->landmarks, &run->model) : LK_OK;
    LK_TRY(lk_predictor_open(run->model_path, run->options->decoder, run->options->device, run->setup.threads, &run->predictor));
    run->setup.schema = lk_predictor_schema(run->predictor);
    run->setup.size = lk_predictor_size(run->predictor);
    run->setup.can_draw = lk_predictor_can_draw(run->predictor);
    return open_client(run);
}

static lk_status allocate_batch(faces_run *run)
{
    size_t pixels = BATCH * picture_bytes(run);
    run->crops = malloc(pixels);
    run->decoded = malloc(pixels);
    run->drawn = malloc(pixels);
    run->continuous = malloc(BATCH * (size_t)run->setup.schema->continuous_count * sizeof *run->continuous);
    run->certainty = malloc(BATCH * (size_t)run->setup.schema->group_count * sizeof *run->certainty);
    run->discrete = malloc(BATCH * (size_t)run->setup.schema->group_count);
    run->extra = malloc(BATCH * run->calls->extra_bytes + 1);
    if (!run->extra || !run->crops || !run->decoded || !run->drawn || !run->continuous || !run->certainty || !run->discrete)
        return lk_fail(LK_INTERNAL, "out of memory for %d faces", BATCH);
    return LK_OK;
}

static lk_status walk_all(faces_run *run, char **paths, int count)
{
    const lk_photo_options *o = run->options;
    if (o->client)
        LK_TRY(lk_other_client_check(o->client));
    LK_TRY(lk_parallel_for(2, 2, open_part, run));
    LK_TRY(lk_tensor_start(run->setup.threads)); /* this thread computes, whichever opened the predictor */
    run->setup.model = run->model;
    LK_TRY(allocate_batch(run));
    LK_TRY(run->calls->begin(run->calls->context, &run->setup));
    lk_align_options align = o->align;
    align.size = run->setup.size;
    lk_photos photos = {.command = run->calls->command,
                        .output = ".png",
                        .folder = run->calls->folder,
                        .sheet = run->calls->sheet,
                        .align = needs_model(run) ? &align : NULL,
                        .model = run->model,
                        .threads = run->setup.threads,
                        .work = work,
                        .take = take,
                        .forget = forget,
                        .context = run};
    if (o->aligned || o->align.faces != LK_FACE_ALL) /* else all names end in the face's number or in a tail */
        memcpy(photos.tails, run->calls->tails, sizeof photos.tails);
    LK_TRY(lk_photos_run(&photos, paths, count));
    LK_TRY(finish_batch(run));
    LK_TRY(run->calls->finish(run->calls->context));
    if (run->total == 0)
        return lk_fail(LK_BAD_DATA, "%s: no face in %lld photos; the lines above say why", run->calls->command,
                       (long long)photos.count);
    return LK_OK;
}

lk_status lk_photo_faces_run(const lk_photo_options *options, const char *model, char **paths, int count,
                             const lk_photo_calls *calls)
{
    faces_run *run = calloc(1, sizeof *run);
    if (!run)
        return lk_fail(LK_INTERNAL, "out of memory");
    run->options = options;
    run->calls = calls;
    run->model_path = model;
    run->setup.threads = options->threads ? options->threads : lk_core_count();
    lk_status status = walk_all(run, paths, count);
    lk_error error;
    lk_error_take(&error, status);
    free_lines(run);
    lk_any_client_close(run->setup.client);
    lk_predictor_close(run->predictor);
    lk_face_model_close(run->model);
    void *const all[] = {run->crops, run->decoded, run->drawn, run->continuous, run->certainty, run->discrete, run->extra};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(run);
    return lk_error_put(&error);
}
