#include "launch/command/options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

lk_status lk_option_whole(const char *command, const char *option, const char *text, int64_t low, int64_t high, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || value < low || value > high)
        return lk_fail(LK_USAGE, "%s: --%s takes a whole number from %lld to %lld, not '%.80s'", command, option, (long long)low,
                       (long long)high, text);
    *out = value;
    return LK_OK;
}

lk_status lk_option_whole_int(const char *command, const char *option, const char *text, int low, int high, int *out)
{
    int64_t value = 0;
    LK_TRY(lk_option_whole(command, option, text, low, high, &value));
    *out = (int)value;
    return LK_OK;
}

lk_status lk_option_real(const char *command, const char *option, const char *text, double low, double high, double *out)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (end == text || *end != 0 || !(value >= low && value <= high))
        return lk_fail(LK_USAGE, "%s: --%s takes a number from %g to %g, not '%.80s'", command, option, low, high, text);
    *out = value;
    return LK_OK;
}

lk_status lk_option_faces(const char *command, const char *text, lk_face_choice *out)
{
    static const char *const names[] = {"central", "all", "one", "error"};
    for (int i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (lk_face_choice)i;
            return LK_OK;
        }
    }
    return lk_fail(LK_USAGE, "%s: --faces takes central, all, one or error, not '%.80s'", command, text);
}

lk_status lk_option_unknown(const char *command, int c, char **argv, int optind_now)
{
    const char *culprit = argv[optind_now - 1];
    if (c == ':')
        return lk_fail(LK_USAGE, "%s: %.80s needs a value; likeness %s --help says more", command, culprit, command);
    return lk_fail(LK_USAGE, "%s: there is no option %.80s; likeness %s --help lists them", command, culprit, command);
}
