#include "launch/command/evaluate_photos.h"

#include "base/file.h"
#include "base/thread.h"
#include "dataset/pack/names.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/photo_evaluation.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The built-in client's pictures; faces of each column that are named; triptychs on the page. */
enum { CLIENT_SIZE = 256, NAMED = 20, SHEET_FACES = 1000 };

/* What is known of a face besides its parameters. */
typedef struct portrait {
    lk_point landmarks[LK_LANDMARKS];    /* in the photo */
    uint8_t chip[LK_CHIP * LK_CHIP * 3]; /* of the photo, where identity is measured */
    float descriptors[2][LK_DESCRIPTOR]; /* photo, client's picture */
    double distance;                     /* lk_landmark_distance of the two; NAN: no face in the picture */
    bool described;
} portrait;

typedef struct photos_run {
    const lk_evaluate_photos *values;
    const lk_photo_setup *setup;
    lk_seen *seen;
    lk_photo_evaluation result;
    lk_aligner **aligners;     /* [threads]: of the client's pictures */
    lk_describer **describers; /* [threads]; NULL: identity is not measured */
    uint8_t *pictures[3];      /* [count,S,S,3]: crop, D(p), client; NULL where there is none */
} photos_run;

static size_t picture_bytes(const photos_run *run)
{
    return (size_t)run->setup->size * (size_t)run->setup->size * 3;
}

/* ---- faces ---- */

/* What a thread needs to measure the client's pictures, in which any face counts. */
static lk_status open_instruments(photos_run *run)
{
    lk_align_options any = LK_ALIGN_DEFAULTS;
    any.size = CLIENT_SIZE;
    any.max_enlarge = INFINITY;
    any.max_turn = 180;
    any.min_sharpness = 0;
    any.max_outside = 1;
    int threads = run->setup->threads;
    run->aligners = calloc((size_t)threads, sizeof(lk_aligner *));
    if (!run->aligners)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", threads);
    for (int i = 0; i < threads; i++)
        LK_TRY(lk_aligner_create(run->setup->model, &any, &run->aligners[i]));
    for (int i = 1; run->describers && i < threads; i++)
        LK_TRY(lk_describer_copy(run->describers[0], &run->describers[i]));
    return LK_OK;
}

/* Before photos are looked at: who names a wrong file hears it at once. */
static lk_status open_describer(photos_run *run, int threads)
{
    if (!run->values->identity)
        return LK_OK;
    run->describers = calloc((size_t)threads, sizeof(lk_describer *));
    if (!run->describers)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", threads);
    return lk_describer_open(run->values->identity, &run->describers[0]);
}

static lk_status begin(void *context, const lk_photo_setup *setup)
{
    photos_run *run = context;
    run->setup = setup;
    if (run->values->table)
        LK_TRY(lk_seen_load(run->values->table, setup->schema, &run->seen));
    run->result = (lk_photo_evaluation){.schema = setup->schema, .seen = run->seen, .table = run->values->table};
    return open_instruments(run);
}

static lk_status look_at_photo(void *context, lk_aligner *aligner, const lk_image *photo, const lk_aligned *face, void *extra)
{
    const photos_run *run = context;
    portrait *p = extra;
    if (face)
        memcpy(p->landmarks, face->landmarks, sizeof p->landmarks);
    else
        LK_TRY(lk_align_landmarks(aligner, photo, NULL, p->landmarks));
    return run->describers ? lk_face_chip(photo->width, photo->height, photo->pixels, p->landmarks, p->chip) : LK_OK;
}

/* The built-in client keeps the eyes at their places; where another has them must be seen. */
static lk_status find_landmarks(const photos_run *run, lk_aligner *aligner, const lk_image *picture,
                                lk_point landmarks[LK_LANDMARKS], bool *found)
{
    lk_aligned faces[LK_MAX_FACES];
    const char *rejected = NULL;
    int count = 0;
    *found = true;
    if (!run->values->options.client)
        return lk_align_landmarks(aligner, picture, NULL, landmarks);
    LK_TRY(lk_align(aligner, picture, faces, &count, &rejected));
    *found = count > 0 && !faces[0].rejected;
    if (*found)
        memcpy(landmarks, faces[0].landmarks, sizeof faces[0].landmarks);
    lk_aligned_free(faces, count);
    return LK_OK;
}

