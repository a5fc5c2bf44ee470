/* likeness label (commands.h): parameters for photos by fitting, for likeness pack. */
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "dataset/align/exif.h"
#include "dataset/client/client.h"
#include "dataset/label/label.h"
#include "dataset/pack/names.h"
#include "dataset/parameters.h"
#include "dataset/unfinished.h"
#include "launch/command/align.h"
#include "launch/command/commands.h"
#include "launch/command/photos.h"
#include "trainer/evaluate/evaluate.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct label_values {
    lk_align_options align;
    const char *folder, *schema, *prior, *landmarks, *sheet;
    double max_error;
    bool keep_poor, mhm;
    int threads; /* 0: the cores */
} label_values;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "output", "FOLDER", "where crops, parameters and labels.jsonl go", LK_TARGET(label_values, folder),
     .letter = 'o', .required = true, .writes = "labels.jsonl"},
    {LK_OPTION_INT, "size", "S", "edge of a crop in pixels", LK_TARGET(label_values, align.size), .low = 32, .high = 1024},
    {LK_OPTION_REAL, "max-error", "X",
     "\"poor\": the landmarks of photo and client's picture lie further apart, in eye\ndistances (median)",
     LK_TARGET(label_values, max_error), .low = 0.001, .high = 10},
    {LK_OPTION_FLAG, "keep-poor", NULL, "write poor ones too", LK_TARGET(label_values, keep_poor)},
    {LK_OPTION_FLAG, "mhm", NULL, "write NAME.mhm for MakeHuman too (likeness pack takes one of the two)",
     LK_TARGET(label_values, mhm)},
    {LK_OPTION_PATH, "sheet", "FILE.png", "photo, client in the photo's pose, client, on one page (of the first 1000 faces)",
     LK_TARGET(label_values, sheet), .writes = ".png"},
    {LK_OPTION_PATH, "schema", "FILE.yaml", "the client's parameters, where they are not all of configs/client-schema.yaml",
     LK_TARGET(label_values, schema)},
    {LK_OPTION_PATH, "prior", "FILE.yaml", "what faces are like, where it is not configs/client-prior.yaml",
     LK_TARGET(label_values, prior)},
    LK_ALIGN_OPTIONS(label_values, align, landmarks),
    {LK_OPTION_INT, "threads", "N", "(the cores)", LK_TARGET(label_values, threads), .low = 1, .high = 256},
    {0}};

enum { PARTS = 3, SHEET_FACES = 1000, NAME_SIZE = LK_STEM_SIZE + 16 };

/* A face that was found: its label, or the rule that refuses it. */
typedef struct face {
    const char *rejected;
    lk_label label;
    uint8_t *pictures[PARTS]; /* [size,size,3]: crop, client in the photo's pose, client; NULL where rejected */
} face;

/* What a photo gave. */
typedef struct findings {
    char *refused; /* the whole photo */
    int count;
    face *faces;
} findings;

typedef struct label_run {
    const label_values *values;
    int threads;
    lk_schema *schema;
    lk_client *client;
    lk_people *people;
    lk_face_model *model;
    lk_habits habits;
    pthread_mutex_t lock; /* of free_labellers */
    lk_labeller **free_labellers;
    int free_count;

    lk_atomic_file lines; /* labels.jsonl */
    uint8_t *sheet[PARTS];
    int64_t sheet_faces, good, poor, refused;
    double *errors; /* [good + poor] */
} label_run;

/* ---- one photo, on a thread of the walk ---- */

static void forget(void *made)
{
    findings *f = made;
    for (int i = 0; i < f->count; i++)
        for (int k = 0; k < PARTS; k++)
            free(f->faces[i].pictures[k]);
    free(f->faces);
    free(f->refused);
    free(f);
}

static lk_labeller *borrow(label_run *run)
{
    pthread_mutex_lock(&run->lock);
    lk_labeller *labeller = run->free_labellers[--run->free_count];
    pthread_mutex_unlock(&run->lock);
    return labeller;
}

