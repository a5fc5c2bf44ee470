/* likeness predict (commands.h): photos into the parameters of their faces, with pictures. */
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "dataset/align/exif.h"
#include "dataset/client/client.h"
#include "dataset/client/other.h"
#include "dataset/pack/names.h"
#include "dataset/parameters.h"
#include "launch/command/align.h"
#include "launch/command/commands.h"
#include "launch/command/photos.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/predictor.h"
#include "trainer/tensor/tensor.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct predict_values {
    lk_align_options align;
    const char *folder, *model, *decoder, *landmarks, *client, *assets, *sheet;
    double client_seconds;
    bool aligned;
    int threads; /* 0: the cores */
} predict_values;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "model", "MODEL", "the encoder: a run, a checkpoint or a .safetensors file",
     LK_TARGET(predict_values, model), .required = true},
    {LK_OPTION_PATH, "output", "FOLDER", "where the faces go", LK_TARGET(predict_values, folder), .letter = 'o',
     .required = true},
    {LK_OPTION_PATH, "decoder", "MODEL", "the decoder that draws D(p); else the one that the run of MODEL was trained with",
     LK_TARGET(predict_values, decoder)},
    {LK_OPTION_PATH, "sheet", "FILE.png", "all triptychs on one page (of the first 1000 faces)",
     LK_TARGET(predict_values, sheet)},
    {LK_OPTION_FLAG, "aligned", NULL, "the photos are crops of likeness align, or pictures of the client: taken as they are",
     LK_TARGET(predict_values, aligned)},
    {LK_OPTION_TEXT, "client", "COMMAND",
     "another game client, run by /bin/sh once a face: {params} becomes the path of\n"
     "NAME.json, {picture} the path where a square PNG or JPEG is expected",
     LK_TARGET(predict_values, client)},
    {LK_OPTION_PATH, "assets", "FOLDER", "MakeHuman's data folder, if the schema names assets of it (see render)",
     LK_TARGET(predict_values, assets)},
    {LK_OPTION_REAL, "client-seconds", "S", "what COMMAND may take for one face", LK_TARGET(predict_values, client_seconds),
     .low = 0.01, .high = 86400},
    LK_ALIGN_OPTIONS(predict_values, align, landmarks),
    {LK_OPTION_INT, "threads", "N", "(the cores)", LK_TARGET(predict_values, threads), .low = 1, .high = 256},
    {0}};

/* Faces that go through the networks together; lines that may wait for them; faces on a sheet. */
enum { BATCH = 32, LINES = 256, SHEET_FACES = 1000 };
enum { NAME_SIZE = LK_STEM_SIZE + 16 };

/* One line of output: a face, or why there is none. */
typedef struct line {
    char name[NAME_SIZE]; /* of the face's files without ending */
    char *photo;
    char *refused; /* NULL: it is a face */
    int face;      /* which of the batch */
} line;

/* What a photo gave. */
typedef struct findings {
    char *refused; /* the whole photo */
    int count;
    lk_aligned faces[LK_MAX_FACES];
} findings;

typedef struct predict_run {
    const predict_values *values;
    int threads, size;
    lk_predictor *predictor;
    lk_face_model *model; /* NULL: not looked for */
    const lk_schema *schema;
    lk_client *client; /* the built-in one; NULL: another, or none */
    lk_renderer **renderers;
    bool mhm;

    line lines[LINES];
    int line_count, face_count;
    line *face_lines[BATCH];
    uint8_t *crops, *decoded, *rendered; /* [BATCH,S,S,3] */
    float *continuous, *certainty;
    uint8_t *discrete;

    uint8_t *sheet[3]; /* [sheet_faces,S,S,3] of each part */
    int64_t faces, sheet_faces;
} predict_run;

static size_t picture_bytes(const predict_run *run)
{
    return (size_t)run->size * (size_t)run->size * 3;
}

static bool has_client(const predict_run *run)
{
    return run->client || run->values->client;
}

