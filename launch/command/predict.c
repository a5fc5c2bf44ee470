/* likeness predict (commands.h): photos into the parameters of their faces, with pictures. */
#include "base/file.h"
#include "base/log.h"
#include "dataset/pack/names.h"
#include "dataset/parameters.h"
#include "launch/command/commands.h"
#include "launch/command/photo_faces.h"
#include "trainer/evaluate/evaluate.h"
#include "trainer/evaluate/predictor.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct predict_values {
    lk_photo_options photos;
    const char *folder, *model, *sheet;
} predict_values;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "model", "MODEL", "the encoder: a run, a checkpoint or a .safetensors file",
     LK_TARGET(predict_values, model), .required = true},
    {LK_OPTION_PATH, "output", "FOLDER", "where the faces go", LK_TARGET(predict_values, folder), .letter = 'o',
     .required = true},
    {LK_OPTION_PATH, "sheet", "FILE.png", "all triptychs on one page (of the first 1000 faces)", LK_TARGET(predict_values, sheet),
     .writes = ".png"},
    LK_CLIENT_OPTIONS(predict_values, photos),
    LK_PHOTO_OPTIONS(predict_values, photos),
    {0}};

enum { SHEET_FACES = 1000 };

typedef struct predict_run {
    const predict_values *values;
    const lk_photo_setup *setup;
    bool mhm;
    uint8_t *sheet[3]; /* [sheet_faces,S,S,3] of each part */
    int64_t faces, sheet_faces;
} predict_run;

/* The pictures of a face that there are, from left to right. */
static int parts_of(const predict_run *run, const lk_photo_face *face, const uint8_t *parts[3])
{
    int count = 0;
    parts[count++] = face->crop;
    if (face->decoded)
        parts[count++] = face->decoded;
    if (run->setup->client)
        parts[count++] = face->drawn;
    return count;
}

/* ---- the files of one face ---- */

static lk_status path_of(const predict_run *run, const char *name, const char *ending, char out[LK_PATH_SIZE])
{
    char file[LK_FACE_NAME + 32];
    snprintf(file, sizeof file, "%s%s", name, ending);
    return lk_path_join(out, run->values->folder, file);
}

static lk_status save_picture(const predict_run *run, const char *name, const char *ending, const lk_image *image)
{
    char path[LK_PATH_SIZE];
    LK_TRY(path_of(run, name, ending, path));
    return lk_image_save_png(path, image);
}

/* What the file says, whose decimals are rounded: the built-in client draws the same face of it later. */
static lk_status draw_by_client(const predict_run *run, const lk_photo_face *face, int worker)
{
    char params[LK_PATH_SIZE];
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
    lk_image image = {0};
    LK_TRY(path_of(run, face->name, ".json", params));
    LK_TRY(lk_parameters_load(run->setup->schema, params, continuous, discrete));
    LK_TRY(lk_any_client_draw(run->setup->client, worker, face->name, params, continuous, discrete, &image));
    lk_status status = save_picture(run, face->name, "-client.png", &image);
    if (status == LK_OK && image.width == run->setup->size)
        memcpy(face->drawn, image.pixels, (size_t)image.width * (size_t)image.width * 3);
    else if (status == LK_OK)
        status = lk_resize(&image, run->setup->size, face->drawn);
    lk_image_free(&image);
    return status;
}

/* MakeHuman's file names the assets that the client draws. */
static lk_status write_mhm(const predict_run *run, const lk_photo_face *face)
{
    char path[LK_PATH_SIZE], *assets = NULL;
    const lk_schema *schema = run->setup->schema;
    const lk_client *client = run->setup->client ? lk_any_client_built_in(run->setup->client) : NULL;
    LK_TRY(path_of(run, face->name, ".mhm", path));
    if (!client)
        return lk_parameters_save(schema, path, face->continuous, face->discrete);
    lk_status status = lk_client_describe_assets(client, face->discrete, &assets);
    if (status == LK_OK)
        status = lk_parameters_save_mhm(schema, path, face->continuous, face->discrete, assets);
    free(assets);
    return status;
}