static void give_back(label_run *run, lk_labeller *labeller)
{
    pthread_mutex_lock(&run->lock);
    run->free_labellers[run->free_count++] = labeller;
    pthread_mutex_unlock(&run->lock);
}

static lk_status draw_parts(const label_run *run, lk_labeller *labeller, const uint8_t *crop, face *out)
{
    int size = run->values->align.size;
    size_t bytes = (size_t)size * (size_t)size * 3;
    uint8_t drawn[LK_LABEL_SIZE * LK_LABEL_SIZE * 3];
    for (int k = 0; k < PARTS; k++)
        if (!(out->pictures[k] = malloc(bytes)))
            return lk_fail(LK_INTERNAL, "out of memory for pictures of %d x %d", size, size);
    memcpy(out->pictures[0], crop, bytes);
    for (int k = 1; k < PARTS; k++) {
        LK_TRY(lk_label_draw(labeller, &out->label, k == 1, drawn));
        LK_TRY(lk_resize(&(lk_image){LK_LABEL_SIZE, LK_LABEL_SIZE, drawn}, size, out->pictures[k]));
    }
    return LK_OK;
}

static lk_status label_face(const label_run *run, lk_labeller *labeller, const lk_image *photo, const lk_aligned *found,
                            face *out)
{
    uint8_t crop[LK_LABEL_SIZE * LK_LABEL_SIZE * 3];
    double scale = (double)run->values->align.size / LK_LABEL_SIZE;
    lk_similarity frame = lk_similarity_compose(&found->frame, &(lk_similarity){.a = scale});
    LK_TRY(lk_warp(photo, &frame, LK_LABEL_SIZE, crop));
    LK_TRY(lk_label_face(labeller, crop, &out->label));
    return draw_parts(run, labeller, found->crop, out);
}

static lk_status label_photo(const label_run *run, lk_labeller *labeller, const lk_photo *p, lk_aligner *aligner, findings *f)
{
    lk_image image = {0};
    lk_aligned found[LK_MAX_FACES];
    int count = 0;
    const char *rejected = NULL;
    LK_TRY(lk_photo_decode(p->data, p->size, LK_PHOTO_PIXELS, p->origin, &image));
    lk_status status = lk_align(aligner, &image, found, &count, &rejected);
    if (status != LK_OK)
        lk_fail_in(status, "%s", p->origin);
    if (rejected && !(f->refused = strdup(rejected)))
        status = lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    if (count > 0 && !(f->faces = calloc((size_t)count, sizeof *f->faces)))
        status = lk_fail(LK_INTERNAL, "out of memory for the faces of %s", p->origin);
    f->count = f->faces ? count : 0;
    for (int k = 0; k < f->count && status == LK_OK; k++) {
        f->faces[k].rejected = found[k].rejected;
        if (!found[k].rejected)
            status = label_face(run, labeller, &image, &found[k], &f->faces[k]);
    }
    lk_aligned_free(found, count);
    lk_image_free(&image);
    return status;
}

/* A photo that cannot be read is a line, not the end of all others; but several faces under --faces error are. */
static void work(void *context, lk_photo *p, lk_aligner *aligner)
{
    label_run *run = context;
    findings *f = p->made = calloc(1, sizeof *f);
    lk_labeller *labeller = borrow(run);
    lk_status status = f ? label_photo(run, labeller, p, aligner, f) : lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    give_back(run, labeller);
    if (status == LK_BAD_DATA && run->values->align.faces != LK_FACE_ERROR) {
        f->refused = strdup(lk_error_text());
        status = f->refused ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    }
    if (status != LK_OK)
        lk_error_take(&p->error, status);
}

/* ---- the files of one face ---- */

static lk_status path_of(const label_run *run, const char *name, const char *ending, char out[LK_PATH_SIZE])
{
    char file[NAME_SIZE + 32];
    snprintf(file, sizeof file, "%s%s", name, ending);
    return lk_path_join(out, run->values->folder, file);
}

