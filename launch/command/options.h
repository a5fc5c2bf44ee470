/* Values of command line options, checked; the sentence of a bad one names command and option. */
#ifndef LK_LAUNCH_COMMAND_OPTIONS_H
#define LK_LAUNCH_COMMAND_OPTIONS_H

#include "base/error.h"
#include "dataset/align/align.h"

#include <stdint.h>

lk_status lk_option_whole(const char *command, const char *option, const char *text, int64_t low, int64_t high, int64_t *out);
lk_status lk_option_whole_int(const char *command, const char *option, const char *text, int low, int high, int *out);
lk_status lk_option_real(const char *command, const char *option, const char *text, double low, double high, double *out);
/* central, all, one, error */
lk_status lk_option_faces(const char *command, const char *text, lk_face_choice *out);
/* What getopt_long returned where it is no option of the command; argv[optind - 1] is the culprit. */
lk_status lk_option_unknown(const char *command, int c, char **argv, int optind_now);

#endif