/* Parameters first: they are there for whom the client's picture fails. */
static lk_status write_face(void *context, const lk_photo_face *face, int worker)
{
    const predict_run *run = context;
    const lk_schema *schema = run->setup->schema;
    int size = run->setup->size;
    char path[LK_PATH_SIZE];
    LK_TRY(path_of(run, face->name, ".json", path));
    LK_TRY(lk_parameters_save(schema, path, face->continuous, face->discrete));
    if (run->mhm)
        LK_TRY(write_mhm(run, face));
    if (face->decoded)
        LK_TRY(save_picture(run, face->name, "-decoded.png", &(lk_image){size, size, (uint8_t *)(uintptr_t)face->decoded}));
    if (run->setup->client)
        LK_TRY(draw_by_client(run, face, worker));
    const uint8_t *parts[3];
    int count = parts_of(run, face, parts);
    lk_image triptych = {0};
    LK_TRY(lk_lay_triptychs(size, 1, count, parts, 1, &triptych));
    lk_status status = save_picture(run, face->name, ".png", &triptych);
    lk_image_free(&triptych);
    return status;
}

/* ---- lines ---- */

static lk_status print_line(const predict_run *run, const lk_photo_face *face)
{
    char name[4 * LK_FACE_NAME];
    lk_name_show(face->name, name, sizeof name);
    json_t *root = json_pack("{s:s}", "photo", face->photo);
    if (face->refused) {
        json_object_set_new(root, "refused", json_string(face->refused));
    } else {
        json_t *prediction = lk_prediction_to_json(run->setup->schema, face->continuous, face->discrete, face->certainty);
        json_object_set_new(root, "face", json_string(name));
        json_object_update(root, prediction);
        json_decref(prediction);
    }
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(9));
    size_t wanted = face->refused ? 2 : 5;
    bool whole = text && json_object_size(root) == wanted;
    json_decref(root);
    if (whole)
        puts(text);
    free(text);
    if (!whole)
        return lk_fail(LK_INTERNAL, "out of memory for the line of %s", face->photo);
    return fflush(stdout) == 0 ? LK_OK : lk_fail_io("write", "standard output", errno, 0);
}

static lk_status keep_for_sheet(predict_run *run, const lk_photo_face *face)
{
    size_t bytes = (size_t)run->setup->size * (size_t)run->setup->size * 3;
    const uint8_t *parts[3];
    int part_count = parts_of(run, face, parts);
    if (!run->values->sheet || run->sheet_faces == SHEET_FACES)
        return LK_OK;
    for (int k = 0; k < part_count; k++) {
        uint8_t *larger = realloc(run->sheet[k], (size_t)(run->sheet_faces + 1) * bytes);
        if (!larger)
            return lk_fail(LK_INTERNAL, "out of memory for the sheet");
        run->sheet[k] = larger;
        memcpy(larger + (size_t)run->sheet_faces * bytes, parts[k], bytes);
    }
    run->sheet_faces++;
    return LK_OK;
}

static lk_status take_line(void *context, const lk_photo_face *face)
{
    predict_run *run = context;
    LK_TRY(print_line(run, face));
    if (face->refused)
        return LK_OK;
    run->faces++;
    return keep_for_sheet(run, face);
}

/* ---- the whole ---- */

static lk_status begin(void *context, const lk_photo_setup *setup)
{
    predict_run *run = context;
    run->setup = setup;
    run->mhm = true;
    for (int g = 0; run->mhm && g < setup->schema->group_count; g++)
        run->mhm = !strpbrk(setup->schema->groups[g].name, " \t");
    if (!run->mhm)
        lk_info("no .mhm files: a group of the schema '%s' has spaces in its name", setup->schema->name);
    return LK_OK;
}

static lk_status save_sheet(void *context)
{
    const predict_run *run = context;
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
    LK_TRY(lk_lay_triptychs(run->setup->size, count, part_count, parts, columns, &page));
    lk_status status = lk_image_save_png(run->values->sheet, &page);
    lk_image_free(&page);
    return status;
}

static lk_status run(void *values, char **arguments, int count)
{
    predict_run run = {.values = values};
    const lk_photo_calls calls = {.command = "predict",
                                  .folder = run.values->folder,
                                  .sheet = run.values->sheet,
                                  .tails = {"-decoded", "-client"},
                                  .begin = begin,
                                  .face = write_face,
                                  .line = take_line,
                                  .finish = save_sheet,
                                  .context = &run};
    lk_status status = lk_make_folder(run.values->folder);
    if (status == LK_OK)
        status = lk_photo_faces_run(&run.values->photos, run.values->model, arguments, count, &calls);
    for (int k = 0; k < 3; k++)
        free(run.sheet[k]);
    return status;
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
    .defaults = &(predict_values){.photos = LK_PHOTO_DEFAULTS},
    .takes = "photos, folders or archives",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