/* The pictures of face i of the batch that there are, from left to right. */
static int parts_of(const predict_run *run, int64_t i, const uint8_t *parts[3])
{
    size_t at = (size_t)i * picture_bytes(run);
    int count = 0;
    parts[count++] = run->crops + at;
    if (lk_predictor_can_draw(run->predictor))
        parts[count++] = run->decoded + at;
    if (has_client(run))
        parts[count++] = run->rendered + at;
    return count;
}

/* ---- one photo, on a thread of the walk ---- */

static void forget(void *made)
{
    findings *f = made;
    lk_aligned_free(f->faces, f->count);
    free(f->refused);
    free(f);
}

static lk_status take_crop(const predict_run *run, const lk_photo *p, const lk_image *image, findings *f)
{
    f->count = 1;
    f->faces[0].crop = malloc(picture_bytes(run));
    if (!f->faces[0].crop)
        return lk_fail(LK_INTERNAL, "out of memory for a crop");
    return lk_take_crop(image, run->size, p->origin, f->faces[0].crop);
}

static lk_status find_faces(const predict_run *run, const lk_photo *p, lk_aligner *aligner, findings *f)
{
    lk_image image = {0};
    const char *rejected = NULL;
    LK_TRY(lk_photo_decode(p->data, p->size, LK_PHOTO_PIXELS, p->origin, &image));
    lk_status status =
        run->values->aligned ? take_crop(run, p, &image, f) : lk_align(aligner, &image, f->faces, &f->count, &rejected);
    lk_image_free(&image);
    if (status != LK_OK && !run->values->aligned)
        return lk_fail_in(status, "%s", p->origin);
    if (rejected && !(f->refused = strdup(rejected)))
        return lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    return status;
}

/* A photo that cannot be read is a line, not the end of all others; but several faces under --faces error are. */
static void work(void *context, lk_photo *p, lk_aligner *aligner)
{
    const predict_run *run = context;
    findings *f = p->made = calloc(1, sizeof *f);
    lk_status status = f ? find_faces(run, p, aligner, f) : lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    if (status == LK_BAD_DATA && run->values->align.faces != LK_FACE_ERROR) {
        f->refused = strdup(lk_error_text());
        status = f->refused ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    }
    if (status != LK_OK)
        lk_error_take(&p->error, status);
}

/* ---- the files of one face ---- */

static lk_status path_of(const predict_run *run, const char *name, const char *ending, char out[LK_PATH_SIZE])
{
    char file[NAME_SIZE + 32];
    snprintf(file, sizeof file, "%s%s", name, ending);
    return lk_path_join(out, run->values->folder, file);
}

static lk_status save_picture(const predict_run *run, const char *name, const char *ending, const lk_image *image)
{
    char path[LK_PATH_SIZE];
    LK_TRY(path_of(run, name, ending, path));
    return lk_image_save_png(path, image);
}

static lk_status draw_by_other_client(predict_run *run, const char *name, uint8_t *pixels)
{
    char params[LK_PATH_SIZE], picture[LK_PATH_SIZE], ending[64];
    lk_image image = {0};
    snprintf(ending, sizeof ending, "-client.tmp-%ld.png", (long)getpid());
    LK_TRY(path_of(run, name, ".json", params));
    LK_TRY(path_of(run, name, ending, picture));
    LK_TRY(lk_other_client_draw(run->values->client, run->values->client_seconds, name, params, picture, &image));
    lk_status status = save_picture(run, name, "-client.png", &image);
    if (status == LK_OK)
        status = lk_resize(&image, run->size, pixels);
    lk_image_free(&image);
    return status;
}

/* MakeHuman's file names the assets that the client draws. */
static lk_status write_mhm(const predict_run *run, const char *name, const float *continuous, const uint8_t *discrete)
{
    char path[LK_PATH_SIZE], *assets = NULL;
    LK_TRY(path_of(run, name, ".mhm", path));
    if (!run->client)
        return lk_parameters_save(run->schema, path, continuous, discrete);
    lk_status status = lk_client_describe_assets(run->client, discrete, &assets);
    if (status == LK_OK)
        status = lk_parameters_save_mhm(run->schema, path, continuous, discrete, assets);
    free(assets);
    return status;
}

