/* likeness align (commands.h): photos into crops with the eyes at their places. */
#include "base/file.h"
#include "base/thread.h"
#include "dataset/align/align.h"
#include "dataset/align/draw.h"
#include "dataset/align/exif.h"
#include "dataset/pack/names.h"
#include "launch/command/align.h"
#include "launch/command/commands.h"

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

enum { MAX_PHOTO_BYTES = 256 << 20, MAX_PHOTO_PIXELS = 200000000, STEM_SIZE = 200 };

typedef struct align_run {
    const align_values *values;
    int threads, count;
    char **photos;
    char (*stems)[STEM_SIZE]; /* names of the outputs without ending */
    char **lines;             /* what is printed about each photo */
    int *crops;               /* how many each gave */
    lk_face_model *model;
    lk_aligner **aligners;
} align_run;

/* The name of a photo's outputs: that of the file. Two photos of one name would overwrite each other. */
static lk_status name_outputs(align_run *run)
{
    for (int i = 0; i < run->count; i++) {
        const char *slash = strrchr(run->photos[i], '/'), *name = slash ? slash + 1 : run->photos[i];
        const char *dot = strrchr(name, '.');
        size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name);
        if (length == 0 || length >= STEM_SIZE)
            return lk_fail(LK_USAGE, "align: '%.80s' is no photo, or its name is longer than %d bytes", run->photos[i],
                           STEM_SIZE - 1);
        memcpy(run->stems[i], name, length);
        for (int k = 0; k < i; k++)
            if (strcmp(run->stems[i], run->stems[k]) == 0)
                return lk_fail(LK_USAGE, "align: %.200s and %.200s would both become %s.png; align them into two folders",
                               run->photos[k], run->photos[i], run->stems[i]);
    }
    return LK_OK;
}

/* ---- one photo ---- */

static lk_status save(const align_run *run, const char *stem, const char *tail, const lk_image *image)
{
    char name[STEM_SIZE + 32], path[LK_PATH_SIZE];
    snprintf(name, sizeof name, "%s%s.png", stem, tail);
    LK_TRY(lk_path_join(path, run->values->folder, name));
    return lk_image_save_png(path, image);
}

static lk_status write_faces(align_run *run, int i, lk_image *photo, lk_aligned *faces, int count, FILE *line)
{
    for (int k = 0; k < count; k++) {
        const lk_aligned *face = &faces[k];
        char tail[16] = "";
        if (run->values->align.faces == LK_FACE_ALL)
            snprintf(tail, sizeof tail, "-%d", k + 1);
        fprintf(line, "%s%s%s: %s (enlarged %.2f times, turned %.0f degrees, rolled %.0f, sharpness %.4f, %.0f %% outside)",
                k ? "\n" : "", run->stems[i], tail, face->rejected ? face->rejected : "taken", face->enlarge, face->turn,
                face->roll, face->sharpness, 100 * face->outside);
        if (!face->rejected) {
            LK_TRY(save(run, run->stems[i], tail, &(lk_image){run->values->align.size, run->values->align.size, face->crop}));
            run->crops[i]++;
        }
        if (run->values->draw)
            lk_draw_aligned(photo, face, run->values->align.size);
    }
    return run->values->draw ? save(run, run->stems[i], "-drawn", photo) : LK_OK;
}

static lk_status align_photo(align_run *run, int i, lk_aligner *aligner, FILE *line)
{
    char *data;
    size_t size;
    lk_image photo = {0};
    lk_aligned faces[LK_MAX_FACES];
    int count = 0;
    const char *rejected = NULL;
    LK_TRY(lk_read_file(run->photos[i], MAX_PHOTO_BYTES, &data, &size));
    lk_status status;
    LK_TRY_OR(done, lk_image_decode(data, size, MAX_PHOTO_PIXELS, run->photos[i], &photo));
    LK_TRY_OR(done, lk_exif_apply(lk_exif_orientation((const uint8_t *)data, size), &photo));
    status = lk_align(aligner, &photo, faces, &count, &rejected);
    if (status != LK_OK) {
        lk_fail_in(status, "%s", run->photos[i]);
        goto done;
    }
    if (rejected)
        fprintf(line, "%s: %s", run->stems[i], rejected);
    status = write_faces(run, i, &photo, faces, count, line);
done:
    lk_aligned_free(faces, count);
    lk_image_free(&photo);
    free(data);
    return status;
}