static lk_status measure(const photos_run *run, int worker, const lk_image *picture, portrait *p)
{
    lk_point landmarks[LK_LANDMARKS];
    uint8_t chip[LK_CHIP * LK_CHIP * 3];
    bool found;
    p->distance = NAN;
    LK_TRY(find_landmarks(run, run->aligners[worker], picture, landmarks, &found));
    if (!found)
        return LK_OK;
    p->distance = lk_landmark_distance(p->landmarks, landmarks);
    if (!run->describers)
        return LK_OK;
    LK_TRY(lk_face_chip(picture->width, picture->height, picture->pixels, landmarks, chip));
    LK_TRY(lk_describe(run->describers[worker], p->chip, p->descriptors[0]));
    LK_TRY(lk_describe(run->describers[worker], chip, p->descriptors[1]));
    p->described = true;
    return LK_OK;
}

static lk_status draw_by_client(void *context, const lk_photo_face *face, int worker)
{
    const photos_run *run = context;
    lk_image image = {0};
    if (!run->setup->client)
        return LK_OK;
    LK_TRY(lk_any_client_draw(run->setup->client, worker, face->name, NULL, face->continuous, face->discrete, &image));
    lk_status status = lk_resize(&image, run->setup->size, face->drawn);
    if (status == LK_OK)
        status = measure(run, worker, &image, face->extra);
    lk_image_free(&image);
    return status;
}

/* The pictures of the face that is added next. */
static lk_status keep_pictures(photos_run *run, const lk_photo_face *face)
{
    const uint8_t *parts[3] = {face->crop, face->decoded, run->setup->client ? face->drawn : NULL};
    size_t count = (size_t)run->result.count, bytes = picture_bytes(run);
    for (int k = 0; k < 3; k++) {
        if (!parts[k])
            continue;
        uint8_t *larger = realloc(run->pictures[k], (count + 1) * bytes);
        if (!larger)
            return lk_fail(LK_INTERNAL, "out of memory for the pictures of %zu faces", count);
        run->pictures[k] = larger;
        memcpy(larger + count * bytes, parts[k], bytes);
    }
    return LK_OK;
}

static lk_status take_line(void *context, const lk_photo_face *face)
{
    photos_run *run = context;
    char name[4 * LK_FACE_NAME];
    if (face->refused)
        return lk_photo_evaluation_refuse(&run->result, face->photo, face->refused);
    lk_name_show(face->name, name, sizeof name);
    const portrait *p = face->extra;
    bool drawn = run->setup->client != NULL, described = drawn && p->described;
    const lk_photo_measured measured = {.landmarks = drawn ? p->distance : NAN,
                                        .photo = described ? p->descriptors[0] : NULL,
                                        .picture = described ? p->descriptors[1] : NULL};
    LK_TRY(keep_pictures(run, face));
    return lk_photo_evaluation_add(&run->result, name, face->photo, face->continuous, face->discrete, face->certainty, &measured);
}

/* ---- the result ---- */

static void print_wrong(const lk_photo_evaluation *e, int column)
{
    const lk_seen_column *c = &e->seen->columns[column];
    int wrong = e->judged[column] - e->right[column], told = 0;
    if (wrong == 0)
        return;
    printf("%s, wrong:", c->name);
    for (int i = 0; i < e->count && told < NAMED; i++)
        if (lk_photo_is_wrong(e, &e->faces[i], column))
            printf("%s %s %s", told++ ? "," : "", e->faces[i].name,
                   c->words[lk_seen_said(c, e->faces[i].continuous, e->faces[i].discrete)]);
    if (wrong > told)
        printf(", and %d more", wrong - told);
    puts("");
}

static void print_seen(const lk_photo_evaluation *e)
{
    printf("\n%-34s %9s %9s %9s\n", "what a person sees", "right", "faces", "accuracy");
    for (int c = 0; c < e->seen->column_count; c++)
        printf("%-34s %9d %9d %9.3f\n", e->seen->columns[c].name, e->right[c], e->judged[c], lk_photo_accuracy(e, c));
    printf("%-34s %9s %9s %9.3f\n\n", "mean", "", "", lk_mean_photo_accuracy(e));
    for (int c = 0; c < e->seen->column_count; c++)
        print_wrong(e, c);
    puts("");
    lk_reliability_print(&e->reliability);
    if (e->absent_count > 0)
        printf("%s: %d of %d rows are about no face, the first: %s\n", e->table, e->absent_count, e->seen->row_count,
               e->seen->faces[e->absent[0]]);
}

