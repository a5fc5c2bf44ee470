#include "base/version.h"

#include "base/source_version.h" /* written by the build */

const char *lk_program(void)
{
    return "likeness " LK_SOURCE_VERSION;
}
