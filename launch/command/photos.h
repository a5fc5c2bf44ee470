/* The photos of a command line, for align and predict: files, folders and archives one after the other, each photo worked on by
 * several threads and taken out again in the order in which it came.
 *
 *     lk_photos photos = {.command = "align", .output = ".png", .folder = folder, .align = &options, .model = model,
 *                         .work = work, .take = take, .forget = forget, .context = context};
 *     lk_status status = lk_photos_run(&photos, paths, count);
 */
#ifndef LK_LAUNCH_COMMAND_PHOTOS_H
#define LK_LAUNCH_COMMAND_PHOTOS_H

#include "base/error.h"
#include "dataset/align/align.h"

#include <stddef.h>
#include <stdint.h>

enum { LK_STEM_SIZE = 200, LK_PHOTO_NAME = 512, LK_PHOTO_PIXELS = 200000000 };

typedef struct lk_photo {
    char stem[LK_STEM_SIZE]; /* name of the outputs without ending; "": the entry's own name is no name for a file */
    char *origin;            /* path, or name in the archive, as it may be shown (lk_name_show): under LK_PHOTO_NAME bytes */
    uint8_t *data;           /* NULL where it cannot be read */
    size_t size;
    char *unread; /* why not */
    int64_t cost;
    void *made; /* by `work`, for `take` */
    lk_error error;
} lk_photo;

typedef struct lk_photos {
    const char *command, *output;  /* "align", ".png": for messages */
    const char *folder;            /* where the outputs go; NULL: none are written. No photo of it is taken */
    const char *sheet;             /* the value of --sheet, written besides; NULL: none */
    const char *tails[2];          /* "-drawn": outputs beside NAME.png that other photos' might be called like */
    const lk_align_options *align; /* with `model`, for an aligner a thread; NULL: no face is looked for */
    const lk_face_model *model;
    int threads; /* 0: the cores; lowered where there are fewer photos */
    /* On a thread, of each photo that has data. What goes wrong is kept in the photo; `error` ends all. */
    void (*work)(void *context, lk_photo *photo, lk_aligner *aligner);
    /* On the calling thread, of every photo, in order. */
    lk_status (*take)(void *context, lk_photo *photo);
    void (*forget)(void *made); /* frees what `work` made; not called for NULL */
    void *context;

    int64_t count; /* photos that came */
} lk_photos;

/* LK_BAD_DATA where no photo came. */
lk_status lk_photos_run(lk_photos *photos, char **paths, int count);

#endif
