/* likeness align (commands.h): photos into crops with the eyes at their places. */
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "dataset/align/align.h"
#include "dataset/align/draw.h"
#include "dataset/align/exif.h"
#include "dataset/pack/pairing.h"
#include "dataset/pack/pipeline.h"
#include "dataset/pack/source.h"
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
/* Photos at once, and what they may take together; a single one may take more. */
enum { DEPTH = 32, MEMORY_INSIDE = 1 << 30 };

typedef struct photo {
    char stem[STEM_SIZE]; /* name of the outputs without ending */
    char *origin;         /* path, or name in the archive */
    uint8_t *data;        /* NULL where `line` says already why it cannot be read */
    size_t size;
    int64_t cost;
    char *line; /* what is printed about it */
    int crops;
    lk_error error;
} photo;

typedef struct align_run {
    const align_values *values;
    int threads;
    lk_face_model *model;
    lk_aligner **aligners;
    lk_pipeline *pipeline;
    lk_pairing *stems; /* those that are taken */
    int64_t inside, inside_bytes;
    int64_t photos, crops, others; /* others: files in folders and archives that are no photos */
} align_run;

static void free_photo(photo *p)
{
    free(p->origin);
    free(p->data);
    free(p->line);
    free(p);
}

/* ---- one photo ---- */

static lk_status save(const align_run *run, const char *stem, const char *tail, const lk_image *image)
{
    char name[STEM_SIZE + 32], path[LK_PATH_SIZE];
    snprintf(name, sizeof name, "%s%s.png", stem, tail);
    LK_TRY(lk_path_join(path, run->values->folder, name));
    return lk_image_save_png(path, image);
}

static lk_status write_faces(const align_run *run, photo *p, lk_image *image, lk_aligned *faces, int count, FILE *line)
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
            p->crops++;
        }
        if (run->values->draw)
            lk_draw_aligned(image, face, size);
    }
    return run->values->draw ? save(run, p->stem, "-drawn", image) : LK_OK;
}

static lk_status align_photo(const align_run *run, photo *p, lk_aligner *aligner, FILE *line)
{
    lk_image image = {0};
    lk_aligned faces[LK_MAX_FACES];
    int count = 0;
    const char *rejected = NULL;
    lk_status status;
    LK_TRY_OR(done, lk_image_decode(p->data, p->size, MAX_PHOTO_PIXELS, p->origin, &image));
    LK_TRY_OR(done, lk_exif_apply(lk_exif_orientation(p->data, p->size), &image));
    status = lk_align(aligner, &image, faces, &count, &rejected);
    if (status != LK_OK) {
        lk_fail_in(status, "%s", p->origin);
        goto done;
    }
    if (rejected)
        fprintf(line, "%s: %s", p->stem, rejected);
    status = write_faces(run, p, &image, faces, count, line);
done:
    lk_aligned_free(faces, count);
    lk_image_free(&image);
    return status;
}