/* Parameters first: they are there for whom the client's picture fails. */
static lk_status write_face(void *context, int64_t i, int worker)
{
    predict_run *run = context;
    const char *name = run->face_lines[i]->name;
    const float *continuous = run->continuous + i * run->schema->continuous_count;
    const uint8_t *discrete = run->discrete + i * run->schema->group_count;
    size_t at = (size_t)i * picture_bytes(run);
    char path[LK_PATH_SIZE];
    LK_TRY(path_of(run, name, ".json", path));
    LK_TRY(lk_parameters_save(run->schema, path, continuous, discrete));
    if (run->mhm)
        LK_TRY(write_mhm(run, name, continuous, discrete));
    if (lk_predictor_can_draw(run->predictor))
        LK_TRY(save_picture(run, name, "-decoded.png", &(lk_image){run->size, run->size, run->decoded + at}));
    if (run->values->client) {
        LK_TRY(draw_by_other_client(run, name, run->rendered + at));
    } else if (run->client) {
        LK_TRY(lk_render(run->renderers[worker], continuous, discrete, LK_CANONICAL, 0, run->rendered + at));
        LK_TRY(save_picture(run, name, "-client.png", &(lk_image){run->size, run->size, run->rendered + at}));
    }
    const uint8_t *parts[3];
    int count = parts_of(run, i, parts);
    lk_image triptych = {0};
    LK_TRY(lk_lay_triptychs(run->size, 1, count, parts, 1, &triptych));
    lk_status status = save_picture(run, name, ".png", &triptych);
    lk_image_free(&triptych);
    return status;
}

/* ---- lines ---- */

static lk_status print_line(const predict_run *run, const line *l)
{
    char name[4 * NAME_SIZE];
    lk_name_show(l->name, name, sizeof name);
    json_t *root = json_pack("{s:s}", "photo", l->photo);
    if (l->refused) {
        json_object_set_new(root, "refused", json_string(l->refused));
    } else {
        json_t *face = lk_prediction_to_json(run->schema, run->continuous + l->face * run->schema->continuous_count,
                                             run->discrete + l->face * run->schema->group_count,
                                             run->certainty + l->face * run->schema->group_count);
        json_object_set_new(root, "face", json_string(name));
        json_object_update(root, face);
        json_decref(face);
    }
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
    size_t wanted = l->refused ? 2 : 5;
    bool whole = text && json_object_size(root) == wanted;
    json_decref(root);
    if (whole)
        puts(text);
    free(text);
    return whole ? LK_OK : lk_fail(LK_INTERNAL, "out of memory for the line of %s", l->photo);
}

static void free_lines(predict_run *run)
{
    for (int i = 0; i < run->line_count; i++) {
        free(run->lines[i].photo);
        free(run->lines[i].refused);
    }
    run->line_count = run->face_count = 0;
}

/* ---- a batch ---- */

static lk_status keep_for_sheet(predict_run *run)
{
    int64_t room = SHEET_FACES - run->sheet_faces, count = run->face_count < room ? run->face_count : room;
    const uint8_t *parts[3];
    int part_count = parts_of(run, 0, parts);
    if (!run->values->sheet || count == 0)
        return LK_OK;
    for (int k = 0; k < part_count; k++) {
        uint8_t *larger = realloc(run->sheet[k], (size_t)(run->sheet_faces + count) * picture_bytes(run));
        if (!larger)
            return lk_fail(LK_INTERNAL, "out of memory for the sheet");
        run->sheet[k] = larger;
        memcpy(larger + (size_t)run->sheet_faces * picture_bytes(run), parts[k], (size_t)count * picture_bytes(run));
    }
    run->sheet_faces += count;
    return LK_OK;
}

