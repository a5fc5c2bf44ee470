/* likeness evaluate MODEL --photos: judges a model on photos of people, with pictures. */
#ifndef LK_LAUNCH_COMMAND_EVALUATE_PHOTOS_H
#define LK_LAUNCH_COMMAND_EVALUATE_PHOTOS_H

#include "base/error.h"
#include "launch/command/photo_faces.h"

typedef struct lk_evaluate_photos {
    const char *model, *photos; /* a run, checkpoint or weights file; a photo, folder or archive */
    const char *table;          /* what a person sees; NULL: not judged */
    const char *identity;       /* dlib's model of face descriptors; NULL: identity is not measured */
    const char *folder;         /* gets photos.json and photos.png */
    lk_photo_options options;
} lk_evaluate_photos;

/* Prints the result on standard output. */
lk_status lk_evaluate_photos_run(const lk_evaluate_photos *values);

#endif