/* The picture last: with it the pair is complete. */
static lk_status write_files(const label_run *run, const char *name, const face *f)
{
    int size = run->values->align.size;
    char path[LK_PATH_SIZE];
    LK_TRY(path_of(run, name, ".json", path));
    LK_TRY(lk_parameters_save(run->schema, path, f->label.fit.continuous, f->label.discrete));
    LK_TRY(path_of(run, name, ".mhm", path));
    if (run->values->mhm)
        LK_TRY(lk_parameters_save(run->schema, path, f->label.fit.continuous, f->label.discrete));
    LK_TRY(path_of(run, name, ".png", path));
    return lk_image_save_png(path, &(lk_image){size, size, f->pictures[0]});
}

/* What an earlier call left of a face that is poor by now would be packed. */
static lk_status remove_files(const label_run *run, const char *name)
{
    static const char *const ENDINGS[] = {".png", ".json", ".mhm"};
    for (int i = 0; i < 3; i++) {
        char path[LK_PATH_SIZE];
        LK_TRY(path_of(run, name, ENDINGS[i], path));
        LK_TRY(lk_remove_file(path));
    }
    return LK_OK;
}

/* ---- lines ---- */

static json_t *rounded(double value)
{
    return json_real(round(value * 1e4) / 1e4);
}

static json_t *distances(double median, double mean, int inliers)
{
    json_t *map = json_object();
    json_object_set_new(map, "median", rounded(median));
    json_object_set_new(map, "mean", rounded(mean));
    json_object_set_new(map, "inliers", json_integer(inliers));
    return map;
}

static json_t *describe(const label_run *run, const char *name, const face *f, bool poor)
{
    static const double DEGREES = 57.29577951308232;
    const lk_label *l = &f->label;
    json_t *map = json_object(), *certainty = json_object();
    for (int g = 0; g < run->schema->group_count; g++)
        json_object_set_new(certainty, run->schema->groups[g].name, rounded(l->certainty[g]));
    json_object_set_new(map, "face", json_string(name));
    json_object_set_new(map, "status", json_string(poor ? "poor" : "good"));
    json_object_set_new(map, "landmarks", distances(l->drawn_median, l->drawn_mean, l->drawn_inliers));
    json_object_set_new(map, "model_landmarks", distances(l->fit.median, l->fit.mean, l->fit.inliers));
    json_object_set_new(map, "yaw", rounded(l->fit.yaw * DEGREES));
    json_object_set_new(map, "pitch", rounded(-l->fit.pitch * DEGREES)); /* up, as people say it */
    json_object_set_new(map, "certainty", certainty);
    return map;
}

/* `more` is taken over. */
static lk_status write_line(label_run *run, const lk_photo *p, json_t *more)
{
    json_t *root = json_pack("{s:s}", "photo", p->origin);
    bool whole = root && more && json_object_update(root, more) == 0;
    char *text = whole ? json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
    json_decref(more);
    json_decref(root);
    if (!text)
        return lk_fail(LK_INTERNAL, "out of memory for the line of %s", p->origin);
    fprintf(run->lines.stream, "%s\n", text);
    free(text);
    return LK_OK;
}

static lk_status refuse(label_run *run, const lk_photo *p, const char *why)
{
    run->refused++;
    return write_line(run, p, json_pack("{s:s}", "refused", why));
}

/* ---- taking, in order ---- */

/* A red frame around what is left out. */
static void mark(uint8_t *pixels, int size)
{
    int width = 1 + size / 64;
    for (int y = 0; y < size; y++)
        for (int x = 0; x < size; x++)
            if (x < width || y < width || x >= size - width || y >= size - width)
                memcpy(pixels + 3 * (y * size + x), (const uint8_t[3]){220, 30, 30}, 3);
}

