/* Another game client: a command that draws one face, run once a face, so that a studio sees its own game's faces.
 *
 * The command is a line for /bin/sh with two placeholders: {params} becomes the path of the face's parameter file (JSON,
 * docs/formats.md), {picture} the path at which the command must leave its picture, a square PNG or JPEG of any size; both are
 * quoted for the shell. What it prints goes to standard error; its standard input is empty.
 */
#ifndef LK_DATASET_CLIENT_OTHER_H
#define LK_DATASET_CLIENT_OTHER_H

#include "base/error.h"
#include "dataset/image.h"

/* LK_USAGE if a placeholder is missing. */
lk_status lk_other_client_check(const char *command);

/* Runs it for one face and reads `picture` back, which is removed. A command that cannot be started, ends with another exit code
 * than 0 or by a signal, is not done after `seconds` (it is then killed with all it started), or leaves no square picture there:
 * LK_BAD_DATA, naming the command, `face` and what happened. Any number of threads at once, of different pictures. */
lk_status lk_other_client_draw(const char *command, double seconds, const char *face, const char *params, const char *picture,
                               lk_image *out);

#endif
