#include "dataset/client/asset_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

lk_status lk_lines_open(const char *text, size_t size, const char *origin, lk_lines *lines)
{
    *lines = (lk_lines){.origin = origin};
    if (memchr(text, '\0', size))
        return lk_fail(LK_BAD_DATA, "%s: holds a zero byte, so it is no text file of MakeHuman", origin);
    lines->text = malloc(size + 1);
    if (!lines->text)
        return lk_fail(LK_INTERNAL, "%s: out of memory", origin);
    memcpy(lines->text, text, size);
    lines->text[size] = '\0';
    lines->rest = lines->text;
    return LK_OK;
}

void lk_lines_close(lk_lines *lines)
{
    free(lines->text);
    *lines = (lk_lines){0};
}

bool lk_lines_next(lk_lines *lines)
{
    char *line;
    while ((line = strsep(&lines->rest, "\n")) != NULL) {
        char *word;
        lines->number++;
        lines->count = 0;
        while (lines->count < LK_LINE_WORDS && (word = strsep(&line, " \t\r")) != NULL) {
            if (!*word)
                continue;
            if (*word == '#' || strncmp(word, "//", 2) == 0)
                break;
            lines->words[lines->count++] = word;
        }
        if (lines->count > 0)
            return true;
    }
    return false;
}

lk_status lk_lines_fail(const lk_lines *lines, const char *problem)
{
    return lk_fail(LK_BAD_DATA, "%s:%d: %s", lines->origin, lines->number, problem);
}

lk_status lk_lines_whole(const lk_lines *lines, int i, long low, long high, int *out)
{
    char *end = NULL;
    long value = i < lines->count ? strtol(lines->words[i], &end, 10) : 0;
    if (!end || end == lines->words[i] || *end || value < low || value > high)
        return lk_fail(LK_BAD_DATA, "%s:%d: a whole number from %ld to %ld is expected as word %d", lines->origin, lines->number,
                       low, high, i + 1);
    *out = (int)value;
    return LK_OK;
}

lk_status lk_lines_real(const lk_lines *lines, int i, float *out)
{
    char *end = NULL;
    float value = i < lines->count ? strtof(lines->words[i], &end) : 0;
    if (!end || end == lines->words[i] || *end || !(fabsf(value) <= 1e6f))
        return lk_fail(LK_BAD_DATA, "%s:%d: a number is expected as word %d", lines->origin, lines->number, i + 1);
    *out = value;
    return LK_OK;
}

lk_status lk_lines_name(const lk_lines *lines, int i, char out[LK_ASSET_NAME])
{
    size_t length = 0;
    out[0] = '\0';
    for (; i < lines->count; i++) {
        size_t word = strlen(lines->words[i]);
        if (length + word + 2 > LK_ASSET_NAME)
            return lk_lines_fail(lines, "a name of more than 200 bytes");
        if (length > 0)
            out[length++] = ' ';
        memcpy(out + length, lines->words[i], word + 1);
        length += word;
    }
    for (size_t k = 0; k < length; k++)
        if ((unsigned char)out[k] < 0x20 || out[k] == 0x7f)
            return lk_lines_fail(lines, "a control character in a name");
    return length > 0 ? LK_OK : lk_lines_fail(lines, "a name is expected behind the first word");
}