static lk_status keep_for_sheet(label_run *run, const face *f, bool poor)
{
    int size = run->values->align.size;
    size_t bytes = (size_t)size * (size_t)size * 3;
    if (!run->values->sheet || run->sheet_faces == SHEET_FACES)
        return LK_OK;
    for (int k = 0; k < PARTS; k++) {
        uint8_t *larger = realloc(run->sheet[k], (size_t)(run->sheet_faces + 1) * bytes);
        if (!larger)
            return lk_fail(LK_INTERNAL, "out of memory for the sheet");
        run->sheet[k] = larger;
        memcpy(larger + (size_t)run->sheet_faces * bytes, f->pictures[k], bytes);
    }
    if (poor)
        mark(run->sheet[0] + (size_t)run->sheet_faces * bytes, size);
    run->sheet_faces++;
    return LK_OK;
}

static lk_status take_face(label_run *run, const lk_photo *p, const char *tail, const face *f)
{
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", p->stem, tail);
    if (f->rejected) {
        LK_TRY(remove_files(run, name));
        return refuse(run, p, f->rejected);
    }
    bool poor = !(f->label.drawn_median <= run->values->max_error);
    double *larger = realloc(run->errors, (size_t)(run->good + run->poor + 1) * sizeof *larger);
    if (!larger)
        return lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    run->errors = larger;
    run->errors[run->good + run->poor] = f->label.drawn_median;
    run->good += !poor;
    run->poor += poor;
    LK_TRY(poor && !run->values->keep_poor ? remove_files(run, name) : write_files(run, name, f));
    LK_TRY(keep_for_sheet(run, f, poor));
    return write_line(run, p, describe(run, name, f, poor));
}

static lk_status take(void *context, lk_photo *p)
{
    label_run *run = context;
    const findings *f = p->made;
    if (p->error.status != LK_OK)
        return LK_OK;
    if (!f || f->refused)
        return refuse(run, p, f ? f->refused : p->unread);
    for (int k = 0; k < f->count; k++) {
        char tail[16] = "";
        if (run->values->align.faces == LK_FACE_ALL)
            snprintf(tail, sizeof tail, "-%d", k + 1);
        LK_TRY(take_face(run, p, tail, &f->faces[k]));
    }
    return LK_OK;
}

/* ---- the whole ---- */

/* A schema of another game fails here: what the built-in client does not draw cannot be fitted. */
static lk_status open_client(label_run *run)
{
    char path[LK_PATH_SIZE];
    const label_values *v = run->values;
    if (!v->schema)
        LK_TRY(lk_client_schema_path(path));
    LK_TRY(lk_schema_load(v->schema ? v->schema : path, &run->schema));
    lk_status status = lk_client_open(NULL, run->schema, &run->client);
    if (status == LK_BAD_DATA && v->schema)
        return lk_fail_in(status, "label: --schema %s: labels are fitted by the built-in client, which must draw all of it",
                          v->schema);
    return status;
}

static lk_status open_people(label_run *run)
{
    char path[LK_PATH_SIZE];
    const label_values *v = run->values;
    lk_prior *prior = NULL;
    if (!v->prior)
        LK_TRY(lk_client_prior_path(path));
    lk_status status = lk_prior_load(v->prior ? v->prior : path, run->schema, &prior);
    if (status == LK_BAD_CONFIG && v->prior)
        return lk_fail_in(status, "label: --prior");
    if (status == LK_BAD_CONFIG && v->schema)
        return lk_fail_in(status, "label: --schema %s needs a --prior of its own parameters", v->schema);
    LK_TRY(status);
    status = lk_people_draw(run->schema, prior, &run->people);
    lk_prior_free(prior);
    return status;
}

static lk_status open_all(label_run *run)
{
    LK_TRY(open_client(run));
    LK_TRY(open_people(run));
    LK_TRY(lk_face_model_open(run->values->landmarks, &run->model));
    LK_TRY(lk_habits_measure(run->client, run->people, run->model, run->threads, &run->habits));
    run->free_labellers = calloc((size_t)run->threads, sizeof *run->free_labellers);
    if (!run->free_labellers)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", run->threads);
    for (; run->free_count < run->threads; run->free_count++)
        LK_TRY(lk_labeller_create(run->client, run->people, run->model, &run->habits, &run->free_labellers[run->free_count]));
    return LK_OK;
}