static lk_status finish_batch(predict_run *run)
{
    int n = run->face_count;
    lk_status status = LK_OK;
    if (n > 0) {
        LK_TRY_OR(done, lk_predict(run->predictor, n, run->crops, run->continuous, run->discrete, run->certainty));
        if (lk_predictor_can_draw(run->predictor))
            LK_TRY_OR(done, lk_predictor_draw(run->predictor, n, run->continuous, run->discrete, run->decoded));
        LK_TRY_OR(done, lk_parallel_for(run->threads, n, write_face, run));
        LK_TRY_OR(done, keep_for_sheet(run));
    }
    for (int i = 0; i < run->line_count; i++)
        LK_TRY_OR(done, print_line(run, &run->lines[i]));
    if (fflush(stdout) != 0)
        status = lk_fail_io("write", "standard output", errno, 0);
    run->faces += n;
done:
    free_lines(run);
    return status;
}

/* `crop` NULL: refused. */
static lk_status add_line(predict_run *run, const lk_photo *p, const char *tail, const char *refused, const uint8_t *crop)
{
    line *l = &run->lines[run->line_count];
    *l = (line){.photo = strdup(p->origin), .refused = refused ? strdup(refused) : NULL, .face = run->face_count};
    run->line_count++;
    if (!l->photo || (refused && !l->refused))
        return lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    snprintf(l->name, sizeof l->name, "%s%s", p->stem, tail);
    if (crop) {
        memcpy(run->crops + (size_t)run->face_count * picture_bytes(run), crop, picture_bytes(run));
        run->face_lines[run->face_count++] = l;
    }
    return run->line_count == LINES || run->face_count == BATCH ? finish_batch(run) : LK_OK;
}

static lk_status take(void *context, lk_photo *p)
{
    predict_run *run = context;
    const findings *f = p->made;
    if (p->error.status != LK_OK)
        return LK_OK;
    if (!f || f->refused)
        return add_line(run, p, "", f ? f->refused : p->unread, NULL);
    for (int k = 0; k < f->count; k++) {
        char tail[16] = "";
        if (run->values->align.faces == LK_FACE_ALL && !run->values->aligned)
            snprintf(tail, sizeof tail, "-%d", k + 1);
        const char *rejected = f->faces[k].rejected;
        LK_TRY(add_line(run, p, tail, rejected, rejected ? NULL : f->faces[k].crop));
    }
    return LK_OK;
}

/* ---- the whole ---- */

static lk_status open_client(predict_run *run)
{
    run->mhm = true;
    for (int g = 0; run->mhm && g < run->schema->group_count; g++)
        run->mhm = !strpbrk(run->schema->groups[g].name, " \t");
    if (!run->mhm)
        lk_info("no .mhm files: a group of the schema '%s' has spaces in its name", run->schema->name);
    if (run->values->client)
        return LK_OK;
    if (lk_client_open_assets(NULL, run->values->assets, run->schema, &run->client) != LK_OK) {
        lk_info("no client's faces: %s; --client names another client", lk_error_text());
        return LK_OK;
    }
    run->renderers = calloc((size_t)run->threads, sizeof *run->renderers);
    if (!run->renderers)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", run->threads);
    for (int i = 0; i < run->threads; i++)
        LK_TRY(lk_renderer_create(run->client, run->size, &run->renderers[i]));
    return LK_OK;
}

/* Half of what a single photo takes is waiting for these, so they are opened side by side. */
static lk_status open_part(void *context, int64_t part, int worker)
{
    predict_run *run = context;
    const predict_values *v = run->values;
    (void)worker;
    if (part == 1)
        return v->aligned ? LK_OK : lk_face_model_open(v->landmarks, &run->model);
    LK_TRY(lk_predictor_open(v->model, v->decoder, run->threads, &run->predictor));
    run->schema = lk_predictor_schema(run->predictor);
    run->size = lk_predictor_size(run->predictor);
    return open_client(run);
}

static lk_status allocate_batch(predict_run *run)
{
    size_t pixels = BATCH * picture_bytes(run);
    run->crops = malloc(pixels);
    run->decoded = malloc(pixels);
    run->rendered = malloc(pixels);
    run->continuous = malloc(BATCH * (size_t)run->schema->continuous_count * sizeof *run->continuous);
    run->certainty = malloc(BATCH * (size_t)run->schema->group_count * sizeof *run->certainty);
    run->discrete = malloc(BATCH * (size_t)run->schema->group_count);
    if (!run->crops || !run->decoded || !run->rendered || !run->continuous || !run->certainty || !run->discrete)
        return lk_fail(LK_INTERNAL, "out of memory for %d faces", BATCH);
    return LK_OK;
}

