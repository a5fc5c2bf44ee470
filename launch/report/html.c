#include "launch/report/html.h"

#include <math.h>
#include <stdbool.h>
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
        fprintf(page, "<td class=\"n\">%.*f</td>", digits, value);
    else
        fputs("<td class=\"n\">&ndash;</td>", page);
}

void lk_html_head(FILE *page, const char *name, const char *meaning)
{
    fputs("<th", page);
    if (meaning) {
        fputs(" title=\"", page);
        lk_html_text(page, meaning);
        fputc('"', page);
    }
    fputs("><button type=\"button\">", page);
    lk_html_text(page, name);
    fputs("</button></th>", page);
}

/* A few hundred pictures are a few hundred million letters: in pieces, not letter by letter. */
void lk_html_base64(FILE *page, const void *data, size_t size)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    enum { GROUPS = 1024 };
    const unsigned char *bytes = data;
    char text[4 * GROUPS];
    size_t used = 0;
    for (size_t i = 0; i < size; i += 3) {
        unsigned group = (unsigned)bytes[i] << 16;
        if (i + 1 < size)
            group |= (unsigned)bytes[i + 1] << 8;
        if (i + 2 < size)
            group |= bytes[i + 2];
        text[used++] = letters[group >> 18];
        text[used++] = letters[group >> 12 & 63];
        text[used++] = i + 1 < size ? letters[group >> 6 & 63] : '=';
        text[used++] = i + 2 < size ? letters[group & 63] : '=';
        if (used == sizeof text) {
            fwrite(text, 1, used, page);
            used = 0;
        }
    }
    fwrite(text, 1, used, page);
}
