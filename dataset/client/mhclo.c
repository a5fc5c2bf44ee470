#include "dataset/client/mhclo.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef enum section { NO_SECTION, VERTICES, WEIGHTS, DELETED } section;

typedef struct reader {
    lk_lines lines;
    lk_mhclo *clothes;
    int room;
    section section;
} reader;

static lk_status read_vertex(const reader *r, int word, uint16_t *vertex)
{
    int number;
    LK_TRY(lk_lines_whole(&r->lines, word, 0, LK_BASE_VERTICES - 1, &number));
    *vertex = (uint16_t)number;
    return LK_OK;
}

/* "VERTEX", or "V0 V1 V2 W0 W1 W2 DX DY DZ". */
static lk_status read_binding(reader *r)
{
    lk_mhclo *clothes = r->clothes;
    if (clothes->count == LK_MOST_BINDINGS)
        return lk_lines_fail(&r->lines, "more than 65535 vertices");
    if (clothes->count == r->room) {
        r->room = r->room ? 2 * r->room : 256;
        lk_binding *larger = realloc(clothes->bindings, (size_t)r->room * sizeof *larger);
        if (!larger)
            return lk_fail(LK_INTERNAL, "%s: out of memory", r->lines.origin);
        clothes->bindings = larger;
    }
    lk_binding *binding = &clothes->bindings[clothes->count++];
    *binding = (lk_binding){.weights = {1}};
    if (r->lines.count == 1)
        return read_vertex(r, 0, &binding->vertices[0]);
    if (r->lines.count != 9)
        return lk_lines_fail(&r->lines, "expected one vertex, or three vertices, three weights and an offset");
    for (int k = 0; k < 3; k++) {
        LK_TRY(read_vertex(r, k, &binding->vertices[k]));
        LK_TRY(lk_lines_real(&r->lines, 3 + k, &binding->weights[k]));
    }
    LK_TRY(lk_lines_real(&r->lines, 6, &binding->offset.x));
    LK_TRY(lk_lines_real(&r->lines, 7, &binding->offset.y));
    return lk_lines_real(&r->lines, 8, &binding->offset.z);
}

/* "12 20 - 30 7": single vertices and ranges. */
static lk_status read_deleted(reader *r)
{
    for (int i = 0; i < r->lines.count; i++) {
        uint16_t first, last;
        LK_TRY(read_vertex(r, i, &first));
        last = first;
        if (i + 1 < r->lines.count && strcmp(r->lines.words[i + 1], "-") == 0) {
            LK_TRY(read_vertex(r, i + 2, &last));
            i += 2;
        }
        for (int vertex = first; vertex <= last; vertex++)
            r->clothes->hidden[vertex] = r->clothes->hides = true;
    }
    return LK_OK;
}

static lk_status read_scale(reader *r, lk_axis_scale *scale)
{
    LK_TRY(read_vertex(r, 1, &scale->from));
    LK_TRY(read_vertex(r, 2, &scale->to));
    LK_TRY(lk_lines_real(&r->lines, 3, &scale->length));
    return scale->length > 1e-3f ? LK_OK : lk_lines_fail(&r->lines, "the length of a scale must be above 0.001");
}

static lk_status read_line(reader *r)
{
    const char *word = r->lines.words[0];
    lk_mhclo *clothes = r->clothes;
    if (isdigit((unsigned char)*word) || *word == '-')
        return r->section == VERTICES  ? read_binding(r)
               : r->section == DELETED ? read_deleted(r)
               : r->section == WEIGHTS ? LK_OK
                                       : lk_lines_fail(&r->lines, "numbers before 'verts'");
    if (strcmp(word, "verts") == 0)
        r->section = VERTICES;
    else if (strcmp(word, "weights") == 0) /* of bones */
        r->section = WEIGHTS;
    else if (strcmp(word, "delete_verts") == 0)
        r->section = DELETED;
    else if (strcmp(word, "name") == 0)
        return lk_lines_name(&r->lines, 1, clothes->name);
    else if (strcmp(word, "uuid") == 0)
        return lk_lines_name(&r->lines, 1, clothes->uuid);
    else if (strcmp(word, "obj_file") == 0)
        return lk_lines_name(&r->lines, 1, clothes->mesh);
    else if (strcmp(word, "material") == 0)
        return lk_lines_name(&r->lines, 1, clothes->material);
    else if (strcmp(word, "basemesh") == 0 && (r->lines.count != 2 || strcmp(r->lines.words[1], "hm08") != 0))
        return lk_lines_fail(&r->lines, "made for another base mesh than hm08");
    else if (word[0] >= 'x' && word[0] <= 'z' && strcmp(word + 1, "_scale") == 0)
        return read_scale(r, &clothes->scales[word[0] - 'x']);
    else if (strstr(word, "shear_"))
        return lk_lines_fail(&r->lines, "shear is not known here");
    return LK_OK; /* tags, depth, licence and the like */
}

lk_status lk_mhclo_parse(const char *text, size_t size, const char *origin, lk_mhclo *out)
{
    reader r = {.clothes = out};
    *out = (lk_mhclo){0};
    lk_status status = lk_lines_open(text, size, origin, &r.lines);
    while (status == LK_OK && lk_lines_next(&r.lines))
        status = read_line(&r);
    if (status == LK_OK) {
        const char *lacking = !out->name[0] ? "name" : !out->uuid[0] ? "uuid" : !out->mesh[0] ? "obj_file" : NULL;
        if (lacking)
            status = lk_fail(LK_BAD_DATA, "%s:%d: ends without a line '%s'", origin, r.lines.number, lacking);
        else if (out->count == 0)
            status = lk_lines_fail(&r.lines, "ends without vertices behind 'verts'");
    }
    lk_lines_close(&r.lines);
    if (status != LK_OK)
        lk_mhclo_free(out);
    return status;
}

void lk_mhclo_free(lk_mhclo *clothes)
{
    free(clothes->bindings);
    clothes->bindings = NULL;
    clothes->count = 0;
}
