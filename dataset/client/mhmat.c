#include "dataset/client/mhmat.h"

#include <string.h>
#include <strings.h>

static lk_status read_share(const lk_lines *lines, int word, float *out)
{
    LK_TRY(lk_lines_real(lines, word, out));
    return *out >= 0 && *out <= 1 ? LK_OK : lk_lines_fail(lines, "a number from 0 to 1 is expected");
}

static lk_status read_line(const lk_lines *lines, lk_mhmat *material)
{
    const char *word = lines->words[0];
    if (strcmp(word, "diffuseTexture") == 0)
        return lk_lines_name(lines, 1, material->texture);
    if (strcmp(word, "diffuseColor") == 0) {
        LK_TRY(read_share(lines, 1, &material->colour.x));
        LK_TRY(read_share(lines, 2, &material->colour.y));
        return read_share(lines, 3, &material->colour.z);
    }
    if (strcmp(word, "opacity") == 0)
        return read_share(lines, 1, &material->opacity);
    if (strcmp(word, "backfaceCull") == 0) {
        bool yes = lines->count == 2 && strcasecmp(lines->words[1], "true") == 0;
        if (!yes && (lines->count != 2 || strcasecmp(lines->words[1], "false") != 0))
            return lk_lines_fail(lines, "True or False is expected");
        material->backface_cull = yes;
    }
    return LK_OK;
}

lk_status lk_mhmat_parse(const char *text, size_t size, const char *origin, lk_mhmat *out)
{
    lk_lines lines;
    *out = (lk_mhmat){.colour = {1, 1, 1}, .opacity = 1};
    lk_status status = lk_lines_open(text, size, origin, &lines);
    while (status == LK_OK && lk_lines_next(&lines))
        status = read_line(&lines, out);
    lk_lines_close(&lines);
    return status;
}
