#include "dataset/client/wavefront.h"

#include "dataset/client/asset_text.h"

#include <stdlib.h>
#include <string.h>

typedef struct reader {
    lk_lines lines;
    lk_wavefront *mesh;
    float (*places)[2];
    int place_count, place_room, triangle_room;
} reader;

/* Room for one more item of `size` bytes. */
static lk_status grow(const reader *r, void **items, int count, int *room, size_t size)
{
    if (count < *room)
        return LK_OK;
    if (count >= LK_MOST_CORNERS)
        return lk_lines_fail(&r->lines, "more than a million vertices, places or triangles");
    int larger = *room ? 2 * *room : 256;
    void *moved = realloc(*items, (size_t)larger * size);
    if (!moved)
        return lk_fail(LK_INTERNAL, "%s: out of memory", r->lines.origin);
    *items = moved;
    *room = larger;
    return LK_OK;
}

/* "VERTEX/PLACE" or "VERTEX/PLACE/NORMAL", from 1. */
static lk_status read_corner(const reader *r, const char *word, lk_corner *corner)
{
    char *end;
    long vertex = strtol(word, &end, 10), place = *end == '/' ? strtol(end + 1, &end, 10) : 0;
    if (vertex < 1 || vertex > r->mesh->vertex_count || place < 1 || place > r->place_count || (*end && *end != '/'))
        return lk_fail(LK_BAD_DATA, "%s:%d: a face has the corner '%.20s', which is no vertex with a place on the texture",
                       r->lines.origin, r->lines.number, word);
    *corner = (lk_corner){(uint16_t)(vertex - 1), r->places[place - 1][0], r->places[place - 1][1]};
    return LK_OK;
}

static lk_status read_face(reader *r)
{
    lk_corner fan[3];
    if (r->lines.count < 4 || r->lines.count == LK_LINE_WORDS)
        return lk_lines_fail(&r->lines, "a face has 3 to 62 corners");
    LK_TRY(read_corner(r, r->lines.words[1], &fan[0]));
    LK_TRY(read_corner(r, r->lines.words[2], &fan[1]));
    for (int i = 3; i < r->lines.count; i++) {
        LK_TRY(read_corner(r, r->lines.words[i], &fan[2]));
        void *items = r->mesh->triangles;
        LK_TRY(grow(r, &items, r->mesh->triangle_count, &r->triangle_room, sizeof fan));
        r->mesh->triangles = items;
        memcpy(r->mesh->triangles[r->mesh->triangle_count++], fan, sizeof fan);
        fan[1] = fan[2];
    }
    return LK_OK;
}

static lk_status read_line(reader *r)
{
    const char *word = r->lines.words[0];
    if (strcmp(word, "v") == 0) {
        if (r->mesh->vertex_count == UINT16_MAX)
            return lk_lines_fail(&r->lines, "more than 65535 vertices");
        r->mesh->vertex_count++;
    } else if (strcmp(word, "vt") == 0) {
        void *items = r->places;
        LK_TRY(grow(r, &items, r->place_count, &r->place_room, sizeof *r->places));
        r->places = items;
        LK_TRY(lk_lines_real(&r->lines, 1, &r->places[r->place_count][0]));
        LK_TRY(lk_lines_real(&r->lines, 2, &r->places[r->place_count][1]));
        r->place_count++;
    } else if (strcmp(word, "f") == 0) {
        return read_face(r);
    }
    return LK_OK;
}

lk_status lk_wavefront_parse(const char *text, size_t size, const char *origin, lk_wavefront *out)
{
    reader r = {.mesh = out};
    *out = (lk_wavefront){0};
    lk_status status = lk_lines_open(text, size, origin, &r.lines);
    while (status == LK_OK && lk_lines_next(&r.lines))
        status = read_line(&r);
    if (status == LK_OK && out->triangle_count == 0)
        status = lk_lines_fail(&r.lines, "ends without a face");
    lk_lines_close(&r.lines);
    free(r.places);
    if (status != LK_OK)
        lk_wavefront_free(out);
    return status;
}

void lk_wavefront_free(lk_wavefront *mesh)
{
    free(mesh->triangles);
    *mesh = (lk_wavefront){0};
}
