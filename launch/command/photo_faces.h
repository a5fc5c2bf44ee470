/* The faces of photos and what a model says of them, for predict and evaluate --photos: each photo of the command line is aligned
 * (photos.h), its faces go through the predictor in batches and are decoded, and callbacks get each face with all of that, in
 * the order of the photos.
 */
#ifndef LK_LAUNCH_COMMAND_PHOTO_FACES_H
#define LK_LAUNCH_COMMAND_PHOTO_FACES_H

#include "dataset/align/align.h"
#include "dataset/client/any_client.h"
#include "dataset/schema.h"
#include "launch/command/align.h"
#include "launch/command/options.h"
#include "launch/command/photos.h"

#include <stdbool.h>
#include <stdint.h>

enum { LK_FACE_NAME = LK_STEM_SIZE + 16 };

typedef struct lk_photo_options {
    lk_align_options align; /* but its size, which is the model's */
    const char *decoder, *landmarks, *client, *assets;
    double client_seconds;
    bool aligned;
    int threads; /* 0: the cores */
    lk_device_choice device;
} lk_photo_options;

/* clang-format off */
#define LK_PHOTO_DEFAULTS {.align = LK_ALIGN_DEFAULTS, .client_seconds = 30, .device = LK_ON_CPU}

/* Rows for an lk_photo_options in a command's struct: those of the client and the device, and all others. */
#define LK_CLIENT_OPTIONS(type, photos)                                                                                        \
    LK_DEVICE_OPTION(type, photos.device),                                                                                     \
    {LK_OPTION_TEXT, "client", "COMMAND",                                                                                      \
     "another game client, run by /bin/sh once a face: {params} becomes the path of\n"                                         \
     "NAME.json, {picture} the path where a square PNG or JPEG is expected",                                                   \
     LK_TARGET(type, photos.client)},                                                                                          \
    {LK_OPTION_PATH, "assets", "FOLDER", "MakeHuman's data folder, if the schema names assets of it (see render)",              \
     LK_TARGET(type, photos.assets)},                                                                                          \
    {LK_OPTION_REAL, "client-seconds", "S", "what COMMAND may take for one face",                                              \
     LK_TARGET(type, photos.client_seconds), .low = 0.01, .high = 86400}
#define LK_PHOTO_OPTIONS(type, photos)                                                                                         \
    {LK_OPTION_PATH, "decoder", "MODEL", "the decoder that draws D(p); else the one that the run of MODEL was trained with",   \
     LK_TARGET(type, photos.decoder)},                                                                                         \
    {LK_OPTION_FLAG, "aligned", NULL, "the photos are crops of likeness align, or pictures of the client: taken as they are",  \
     LK_TARGET(type, photos.aligned)},                                                                                         \
    LK_ALIGN_OPTIONS(type, photos.align, photos.landmarks),                                                                    \
    {LK_OPTION_INT, "threads", "N", "(the cores)", LK_TARGET(type, photos.threads), .low = 1, .high = 256}
/* clang-format on */

/* What is open while faces are predicted. */
typedef struct lk_photo_setup {
    const lk_schema *schema;
    int size, threads;          /* S: edge of a crop; how many call `face` at once */
    bool can_draw;              /* there is a decoder */
    const lk_face_model *model; /* NULL with --aligned, where `look` does not need it */
    lk_any_client *client;      /* NULL: none for this schema; why is in the log */
} lk_photo_setup;

/* A face, or why there is none. */
typedef struct lk_photo_face {
    char name[LK_FACE_NAME]; /* of its files, without ending */
    char *photo;             /* path, or name in the archive, as it may be shown */
    char *refused;           /* NULL: it is a face, and the rest is filled in */
    const uint8_t *crop;     /* [S,S,3] */
    const uint8_t *decoded;  /* [S,S,3]: D(p); NULL without a decoder */
    uint8_t *drawn;          /* [S,S,3]: for `face` to keep the client's picture in until `line` */
    const float *continuous, *certainty;
    const uint8_t *discrete;
    void *extra; /* what `look` made, for `face` to add to */
} lk_photo_face;

typedef struct lk_photo_calls {
    const char *command;  /* "predict": for messages */
    const char *folder;   /* where what is written goes, and another client's files may be for a moment */
    const char *sheet;    /* another file that is written, NULL: none */
    const char *tails[2]; /* of the files beside NAME.png (lk_photos) */
    int client_size;      /* edge of the built-in client's pictures; 0: S */
    size_t extra_bytes;   /* of the zeros that `look` fills in, a face */
    /* On a thread of its own kind, each face in its photo; `face` NULL: the photo is a crop (--aligned). NULL: nobody looks. */
    lk_status (*look)(void *context, lk_aligner *aligner, const lk_image *photo, const lk_aligned *face, void *extra);
    /* Before the first photo. `setup` stays until the end of the run. */
    lk_status (*begin)(void *context, const lk_photo_setup *setup);
    /* On one of the threads, each face of a batch. */
    lk_status (*face)(void *context, const lk_photo_face *face, int worker);
    /* On the calling thread, each face and each refusal in order, after `face`. */
    lk_status (*line)(void *context, const lk_photo_face *face);
    /* After the last photo. */
    lk_status (*finish)(void *context);
    void *context;
} lk_photo_calls;

/* Opens `model` (lk_predictor_open) and goes through the photos, folders and archives. LK_BAD_DATA if there was no face. */
lk_status lk_photo_faces_run(const lk_photo_options *options, const char *model, char **paths, int count,
                             const lk_photo_calls *calls);

#endif
