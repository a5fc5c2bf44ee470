/* The options that say how faces are aligned, for the tables of likeness align and likeness pack. */
#ifndef LK_LAUNCH_COMMAND_ALIGN_H
#define LK_LAUNCH_COMMAND_ALIGN_H

#include "dataset/align/align.h"
#include "launch/command/options.h"

/* Rows for the rules of an lk_align_options and the path of the landmarks' model in a command's struct. */
#define LK_ALIGN_RULES(type, align, landmarks)                                                                                   \
    {LK_OPTION_REAL,                                                                                                             \
     "max-enlarge",                                                                                                              \
     "X",                                                                                                                        \
     "\"too small\": a face that would be enlarged more than this",                                                              \
     LK_TARGET(type, align.max_enlarge),                                                                                         \
     .low = 0.01,                                                                                                                \
     .high = 1000},                                                                                                              \
        {LK_OPTION_REAL,                                                                                                         \
         "max-turn",                                                                                                             \
         "DEGREES",                                                                                                              \
         "\"turned away\": further than this from the camera",                                                                   \
         LK_TARGET(type, align.max_turn),                                                                                        \
         .high = 180},                                                                                                           \
        {LK_OPTION_REAL, "min-sharpness", "X", "\"blurred\": less sharp than this", LK_TARGET(type, align.min_sharpness),        \
         .high = 100},                                                                                                           \
        {LK_OPTION_REAL,                                                                                                         \
         "max-outside",                                                                                                          \
         "SHARE",                                                                                                                \
         "\"cut off\": more of the crop outside the photo",                                                                      \
         LK_TARGET(type, align.max_outside),                                                                                     \
         .high = 1},                                                                                                             \
    {                                                                                                                            \
        LK_OPTION_PATH, "landmarks", "FILE", "dlib's model of 68 landmarks, where it is not installed",                          \
            LK_TARGET(type, landmarks)                                                                                           \
    }

/* The same for all of it but its size. */
#define LK_ALIGN_OPTIONS(type, align, landmarks)                                                                                 \
    {LK_OPTION_CHOICE,                                                                                                           \
     "faces",                                                                                                                    \
     NULL,                                                                                                                       \
     "of several: central (the largest near the middle), all, one (reject the\nphoto), error (stop)",                            \
     LK_TARGET(type, align.faces),                                                                                               \
     .choices = "central|all|one|error"},                                                                                        \
        LK_ALIGN_RULES(type, align, landmarks)

#endif
