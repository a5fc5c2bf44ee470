/* likeness align (commands.h): photos into crops with the eyes at their places. */
#include "base/file.h"
#include "dataset/align/align.h"
#include "dataset/align/draw.h"
#include "dataset/align/exif.h"
#include "dataset/pack/names.h"
#include "launch/command/align.h"
#include "launch/command/commands.h"
#include "launch/command/photos.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct align_values {
    lk_align_options align;
    const char *folder, *landmarks;
    bool draw;
    int threads; /* 0: the cores */
} align_values;

static const lk_option option_table[] = {
    {LK_OPTION_PATH, "output", "FOLDER", "where crops go", LK_TARGET(align_values, folder), .letter = 'o', .required = true},
    {LK_OPTION_INT, "size", "S", "edge of a crop in pixels", LK_TARGET(align_values, align.size), .low = 16, .high = 2048},
    {LK_OPTION_FLAG, "draw", NULL, "write NAME-drawn.png too: the photo with the box, landmarks and frame of the crop",
     LK_TARGET(align_values, draw)},
    LK_ALIGN_OPTIONS(align_values, align, landmarks),
    {LK_OPTION_INT, "threads", "N", "(the cores)", LK_TARGET(align_values, threads), .low = 1, .high = 256},
    {0}};

/* What became of one photo. */
typedef struct outcome {
    char *line; /* what is printed about it */
    int crops;
} outcome;

typedef struct align_run {
    const align_values *values;
    int64_t crops;
} align_run;

static void forget(void *made)
{
    outcome *o = made;
    free(o->line);
    free(o);
}

/* ---- one photo ---- */

static lk_status save(const align_run *run, const char *stem, const char *tail, const lk_image *image)
{
    char name[LK_STEM_SIZE + 32], path[LK_PATH_SIZE];
    snprintf(name, sizeof name, "%s%s.png", stem, tail);
    LK_TRY(lk_path_join(path, run->values->folder, name));
    return lk_image_save_png(path, image);
}

static lk_status write_faces(const align_run *run, const lk_photo *p, lk_image *image, lk_aligned *faces, int count, FILE *line,
                             int *crops)
{
    int size = run->values->align.size;
    for (int k = 0; k < count; k++) {
        const lk_aligned *face = &faces[k];
        char tail[16] = "";
        if (run->values->align.faces == LK_FACE_ALL)
            snprintf(tail, sizeof tail, "-%d", k + 1);
        fprintf(line, "%s%s%s: %s (enlarged %.2f times, turned %.0f degrees, rolled %.0f, sharpness %.4f, %.0f %% outside)",
                k ? "\n" : "", p->stem, tail, face->rejected ? face->rejected : "taken", face->enlarge, face->turn, face->roll,
                face->sharpness, 100 * face->outside);
        if (!face->rejected) {
            LK_TRY(save(run, p->stem, tail, &(lk_image){size, size, face->crop}));
            ++*crops;
        }
        if (run->values->draw)
            lk_draw_aligned(image, face, size);
    }
    return run->values->draw ? save(run, p->stem, "-drawn", image) : LK_OK;
}

static lk_status align_photo(const align_run *run, const lk_photo *p, lk_aligner *aligner, FILE *line, int *crops)
{
    lk_image image = {0};
    lk_aligned faces[LK_MAX_FACES];
    int count = 0;
    const char *rejected = NULL;
    lk_status status;
    LK_TRY_OR(done, lk_photo_decode(p->data, p->size, LK_PHOTO_PIXELS, p->origin, &image));
    status = lk_align(aligner, &image, faces, &count, &rejected);
    if (status != LK_OK) {
        lk_fail_in(status, "%s", p->origin);
        goto done;
    }
    if (rejected)
        fprintf(line, "%s: %s", p->stem, rejected);
    status = write_faces(run, p, &image, faces, count, line, crops);
done:
    lk_aligned_free(faces, count);
    lk_image_free(&image);
    return status;
}

/* A photo that cannot be read is a line, not the end of all others; but several faces under --faces error are. */
static void work(void *context, lk_photo *p, lk_aligner *aligner)
{
    const align_run *run = context;
    outcome *made = p->made = calloc(1, sizeof *made);
    size_t size;
    FILE *line = made ? open_memstream(&made->line, &size) : NULL;
    lk_status status = line ? align_photo(run, p, aligner, line, &made->crops) : LK_OK;
    if (line && status == LK_BAD_DATA && run->values->align.faces != LK_FACE_ERROR) {
        fprintf(line, "%s: %s", p->stem, lk_error_text());
        status = LK_OK;
    }
    if ((!line || fclose(line) != 0) && status == LK_OK)
        status = lk_fail(LK_INTERNAL, "out of memory for %s", p->origin);
    if (status != LK_OK)
        lk_error_take(&p->error, status);
}

/* ---- all photos ---- */

static void print_lines(const char *rest)
{
    for (size_t length; *rest; rest += length + (rest[length] == '\n')) {
        char one[1024], shown[2048];
        length = strcspn(rest, "\n");
        snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one - 1), rest);
        lk_name_show(one, shown, sizeof shown);
        puts(shown);
    }
}

static lk_status take(void *context, lk_photo *p)
{
    align_run *run = context;
    const outcome *made = p->made;
    char unread[LK_ERROR_SIZE + LK_PHOTO_NAME];
    if (p->unread) {
        snprintf(unread, sizeof unread, "%s: %s", p->origin, p->unread);
        print_lines(unread);
    }
    if (made) {
        run->crops += made->crops;
        print_lines(made->line ? made->line : "");
    }
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    const align_values *v = values;
    align_run run = {.values = v};
    lk_photos photos = {.command = "align",
                        .output = ".png",
                        .folder = v->folder,
                        .tails = {v->draw && v->align.faces != LK_FACE_ALL ? "-drawn" : NULL},
                        .align = &v->align,
                        .threads = v->threads,
                        .work = work,
                        .take = take,
                        .forget = forget,
                        .context = &run};
    lk_face_model *model = NULL;
    lk_status status = lk_make_folder(v->folder);
    if (status == LK_OK)
        status = lk_face_model_open(v->landmarks, &model);
    photos.model = model;
    if (status == LK_OK)
        status = lk_photos_run(&photos, arguments, count);
    if (status == LK_OK && run.crops == 0)
        status = lk_fail(LK_BAD_DATA, "no face of %lld photos could be taken", (long long)photos.count);
    lk_face_model_close(model);
    return status;
}

const lk_command lk_command_align = {
    .name = "align",
    .summary = "cut faces out of photos, eyes at their places",
    .usage = "PHOTO|FOLDER|ARCHIVE... -o FOLDER [OPTIONS]",
    .about =
        "Finds the face of each photo (JPEG or PNG, EXIF orientation obeyed) and writes FOLDER/NAME.png with the eyes at the\n"
        "places that the encoder expects; with --faces all NAME-1.png, NAME-2.png ... A photo whose face breaks a rule gets no\n"
        "crop, and a line that says which. Of a folder or an archive (tar, plain or compressed, zip, 7z; - for standard input)\n"
        "each photo is taken; a/b.jpg becomes a_b.png.",
    .options = option_table,
    .size = sizeof(align_values),
    .defaults = &(align_values){.align = LK_ALIGN_DEFAULTS},
    .takes = "photos, folders or archives",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