static lk_status save_sheet(const predict_run *run)
{
    const uint8_t *const parts[3] = {run->sheet[0], run->sheet[1], run->sheet[2]};
    lk_image page = {0};
    int count = (int)run->sheet_faces, part_count = 0, columns = 1;
    while (part_count < 3 && parts[part_count])
        part_count++;
    if (!run->values->sheet || count == 0)
        return LK_OK;
    while (part_count * columns * columns < count)
        columns++;
    if (run->faces > run->sheet_faces)
        lk_info("%s: shows the first %d of %lld faces", run->values->sheet, count, (long long)run->faces);
    LK_TRY(lk_lay_triptychs(run->size, count, part_count, parts, columns, &page));
    lk_status status = lk_image_save_png(run->values->sheet, &page);
    lk_image_free(&page);
    return status;
}

static lk_status predict_all(predict_run *run, char **arguments, int count)
{
    const predict_values *v = run->values;
    if (v->client)
        LK_TRY(lk_other_client_check(v->client));
    LK_TRY(lk_make_folder(v->folder));
    LK_TRY(lk_parallel_for(2, 2, open_part, run));
    LK_TRY(lk_tensor_start(run->threads)); /* this thread computes, whichever opened the predictor */
    LK_TRY(allocate_batch(run));
    lk_align_options align = v->align;
    align.size = run->size;
    lk_photos photos = {.command = "predict",
                        .output = ".png",
                        .align = v->aligned ? NULL : &align,
                        .model = run->model,
                        .threads = run->threads,
                        .work = work,
                        .take = take,
                        .forget = forget,
                        .context = run};
    lk_status status = lk_photos_run(&photos, arguments, count);
    if (status == LK_OK)
        status = finish_batch(run);
    LK_TRY(status);
    LK_TRY(save_sheet(run));
    if (run->faces == 0)
        return lk_fail(LK_BAD_DATA, "predict: no face in %lld photos; the lines above say why", (long long)photos.count);
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    const predict_values *v = values;
    predict_run *run = calloc(1, sizeof *run);
    if (!run)
        return lk_fail(LK_INTERNAL, "out of memory");
    run->values = v;
    run->threads = v->threads ? v->threads : lk_core_count();
    lk_status status = predict_all(run, arguments, count);
    lk_error error;
    lk_error_take(&error, status);
    free_lines(run);
    for (int i = 0; run->renderers && i < run->threads; i++)
        lk_renderer_free(run->renderers[i]);
    free(run->renderers);
    lk_client_close(run->client);
    lk_predictor_close(run->predictor);
    lk_face_model_close(run->model);
    void *const all[] = {run->crops,    run->decoded,  run->rendered, run->continuous, run->certainty,
                         run->discrete, run->sheet[0], run->sheet[1], run->sheet[2]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
    free(run);
    return lk_error_put(&error);
}

const lk_command lk_command_predict = {
    .name = "predict",
    .summary = "photos into the parameters of their faces, with pictures",
    .usage = "PHOTO|FOLDER|ARCHIVE... --model RUN|CHECKPOINT|FILE -o FOLDER [OPTIONS]",
    .about =
        "Finds the face of each photo as likeness align does, lets the encoder say its parameters, and writes NAME.json and\n"
        "NAME.mhm (the parameters), NAME-decoded.png (what the decoder draws of them), NAME-client.png (what the client\n"
        "draws) and NAME.png (photo | decoded | client). Standard output gets a line of JSON for each face, with how certain\n"
        "each choice is, and one for each photo that is refused, with the reason. The model's weights are all that is needed.\n"
        "A client's COMMAND that fails ends it all; a face whose line was printed is complete.",
    .options = option_table,
    .size = sizeof(predict_values),
    .defaults = &(predict_values){.align = LK_ALIGN_DEFAULTS, .client_seconds = 30},
    .takes = "photos, folders or archives",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