/* A photo that cannot be read is a line, not the end of all others; but several faces under --faces error are. */
static void work(void *context, void *job, int worker)
{
    const align_run *run = context;
    photo *p = job;
    size_t size;
    if (!p->data)
        return;
    FILE *line = open_memstream(&p->line, &size);
    lk_status status = line ? align_photo(run, p, run->aligners[worker], line) : LK_OK;
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

/* Takes the oldest photo out of the pipeline and prints what became of it. */
static lk_status print_oldest(align_run *run)
{
    photo *p = lk_pipeline_take(run->pipeline);
    lk_status status = p->error.status != LK_OK ? lk_error_put(&p->error) : LK_OK;
    run->inside--;
    run->inside_bytes -= p->cost;
    run->crops += p->crops;
    print_lines(p->line ? p->line : "");
    free_photo(p);
    return status;
}

/* Takes `data` over; where it is NULL `why` is printed instead. `key` is what the outputs are called, slashes become "_": no name
 * out of an archive is a path. */
static lk_status add_photo(align_run *run, const char *key, const char *origin, uint8_t *data, size_t size, const char *why)
{
    photo *p = calloc(1, sizeof *p);
    char shown[LK_SHOWN_NAME];
    lk_name_show(origin, shown, sizeof shown);
    char *kept = strdup(shown);
    if (!p || !kept || (!data && asprintf(&p->line, "%s: %s", shown, why) < 0)) {
        free(data);
        free(kept);
        free(p);
        return lk_fail(LK_INTERNAL, "out of memory for %s", shown);
    }
    snprintf(p->stem, sizeof p->stem, "%s", key);
    for (char *c = p->stem; *c; c++)
        if (*c == '/')
            *c = '_';
    p->origin = kept;
    p->data = data;
    p->size = size;
    p->cost = (int64_t)size + LK_ALIGNING_COST * lk_image_pixels(data, size);
    run->photos++;
    lk_pairing_state state = LK_WANTED;
    lk_status status = key[0] ? lk_pairing_see(run->stems, p->stem, true, &state) : LK_OK;
    if (state == LK_DUPLICATE)
        status = lk_fail(LK_USAGE, "align: %s would become %s.png, as another photo has already; align them into two folders",
                         shown, p->stem);
    while (status == LK_OK && run->inside > 0 && (lk_pipeline_full(run->pipeline) || run->inside_bytes + p->cost > MEMORY_INSIDE))
        status = print_oldest(run);
    if (status != LK_OK) {
        free_photo(p);
        return status;
    }
    run->inside++;
    run->inside_bytes += p->cost;
    lk_pipeline_give(run->pipeline, p);
    return LK_OK;
}

static lk_status add_file(align_run *run, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    char stem[STEM_SIZE], *data = NULL;
    size_t length = dot && dot > name ? (size_t)(dot - name) : strlen(name), size = 0;
    if (length == 0 || length >= STEM_SIZE)
        return lk_fail(LK_USAGE, "align: '%.80s' is no photo, or its name is longer than %d bytes", path, STEM_SIZE - 1);
    snprintf(stem, sizeof stem, "%.*s", (int)length, name);
    lk_status status = lk_read_file(path, MAX_PHOTO_BYTES, &data, &size);
    if (status != LK_OK && status != LK_BAD_DATA)
        return status;
    char why[LK_ERROR_SIZE] = "";
    if (status != LK_OK)
        snprintf(why, sizeof why, "%s", lk_error_text());
    return add_photo(run, stem, path, (uint8_t *)data, size, why);
}

static lk_status add_entry(align_run *run, lk_source *source, const lk_entry *entry)
{
    lk_name_kind kind;
    char key[LK_KEY_SIZE], why[LK_ERROR_SIZE];
    const char *refused = lk_name_read(entry->name, &kind, key);
    uint8_t *data = NULL;
    size_t size = 0;
    if (!refused && kind != LK_NAME_PICTURE) {
        run->others++;
        return LK_OK;
    }
    if (!refused)
        refused = strlen(key) < STEM_SIZE ? entry->refused : "name too long";
    if (refused)
        return add_photo(run, "", entry->name, NULL, 0, refused);
    LK_TRY(lk_source_read(source, MAX_PHOTO_BYTES, &data, &size, &refused));
    if (refused)
        snprintf(why, sizeof why, "%s: %s", refused, lk_error_text());
    return add_photo(run, key, entry->name, data, size, why);
}

static lk_status add_source(align_run *run, const char *path)
{
    static const lk_limits limits = {
        .entry_bytes = MAX_PHOTO_BYTES, .total_bytes = (int64_t)1 << 40, .entries = (int64_t)1 << 24, .depth = 32};
    lk_source *source;
    lk_entry entry;
    LK_TRY(lk_source_open(path, &limits, &source));
    lk_status status = LK_OK;
    while (status == LK_OK && (status = lk_source_next(source, &entry)) == LK_OK && entry.name)
        status = add_entry(run, source, &entry);
    lk_source_close(source);
    return status;
}

/* Folders, archives by their names, and standard input; all else is a photo, however it is called. */
static lk_status is_source(const char *path, bool *is)
{
    lk_name_kind kind;
    lk_path_kind on_disk;
    char key[LK_KEY_SIZE];
    const char *slash = strrchr(path, '/');
    lk_name_read(slash ? slash + 1 : path, &kind, key);
    LK_TRY(lk_path_look(path, &on_disk));
    *is = on_disk == LK_FOLDER || strcmp(path, "-") == 0 || kind == LK_NAME_ARCHIVE;
    return LK_OK;
}

static lk_status align_all(align_run *run, char **arguments, int count)
{
    LK_TRY(lk_face_model_open(run->values->landmarks, &run->model));
    run->aligners = calloc((size_t)run->threads, sizeof *run->aligners);
    if (!run->aligners)
        return lk_fail(LK_INTERNAL, "out of memory for %d threads", run->threads);
    for (int i = 0; i < run->threads; i++)
        LK_TRY(lk_aligner_create(run->model, &run->values->align, &run->aligners[i]));
    LK_TRY(lk_pairing_create(MEMORY_INSIDE, &run->stems));
    LK_TRY(lk_make_folder(run->values->folder));
    LK_TRY(lk_pipeline_start(run->threads, DEPTH, work, run, &run->pipeline));
    lk_status status = LK_OK;
    for (int i = 0; i < count && status == LK_OK; i++) {
        bool source = false;
        status = is_source(arguments[i], &source);
        if (status == LK_OK)
            status = source ? add_source(run, arguments[i]) : add_file(run, arguments[i]);
    }
    while (run->inside > 0 && status == LK_OK)
        status = print_oldest(run);
    LK_TRY(status);
    if (run->others > 0)
        lk_info("align: passed over %lld files that are no photos", (long long)run->others);
    if (run->crops == 0)
        return lk_fail(LK_BAD_DATA, "no face of %lld photos could be taken", (long long)run->photos);
    return LK_OK;
}

static lk_status run(void *values, char **arguments, int count)
{
    const align_values *v = values;
    align_run run = {.values = v, .threads = v->threads ? v->threads : lk_core_count()};
    bool files = true;
    for (int i = 0; i < count; i++) {
        bool source;
        LK_TRY(is_source(arguments[i], &source));
        files = files && !source;
    }
    if (files && run.threads > count)
        run.threads = count;
    lk_status status = align_all(&run, arguments, count);
    if (run.pipeline)
        for (photo *p; (p = lk_pipeline_take(run.pipeline)) != NULL;)
            free_photo(p);
    lk_pipeline_stop(run.pipeline);
    for (int i = 0; run.aligners && i < run.threads; i++)
        lk_aligner_free(run.aligners[i]);
    free(run.aligners);
    lk_pairing_free(run.stems);
    lk_face_model_close(run.model);
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