/* A photo that cannot be read is a line, not the end of all others; but several faces under --faces error are. */
static lk_status align_item(void *context, int64_t i, int worker)
{
    align_run *run = context;
    size_t size;
    FILE *line = open_memstream(&run->lines[i], &size);
    if (!line)
        return lk_fail(LK_INTERNAL, "out of memory for %s", run->photos[i]);
    lk_status status = align_photo(run, (int)i, run->aligners[worker], line);
    if (status == LK_BAD_DATA && run->values->align.faces != LK_FACE_ERROR) {
        fprintf(line, "%s: %s", run->stems[i], lk_error_text());
        status = LK_OK;
    }
    if (fclose(line) != 0 && status == LK_OK)
        status = lk_fail(LK_INTERNAL, "out of memory for %s", run->photos[i]);
    return status;
}

/* ---- all photos ---- */

static lk_status align_all(align_run *run)
{
    LK_TRY(name_outputs(run));
    LK_TRY(lk_face_model_open(run->values->landmarks, &run->model));
    for (int i = 0; i < run->threads; i++)
        LK_TRY(lk_aligner_create(run->model, &run->values->align, &run->aligners[i]));
    LK_TRY(lk_make_folder(run->values->folder));
    lk_status status = lk_parallel_for(run->threads, run->count, align_item, run);
    int crops = 0;
    for (int i = 0; i < run->count; i++) {
        char shown[2048];
        const char *rest = run->lines[i] ? run->lines[i] : "";
        for (size_t length; *rest; rest += length + (rest[length] == '\n')) {
            length = strcspn(rest, "\n");
            char one[1024];
            snprintf(one, sizeof one, "%.*s", (int)(length < sizeof one ? length : sizeof one - 1), rest);
            lk_name_show(one, shown, sizeof shown);
            puts(shown);
        }
        crops += run->crops[i];
    }
    LK_TRY(status);
    if (crops == 0)
        return lk_fail(LK_BAD_DATA, "no face of %d photos could be taken", run->count);
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    const align_values *v = values;
    align_run run = {.values = v, .photos = arguments, .count = count, .threads = v->threads ? v->threads : lk_core_count()};
    if (run.threads > run.count)
        run.threads = run.count;
    run.stems = calloc((size_t)run.count, sizeof *run.stems);
    run.lines = calloc((size_t)run.count, sizeof *run.lines);
    run.crops = calloc((size_t)run.count, sizeof *run.crops);
    run.aligners = calloc((size_t)run.threads, sizeof *run.aligners);
    lk_status status = run.stems && run.lines && run.crops && run.aligners
                           ? align_all(&run)
                           : lk_fail(LK_INTERNAL, "out of memory for %d photos", run.count);
    for (int i = 0; run.lines && i < run.count; i++)
        free(run.lines[i]);
    for (int i = 0; run.aligners && i < run.threads; i++)
        lk_aligner_free(run.aligners[i]);
    lk_face_model_close(run.model);
    free(run.stems);
    free(run.lines);
    free(run.crops);
    free(run.aligners);
    return status;
}

const lk_command lk_command_align = {
    .name = "align",
    .summary = "cut faces out of photos, eyes at their places",
    .usage = "PHOTO... -o FOLDER [OPTIONS]",
    .about =
        "Finds the face of each photo (JPEG or PNG, EXIF orientation obeyed) and writes FOLDER/NAME.png with the eyes at the\n"
        "places that the encoder expects; with --faces all NAME-1.png, NAME-2.png ... A photo whose face breaks a rule gets no\n"
        "crop, and a line that says which.",
    .options = option_table,
    .size = sizeof(align_values),
    .defaults = &(align_values){.align = LK_ALIGN_DEFAULTS},
    .takes = "photos",
    .least = 1,
    .most = LK_ANY_NUMBER,
    .run = run};