static lk_status save_sheet(const label_run *run)
{
    const uint8_t *const parts[PARTS] = {run->sheet[0], run->sheet[1], run->sheet[2]};
    int count = (int)run->sheet_faces, columns = 1;
    lk_image page = {0};
    if (count == 0)
        return LK_OK;
    while (PARTS * columns * columns < count)
        columns++;
    LK_TRY(lk_lay_triptychs(run->values->align.size, count, PARTS, parts, columns, &page));
    lk_status status = lk_image_save_png(run->values->sheet, &page);
    lk_image_free(&page);
    return status;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static lk_status tell(label_run *run, int64_t photos)
{
    int64_t faces = run->good + run->poor;
    if (faces == 0)
        return lk_fail(LK_BAD_DATA, "label: no face in %lld photos; labels.jsonl says why", (long long)photos);
    qsort(run->errors, (size_t)faces, sizeof *run->errors, compare);
    printf("%lld faces of %lld photos labelled, %lld poor%s, %lld refused; landmarks are off by %.3f eye distances (median)\n",
           (long long)run->good, (long long)photos, (long long)run->poor, run->values->keep_poor ? " (kept)" : "",
           (long long)run->refused, run->errors[faces / 2]);
    if (run->good == 0 && !run->values->keep_poor)
        return lk_fail(LK_BAD_DATA, "label: every fit is poor; --max-error allows worse ones, --keep-poor keeps all");
    return LK_OK;
}

static lk_status label_all(label_run *run, char **arguments, int count)
{
    const label_values *v = run->values;
    char path[LK_PATH_SIZE];
    LK_TRY(lk_make_folder(v->folder));
    LK_TRY(open_all(run));
    LK_TRY(lk_path_join(path, v->folder, "labels.jsonl"));
    LK_TRY(lk_unfinished_begin(v->folder));
    LK_TRY(lk_atomic_open(&run->lines, path));
    lk_photos photos = {.command = "label",
                        .output = ".png",
                        .folder = v->folder,
                        .sheet = v->sheet,
                        .align = &v->align,
                        .model = run->model,
                        .threads = run->threads,
                        .work = work,
                        .take = take,
                        .forget = forget,
                        .context = run};
    lk_status status = lk_photos_run(&photos, arguments, count);
    if (status == LK_OK)
        status = lk_atomic_commit(&run->lines);
    else
        lk_atomic_abort(&run->lines);
    LK_TRY(status);
    LK_TRY(save_sheet(run));
    LK_TRY(lk_unfinished_end(v->folder));
    return tell(run, photos.count);
}

static lk_status run(void *values, char **arguments, int count)
{
    const label_values *v = values;
    label_run run = {.values = v, .threads = v->threads ? v->threads : lk_core_count(), .lock = PTHREAD_MUTEX_INITIALIZER};
    lk_status status = label_all(&run, arguments, count);
    lk_error error;
    lk_error_take(&error, status);
    for (int i = 0; i < run.free_count; i++)
        lk_labeller_free(run.free_labellers[i]);
    free(run.free_labellers);
    lk_face_model_close(run.model);
    lk_client_close(run.client);
    lk_people_free(run.people);
    lk_schema_free(run.schema);
    for (int k = 0; k < PARTS; k++)
        free(run.sheet[k]);
    free(run.errors);
    return lk_error_put(&error);
}

const lk_command lk_command_label = {
    .name = "label",
    .summary = "parameters for photos by fitting, to train on",
    .usage = "PHOTO|FOLDER|ARCHIVE... -o FOLDER [OPTIONS]",
    .about = "Finds the face of each photo as likeness align does, fits the client's face to its 68 landmarks, and writes\n"
             "NAME.png (the crop) and NAME.json (the parameters), as likeness pack takes them. labels.jsonl has a line for each\n"
             "face, with how good its label is, and one for each photo that is refused, with the reason. Poor fits are told\n"
             "and left out.",
    .options = option_table,
    .size = sizeof(label_values),
    .defaults = &(label_values){.align = LK_ALIGN_DEFAULTS, .max_error = 0.08},
    .takes = "photos, folders or archives",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
