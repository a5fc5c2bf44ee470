#include "launch/report/picture.h"

#include "base/file.h"
#include "base/log.h"
#include "launch/report/html.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HEADER = 24 };

/* Width and height stand in the header, big-endian, behind 16 fixed bytes. */
static bool read_size(const unsigned char *png, lk_picture *out)
{
    static const unsigned char head[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n', 0, 0, 0, 13, 'I', 'H', 'D', 'R'};
    if (memcmp(png, head, sizeof head) != 0)
        return false;
    unsigned edges[2];
    for (int i = 0; i < 2; i++) {
        const unsigned char *b = png + sizeof head + 4 * i;
        edges[i] = (unsigned)b[0] << 24 | (unsigned)b[1] << 16 | (unsigned)b[2] << 8 | b[3];
        if (edges[i] == 0 || edges[i] > 65535)
            return false;
    }
    out->width = (int)edges[0];
    out->height = (int)edges[1];
    return true;
}

static lk_status look(const char *path, const char *letter, size_t number, lk_picture *out, long long *bytes)
{
    unsigned char header[HEADER];
    size_t got;
    int64_t size;
    int fd;
    if (!path)
        return LK_OK;
    snprintf(out->class, sizeof out->class, "%s%zu", letter, number);
    lk_status status = lk_open_file(path, &fd, &size);
    if (status == LK_BAD_DATA) {
        lk_warn("%s; left out of the report", lk_error_text());
        return LK_OK;
    }
    LK_TRY(status);
    status = lk_read_at(fd, path, header, HEADER, 0, &got);
    close(fd);
    LK_TRY(status);
    if (got != HEADER || !read_size(header, out))
        lk_warn("%s: is not a PNG picture; left out of the report", path);
    else
        *bytes += size;
    return LK_OK;
}

lk_status lk_pictures_open(const lk_report *report, lk_pictures *out)
{
    *out = (lk_pictures){.triptychs = calloc(report->count + 1, sizeof *out->triptychs),
                         .samples = calloc(report->count + 1, sizeof *out->samples),
                         .photos = calloc(report->count + 1, sizeof *out->photos)};
    if (!out->triptychs || !out->samples || !out->photos) {
        lk_pictures_free(out);
        return lk_fail(LK_INTERNAL, "out of memory for the report's pictures");
    }
    for (size_t i = 0; i < report->count; i++) {
        lk_status status = look(report->runs[i].triptych, "t", i, &out->triptychs[i], &out->bytes);
        if (status == LK_OK)
            status = look(report->runs[i].sample, "s", i, &out->samples[i], &out->bytes);
        if (status == LK_OK)
            status = look(report->runs[i].photo_sheet, "p", i, &out->photos[i], &out->bytes);
        if (status != LK_OK) {
            lk_pictures_free(out);
            return status;
        }
    }
    out->inside = out->bytes <= LK_PICTURE_BYTES;
    return LK_OK;
}

void lk_pictures_free(lk_pictures *pictures)
{
    free(pictures->triptychs);
    free(pictures->samples);
    free(pictures->photos);
    *pictures = (lk_pictures){0};
}

void lk_relative_path(char out[LK_PATH_SIZE * 2], const char *from, const char *to)
{
    size_t same = 0, used = 0; /* bytes of folders that both have, up to and with their slash */
    for (size_t i = 0;; i++) {
        bool from_ends = from[i] == '/' || from[i] == '\0', to_ends = to[i] == '/' || to[i] == '\0';
        if (from_ends && to_ends)
            same = i;
        if (from[i] != to[i] || from[i] == '\0')
            break;
    }
    const char *rest = from + same;
    out[0] = '\0';
    while (*rest && used + 4 < LK_PATH_SIZE) {
        if (*rest == '/' && rest[1] != '\0')
            used += (size_t)sprintf(out + used, "../");
        rest++;
    }
    snprintf(out + used, LK_PATH_SIZE * 2 - used, "%s", to[same] == '/' ? to + same + 1 : to + same);
}

/* What has a meaning in addresses or in the style sheet is written by its number. */
static void write_address(FILE *page, const char *path)
{
    for (const unsigned char *s = (const unsigned char *)path; *s; s++)
        fprintf(page, isalnum(*s) || strchr("/._-~", *s) ? "%c" : "%%%02X", *s);
}

static lk_status write_inside(FILE *page, const char *path, lk_picture *picture)
{
    char *png = NULL;
    size_t size = 0;
    lk_status status = lk_read_file(path, 2 * LK_PICTURE_BYTES, &png, &size);
    if (status == LK_BAD_DATA) {
        lk_warn("%s", lk_error_text());
        picture->width = picture->height = 0;
        return LK_OK;
    }
    LK_TRY(status);
    fprintf(page, ".%s{background-image:url(\"data:image/png;base64,", picture->class);
    lk_html_base64(page, png, size);
    fputs("\")}\n", page);
    free(png);
    return LK_OK;
}

static void write_outside(FILE *page, const char *path, const char *folder, const lk_picture *picture)
{
    char relative[LK_PATH_SIZE * 2];
    char *real = realpath(path, NULL);
    if (real) {
        lk_relative_path(relative, folder, real);
        fprintf(page, ".%s{background-image:url(\"", picture->class);
        write_address(page, relative);
        fputs("\")}\n", page);
    }
    free(real);
}

lk_status lk_pictures_write(FILE *page, const lk_report *report, lk_pictures *pictures, const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == path ? strdup("/") : slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    char *real = folder ? realpath(folder, NULL) : NULL;
    free(folder);
    if (!real)
        return lk_fail_look("find its folder", path, errno);
    if (!pictures->inside)
        lk_warn(
            "%s: %lld MB of pictures are too many for one file: the page shows them from the run folders, and needs these where "
            "they are",
            path, pictures->bytes / 1000000);
    fputs("<style>\n", page);
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < report->count; i++) {
        const char *const paths[] = {report->runs[i].triptych, report->runs[i].sample, report->runs[i].photo_sheet};
        lk_picture *const all[] = {&pictures->triptychs[i], &pictures->samples[i], &pictures->photos[i]};
        for (int k = 0; status == LK_OK && k < 3; k++) {
            if (all[k]->width == 0)
                continue;
            if (pictures->inside)
                status = write_inside(page, paths[k], all[k]);
            else
                write_outside(page, paths[k], real, all[k]);
        }
    }
    fputs("</style>\n", page);
    free(real);
    return status;
}
