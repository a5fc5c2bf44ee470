#include "launch/report/html.h"

#include "base/file.h"
#include "base/log.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of the UTF-8 character at `s`, 0 if it is none. Refuses overlong forms and surrogates. */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f ? 1 : s[0] == '\n' || s[0] == '\t';
    int length = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool beyond = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return overlong || beyond ? 0 : length;
}

void lk_html_text(FILE *page, const char *text)
{
    const unsigned char *s = (const unsigned char *)(text ? text : "");
    while (*s) {
        int length = utf8_length(s);
        const char *entity = *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : *s == '&' ? "&amp;" : *s == '"' ? "&quot;" : NULL;
        if (entity)
            fputs(entity, page);
        else if (length > 0)
            fwrite(s, 1, (size_t)length, page);
        else
            fputs("\xef\xbf\xbd", page);
        s += length > 0 ? length : 1;
    }
}

void lk_html_number(FILE *page, double value)
{
    if (isnan(value))
        fputs("&ndash;", page);
    else
        fprintf(page, "%.4g", value);
}

void lk_html_cell(FILE *page, double value, int digits)
{
    if (isfinite(value))
        fprintf(page, "<td class=\"n\" data-v=\"%.9g\">%.*f</td>", value, digits, value);
    else
        fputs("<td class=\"n\">&ndash;</td>", page);
}

void lk_html_spread_cell(FILE *page, const lk_spread *spread, int digits)
{
    if (spread->count < 2)
        lk_html_cell(page, spread->mean, digits);
    else
        fprintf(page, "<td class=\"n\" data-v=\"%.9g\">%.*f <small>&plusmn;%.*f</small></td>", spread->mean, digits, spread->mean,
                digits, spread->deviation);
}

void lk_html_base64(FILE *page, const void *data, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *bytes = data;
    for (size_t i = 0; i < size; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16;
        if (i + 1 < size)
            group |= (unsigned)bytes[i + 1] << 8;
        if (i + 2 < size)
            group |= bytes[i + 2];
        fputc(letters[group >> 18], page);
        fputc(letters[group >> 12 & 63], page);
        fputc(i + 1 < size ? letters[group >> 6 & 63] : '=', page);
        fputc(i + 2 < size ? letters[group & 63] : '=', page);
    }
}

/* Width and height stand in the header, big-endian, behind 16 fixed bytes. */
static bool read_png_size(const unsigned char *png, size_t size, lk_picture *out)
{
    static const unsigned char head[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    if (size < sizeof head + 8 || memcmp(png, head, sizeof head) != 0)
        return false;
    unsigned edges[2];
    for (int i = 0; i < 2; i++) {
        const unsigned char *b = png + sizeof head + 4 * i;
        edges[i] = (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
        if (edges[i] == 0 || edges[i] > 65535)
            return false;
    }
    *out = (lk_picture){(int)edges[0], (int)edges[1]};
    return true;
}

lk_picture lk_html_picture(FILE *page, const char *path, const char *name, size_t number)
{
    lk_picture picture = {0};
    char *png = NULL;
    size_t size = 0;
    if (!path)
        return picture;
    if (lk_read_file(path, 1 << 26, &png, &size) != LK_OK)
        lk_warn("%s", lk_error_text());
    else if (!read_png_size((const unsigned char *)png, size, &picture))
        lk_warn("%s: is not a PNG picture; left out of the report", path);
    else {
        fprintf(page, "<style>.%s%zu{background-image:url(\"data:image/png;base64,", name, number);
        lk_html_base64(page, png, size);
        fputs("\")}</style>\n", page);
    }
    free(png);
    return picture;
}
