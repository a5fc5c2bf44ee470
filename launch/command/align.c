/* likeness align: photos into crops with the eyes at their places. */
#include "base/file.h"
#include "base/thread.h"
#include "dataset/align/align.h"
#include "dataset/align/draw.h"
#include "dataset/align/exif.h"
#include "dataset/pack/names.h"
#include "launch/command/commands.h"
#include "launch/command/options.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char HELP[] =
    "usage: likeness align PHOTO... -o FOLDER [--size S] [--draw]\n"
    "\n"
    "Finds the face of each photo (JPEG or PNG, EXIF orientation obeyed) and writes FOLDER/NAME.png with the eyes at the places that\n"
    "the encoder expects; with --faces all NAME-1.png, NAME-2.png ... A photo whose face breaks a rule gets no crop, and a line\n"
    "that says which.\n"
    "\n"
    "  -o, --output FOLDER    where crops go\n"
    "      --size S           edge of a crop in pixels (128)\n"
    "      --draw             write NAME-drawn.png too: the photo with the box, landmarks and frame of the crop\n"
    "      --faces WHICH      of several: central (the largest near the middle), all, one (reject the photo), error (stop)\n"
    "      --max-enlarge X    \"too small\": a face that would be enlarged more than this (2)\n"
    "      --max-turn DEG     \"turned away\": further than this from the camera (40)\n"
    "      --min-sharpness X  \"blurred\": less sharp than this (0.015)\n"
    "      --max-outside X    \"cut off\": share of the crop outside the photo (0.25)\n"
    "      --landmarks FILE   dlib's model of 68 landmarks, where it is not installed\n"
    "      --threads N        (the cores)\n";

enum { MAX_PHOTO_BYTES = 256 << 20, MAX_PHOTO_PIXELS = 200000000, STEM_SIZE = 200 };

typedef struct align_run {
    lk_align_options options;
    const char *folder, *landmarks;
    bool draw;
    int threads, count;
    char **photos;
    char (*stems)[STEM_SIZE]; /* names of the outputs without ending */
    char **lines;             /* what is printed about each photo */
    int *crops;               /* how many each gave */
    lk_face_model *model;
    lk_aligner **aligners;
} align_run;

static lk_status parse_options(int argc, char **argv, align_run *run, bool *help)
{
    enum { SIZE = 256, DRAW, FACES, ENLARGE, TURN, SHARPNESS, OUTSIDE, LANDMARKS, THREADS };
    static const struct option LONG[] = {{"output", required_argument, NULL, 'o'},
                                         {"size", required_argument, NULL, SIZE},
                                         {"draw", no_argument, NULL, DRAW},
                                         {"faces", required_argument, NULL, FACES},
                                         {"max-enlarge", required_argument, NULL, ENLARGE},
                                         {"max-turn", required_argument, NULL, TURN},
                                         {"min-sharpness", required_argument, NULL, SHARPNESS},
                                         {"max-outside", required_argument, NULL, OUTSIDE},
                                         {"landmarks", required_argument, NULL, LANDMARKS},
                                         {"threads", required_argument, NULL, THREADS},
                                         {"help", no_argument, NULL, 'h'},
                                         {NULL, 0, NULL, 0}};
    optind = 1;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":o:h", LONG, NULL)) != -1;) {
        lk_status status = LK_OK;
        switch (c) {
        case 'o': run->folder = optarg; break;
        case 'h': *help = true; return LK_OK;
        case SIZE: status = lk_option_whole_int("align", "size", optarg, 16, 2048, &run->options.size); break;
        case DRAW: run->draw = true; break;
        case FACES: status = lk_option_faces("align", optarg, &run->options.faces); break;
        case ENLARGE: status = lk_option_real("align", "max-enlarge", optarg, 0.01, 1000, &run->options.max_enlarge); break;
        case TURN: status = lk_option_real("align", "max-turn", optarg, 0, 180, &run->options.max_turn); break;
        case SHARPNESS: status = lk_option_real("align", "min-sharpness", optarg, 0, 100, &run->options.min_sharpness); break;
        case OUTSIDE: status = lk_option_real("align", "max-outside", optarg, 0, 1, &run->options.max_outside); break;
        case LANDMARKS: run->landmarks = optarg; break;
        case THREADS: status = lk_option_whole_int("align", "threads", optarg, 1, 256, &run->threads); break;
        default: return lk_option_unknown("align", c, argv, optind);
        }
        LK_TRY(status);
    }
    run->photos = argv + optind;
    run->count = argc - optind;
    if (run->count == 0 || !run->folder)
        return lk_fail(LK_USAGE, "align: needs photos and -o FOLDER; likeness align --help says more");
    return LK_OK;
}

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
    LK_TRY(lk_path_join(path, run->folder, name));
    return lk_image_save_png(path, image);
}

static lk_status write_faces(align_run *run, int i, lk_image *photo, lk_aligned *faces, int count, FILE *line)
{
    for (int k = 0; k < count; k++) {
        const lk_aligned *face = &faces[k];
        char tail[16] = "";
        if (run->options.faces == LK_FACE_ALL)
            snprintf(tail, sizeof tail, "-%d", k + 1);
        fprintf(line, "%s%s%s: %s (enlarged %.2f times, turned %.0f degrees, rolled %.0f, sharpness %.4f, %.0f %% outside)",
                k ? "\n" : "", run->stems[i], tail, face->rejected ? face->rejected : "taken", face->enlarge, face->turn,
                face->roll, face->sharpness, 100 * face->outside);
        if (!face->rejected) {
            LK_TRY(save(run, run->stems[i], tail, &(lk_image){run->options.size, run->options.size, face->crop}));
            run->crops[i]++;
        }
        if (run->draw)
            lk_draw_aligned(photo, face, run->options.size);
    }
    return run->draw ? save(run, run->stems[i], "-drawn", photo) : LK_OK;
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
    if (status == LK_BAD_DATA && run->options.faces != LK_FACE_ERROR) {
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
    LK_TRY(lk_face_model_open(run->landmarks, &run->model));
    for (int i = 0; i < run->threads; i++)
        LK_TRY(lk_aligner_create(run->model, &run->options, &run->aligners[i]));
    LK_TRY(lk_make_folder(run->folder));
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

lk_status lk_command_align(int argc, char **argv)
{
    align_run run = {.options = LK_ALIGN_DEFAULTS, .threads = lk_core_count()};
    bool help = false;
    LK_TRY(parse_options(argc, argv, &run, &help));
    if (help) {
        fputs(HELP, stdout);
        return LK_OK;
    }
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