static void print_all(const photos_run *run)
{
    const lk_photo_evaluation *e = &run->result;
    printf("faces %d, refused %d\n", e->count, e->refused_count);
    for (int i = 0; i < e->refused_count && i < NAMED; i++)
        printf("refused: %s: %s\n", e->refused[i].photo, e->refused[i].why);
    if (e->seen && e->count > 0)
        print_seen(e);
    if (e->measured > 0)
        printf("\nlandmarks of photo and client's picture: median distance %.4f eye distances, %d faces\n", e->landmarks,
               e->measured);
    const lk_identity *who = &e->identity;
    if (who->count > 1)
        printf("identity: AUC %.3f (chance 0.5), rank 1 %.3f (chance %.3f); distance to the own picture %.3f, to others %.3f; %d "
               "faces\n",
               who->auc, who->rank1, 1.0 / who->count, who->own, who->other, who->count);
}

/* The triptychs of all faces, the best first. */
static lk_status save_sheet(photos_run *run, const char *path)
{
    const lk_photo_evaluation *e = &run->result;
    const uint8_t *parts[3];
    uint8_t *sorted[3] = {0};
    int count = e->count < SHEET_FACES ? e->count : SHEET_FACES, part_count = 0;
    size_t bytes = picture_bytes(run);
    lk_status status = LK_OK;
    for (int k = 0; k < 3 && status == LK_OK; k++) {
        if (!run->pictures[k])
            continue;
        sorted[k] = malloc((size_t)count * bytes);
        for (int i = 0; sorted[k] && i < count; i++)
            memcpy(sorted[k] + (size_t)i * bytes, run->pictures[k] + (size_t)e->faces[i].added * bytes, bytes);
        parts[part_count++] = sorted[k];
        if (!sorted[k])
            status = lk_fail(LK_INTERNAL, "out of memory for the page of %d faces", count);
    }
    lk_image page = {0};
    if (status == LK_OK)
        status = lk_lay_triptychs(run->setup->size, count, part_count, parts, LK_TRIPTYCH_COLUMNS, &page);
    if (status == LK_OK)
        status = lk_image_save_png(path, &page);
    lk_image_free(&page);
    for (int k = 0; k < 3; k++)
        free(sorted[k]);
    return status;
}

static lk_status finish(void *context)
{
    photos_run *run = context;
    char json[LK_PATH_SIZE], sheet[LK_PATH_SIZE];
    if (run->result.count == 0) {
        print_all(run);
        return LK_OK;
    }
    LK_TRY(lk_path_join(json, run->values->folder, "photos.json"));
    LK_TRY(lk_path_join(sheet, run->values->folder, "photos.png"));
    LK_TRY(lk_photo_evaluation_finish(&run->result));
    print_all(run);
    LK_TRY(lk_remove_file(json)); /* its faces are looked up in the sheet: never in that of other photos */
    LK_TRY(save_sheet(run, sheet));
    LK_TRY(lk_photo_evaluation_write(json, &run->result));
    printf("\n%s\n", sheet);
    return LK_OK;
}

lk_status lk_evaluate_photos_run(const lk_evaluate_photos *values)
{
    photos_run run = {.values = values};
    const lk_photo_calls calls = {.command = "evaluate",
                                  .client_size = CLIENT_SIZE,
                                  .folder = values->folder,
                                  .extra_bytes = sizeof(portrait),
                                  .look = look_at_photo,
                                  .begin = begin,
                                  .face = draw_by_client,
                                  .line = take_line,
                                  .finish = finish,
                                  .context = &run};
    char *photos = (char *)(uintptr_t)values->photos;
    lk_path_kind kind;
    LK_TRY(lk_path_look(photos, &kind));
    if (kind == LK_ABSENT && strcmp(photos, "-") != 0)
        return lk_fail(LK_BAD_DATA, "%s: there is no such photo, folder or archive", photos);
    int threads = values->options.threads ? values->options.threads : lk_core_count();
    lk_status status = open_describer(&run, threads);
    if (status == LK_OK)
        status = lk_make_folder(values->folder);
    if (status == LK_OK)
        status = lk_photo_faces_run(&values->options, values->model, &photos, 1, &calls);
    lk_error error;
    lk_error_take(&error, status);
    for (int i = 0; run.aligners && i < threads; i++)
        lk_aligner_free(run.aligners[i]);
    for (int i = 0; run.describers && i < threads; i++)
        lk_describer_free(run.describers[i]);
    free(run.aligners);
    free(run.describers);
    lk_photo_evaluation_free(&run.result);
    lk_seen_free(run.seen);
    for (int k = 0; k < 3; k++)
        free(run.pictures[k]);
    return lk_error_put(&error);
}
