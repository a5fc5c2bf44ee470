#include "dataset/client/mesh.h"

#include "base/file.h"
#include "dataset/client/mhclo.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

/* What is kept: this far below the eyes and to either side, in decimetres. Shoulders end outside the picture. */
static const float KEEP_BELOW = 2.1f;
static const float KEEP_ASIDE = 2.0f;

enum { MAX_OBJ_BYTES = 64 << 20, MAX_FACE_CORNERS = 4, MAX_VERTICES = 65535 };

/* dlib's eye landmarks on base.obj, from the outer corner of the viewer's left eye onwards as dlib counts. */
static const int EYE_LANDMARKS[2][LK_EYE_LANDMARKS] = {{6758, 0, 54, 1076, 1070, 6776}, {7769, 6838, 6784, 7753, 7760, 7762}};

static const struct {
    const char *group;
    lk_part part;
} GROUPS[] = {{"body", LK_PART_SKIN},
              {"helper-l-eye", LK_PART_LEFT_EYE},
              {"helper-r-eye", LK_PART_RIGHT_EYE},
              {"helper-l-eyelashes-2", LK_PART_UPPER_LASHES},
              {"helper-r-eyelashes-2", LK_PART_UPPER_LASHES},
              {"helper-l-eyelashes-1", LK_PART_LOWER_LASHES},
              {"helper-r-eyelashes-1", LK_PART_LOWER_LASHES},
              {"helper-upper-teeth", LK_PART_UPPER_TEETH},
              {"helper-lower-teeth", LK_PART_LOWER_TEETH},
              {"helper-tongue", LK_PART_TONGUE}};

/* base.obj as written: quads of the groups above. */
typedef struct obj_face {
    lk_part part;
    int vertex[MAX_FACE_CORNERS], texture[MAX_FACE_CORNERS];
    int corners;
} obj_face;

typedef struct obj_file {
    lk_vec3 *vertices;
    float (*textures)[2];
    obj_face *faces;
    int vertex_count, texture_count, face_count;
} obj_file;

static void obj_free(obj_file *obj)
{
    free(obj->vertices);
    free(obj->textures);
    free(obj->faces);
}

static int part_of_group(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof GROUPS / sizeof *GROUPS; i++)
        if (strlen(GROUPS[i].group) == length && memcmp(GROUPS[i].group, name, length) == 0)
            return (int)GROUPS[i].part;
    return -1;
}

static const char *group_of_part(lk_part part)
{
    size_t i = 0;
    while (GROUPS[i].part != part)
        i++;
    return GROUPS[i].group;
}

/* "f v/t v/t v/t v/t": fails on an index that points nowhere. */
static bool parse_face(const char *line, const obj_file *obj, obj_face *face)
{
    char *at = (char *)line + 1;
    face->corners = 0;
    for (;;) {
        while (*at == ' ')
            at++;
        if (*at == '\n' || *at == '\r' || *at == 0)
            return face->corners >= 3;
        if (face->corners == MAX_FACE_CORNERS)
            return false;
        long vertex = strtol(at, &at, 10), texture = *at == '/' ? strtol(at + 1, &at, 10) : 0;
        if (vertex < 1 || vertex > obj->vertex_count || texture < 1 || texture > obj->texture_count)
            return false;
        while (*at != ' ' && *at != '\n' && *at != '\r' && *at != 0)
            at++;
        face->vertex[face->corners] = (int)vertex - 1;
        face->texture[face->corners++] = (int)texture - 1;
    }
}

static lk_status obj_parse(const char *path, const char *text, obj_file *obj)
{
    int part = -1, line_number = 0;
    for (const char *line = text; line; line_number++) {
        const char *end = strchr(line, '\n');
        if (line[0] == 'v' && line[1] == ' ') {
            char *at = (char *)line + 1;
            lk_vec3 *v = &obj->vertices[obj->vertex_count++];
            v->x = strtof(at, &at);
            v->y = strtof(at, &at);
            v->z = strtof(at, &at);
        } else if (line[0] == 'v' && line[1] == 't') {
            char *at = (char *)line + 2;
            float *uv = obj->textures[obj->texture_count++];
            uv[0] = strtof(at, &at);
            uv[1] = strtof(at, &at);
        } else if (line[0] == 'g' && line[1] == ' ') {
            part = part_of_group(line + 2, end ? strcspn(line + 2, " \r\n") : strlen(line + 2));
        } else if (line[0] == 'f' && line[1] == ' ' && part >= 0) {
            obj_face *face = &obj->faces[obj->face_count++];
            face->part = (lk_part)part;
            if (!parse_face(line, obj, face))
                return lk_fail(LK_BAD_DATA, "%s line %d: a face that does not fit the vertices; make deps fetches the file anew",
                               path, line_number + 1);
        }
        line = end ? end + 1 : NULL;
    }
    return LK_OK;
}

static lk_status obj_load(const char *path, obj_file *obj)
{
    *obj = (obj_file){0};
    char *text;
    size_t size;
    LK_TRY(lk_read_file(path, MAX_OBJ_BYTES, &text, &size));
    size_t lines = 1;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    obj->vertices = malloc(lines * sizeof *obj->vertices);
    obj->textures = malloc(lines * sizeof *obj->textures);
    obj->faces = malloc(lines * sizeof *obj->faces);
    lk_status status = LK_OK;
    if (!obj->vertices || !obj->textures || !obj->faces)
        status = lk_fail(LK_INTERNAL, "no memory for %s", path);
    if (status == LK_OK)
        status = obj_parse(path, text, obj);
    if (status == LK_OK && (obj->face_count == 0 || obj->vertex_count <= 12356))
        status =
            lk_fail(LK_BAD_DATA, "%s: not MakeHuman's base mesh (%d vertices); make deps fetches it", path, obj->vertex_count);
    free(text);
    if (status != LK_OK)
        obj_free(obj);
    return status;
}

static lk_vec3 eye_centre(const obj_file *obj)
{
    lk_vec3 sum = {0};
    int n = 0;
    for (int i = 0; i < obj->face_count; i++) {
        const obj_face *face = &obj->faces[i];
        if (face->part != LK_PART_LEFT_EYE && face->part != LK_PART_RIGHT_EYE)
            continue;
        for (int k = 0; k < face->corners; k++, n++)
            sum = lk_vec3_add(sum, obj->vertices[face->vertex[k]]);
    }
    return lk_vec3_scale(sum, 1.0f / (float)(n > 0 ? n : 1));
}

static bool in_picture(const obj_file *obj, const obj_face *face, lk_vec3 eyes)
{
    for (int k = 0; k < face->corners; k++) {
        lk_vec3 v = obj->vertices[face->vertex[k]];
        if (v.y < eyes.y - KEEP_BELOW || fabsf(v.x - eyes.x) > KEEP_ASIDE)
            return false;
    }
    return true;
}

/* Numbers the vertices of the faces in the picture, in base.obj's order, and counts triangles. */
static lk_status choose_vertices(lk_mesh *mesh, obj_file *obj, const uint8_t *wanted)
{
    lk_vec3 eyes = eye_centre(obj);
    int faces = 0;
    for (int i = 0; i < obj->face_count; i++)
        if (in_picture(obj, &obj->faces[i], eyes))
            obj->faces[faces++] = obj->faces[i];
    obj->face_count = faces;
    mesh->raw_count = obj->vertex_count;
    mesh->kept = malloc((size_t)obj->vertex_count * sizeof *mesh->kept);
    if (!mesh->kept)
        return lk_fail(LK_INTERNAL, "no memory for the base mesh");
    for (int i = 0; i < obj->vertex_count; i++)
        mesh->kept[i] = -1;
    for (int i = 0; i < faces; i++) {
        mesh->parts[obj->faces[i].part].count += obj->faces[i].corners - 2;
        for (int k = 0; k < obj->faces[i].corners; k++)
            mesh->kept[obj->faces[i].vertex[k]] = 0;
    }
    for (int i = 0; i < obj->vertex_count; i++)
        if (mesh->kept[i] == 0)
            mesh->kept[i] = mesh->count++;
    for (int i = 0; wanted && i < obj->vertex_count && i < LK_BASE_VERTICES; i++)
        if (wanted[i] && mesh->kept[i] < 0)
            mesh->kept[i] = mesh->count++;
    for (int part = 0; part < LK_PART_COUNT; part++)
        if (mesh->parts[part].count == 0)
            return lk_fail(LK_BAD_DATA, "the base mesh lacks a part of the face: it must hold the group %s",
                           group_of_part((lk_part)part));
    return mesh->count <= MAX_VERTICES ? LK_OK : lk_fail(LK_BAD_DATA, "the base mesh has too many face vertices");
}

/* MakeHuman's teeth meet above the line of the lips: lowered, a smile shows the upper ones. */
static void lower_teeth(lk_mesh *mesh, const obj_file *obj)
{
    for (int i = 0; i < obj->face_count; i++)
        if (obj->faces[i].part == LK_PART_UPPER_TEETH || obj->faces[i].part == LK_PART_LOWER_TEETH)
            for (int k = 0; k < obj->faces[i].corners; k++) {
                int vertex = obj->faces[i].vertex[k];
                mesh->base[mesh->kept[vertex]].y = obj->vertices[vertex].y - 0.05f;
            }
}

static lk_status copy_geometry(lk_mesh *mesh, const obj_file *obj)
{
    size_t n = (size_t)mesh->count;
    mesh->base = malloc(n * sizeof *mesh->base);
    mesh->uv = malloc(n * sizeof *mesh->uv);
    float **per_vertex[] = {&mesh->ear, &mesh->inner_mouth, &mesh->lid, &mesh->lash_tip};
    bool complete = mesh->base && mesh->uv;
    for (int i = 0; i < 4; i++)
        complete &= (*per_vertex[i] = calloc(n, sizeof(float))) != NULL;
    for (int part = 0; part < LK_PART_COUNT; part++) {
        mesh->parts[part].corners = malloc((size_t)mesh->parts[part].count * sizeof *mesh->parts[part].corners);
        complete &= mesh->parts[part].corners != NULL;
        mesh->parts[part].count = 0;
    }
    if (!complete)
        return lk_fail(LK_INTERNAL, "no memory for the base mesh");
    for (int i = 0; i < obj->vertex_count; i++)
        if (mesh->kept[i] >= 0)
            mesh->base[mesh->kept[i]] = obj->vertices[i];
    lower_teeth(mesh, obj);
    for (int i = obj->face_count - 1; i >= 0; i--)
        for (int k = 0; k < obj->faces[i].corners; k++)
            memcpy(mesh->uv[mesh->kept[obj->faces[i].vertex[k]]], obj->textures[obj->faces[i].texture[k]], sizeof *mesh->uv);
    for (int i = 0; i < obj->face_count; i++) {
        const obj_face *face = &obj->faces[i];
        lk_triangles *triangles = &mesh->parts[face->part];
        for (int k = 1; k + 1 < face->corners; k++) {
            uint16_t *corner = triangles->corners[triangles->count++];
            corner[0] = (uint16_t)mesh->kept[face->vertex[0]];
            corner[1] = (uint16_t)mesh->kept[face->vertex[k]];
            corner[2] = (uint16_t)mesh->kept[face->vertex[k + 1]];
        }
    }
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < LK_EYE_LANDMARKS; k++) {
            int kept = mesh->kept[EYE_LANDMARKS[side][k]];
            if (kept < 0)
                return lk_fail(LK_BAD_DATA, "the base mesh has no vertex %d on an eyelid: it is not MakeHuman's",
                               EYE_LANDMARKS[side][k]);
            mesh->eye_landmarks[side][k] = (uint16_t)kept;
        }
    return LK_OK;
}

/* How far along a lash a vertex is: its distance from the skin, relative to the longest lash. */
static void measure_lashes(lk_mesh *mesh)
{
    const lk_triangles *skin = &mesh->parts[LK_PART_SKIN];
    float longest = 1e-6f;
    for (int part = LK_PART_UPPER_LASHES; part <= LK_PART_LOWER_LASHES; part++)
        for (int c = 0; c < mesh->parts[part].count * 3; c++) {
            int vertex = mesh->parts[part].corners[c / 3][c % 3];
            if (mesh->lash_tip[vertex] > 0)
                continue;
            float nearest = 1e9f;
            for (int s = 0; s < skin->count * 3; s++) {
                lk_vec3 d = lk_vec3_sub(mesh->base[skin->corners[s / 3][s % 3]], mesh->base[vertex]);
                nearest = lk_min(nearest, lk_vec3_dot(d, d));
            }
            mesh->lash_tip[vertex] = sqrtf(nearest);
            longest = lk_max(longest, mesh->lash_tip[vertex]);
        }
    for (int i = 0; i < mesh->count; i++)
        mesh->lash_tip[i] /= longest;
}

/* ---- UV masks ---- */

static lk_status decode_mask(const char *folder, const char *name, uint8_t **texels)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, name));
    char *bytes;
    size_t size;
    LK_TRY(lk_read_file(path, 16 << 20, &bytes, &size));
    int width, height, subsampling, colours;
    tjhandle decoder = tjInitDecompress();
    uint8_t *out = malloc((size_t)LK_UV_SIZE * LK_UV_SIZE);
    lk_status status = LK_OK;
    if (!decoder || !out)
        status = lk_fail(LK_INTERNAL, "no memory for the mask %s", path);
    else if (tjDecompressHeader3(decoder, (uint8_t *)bytes, size, &width, &height, &subsampling, &colours) != 0 ||
             width != LK_UV_SIZE || height != LK_UV_SIZE ||
             tjDecompress2(decoder, (uint8_t *)bytes, size, out, width, 0, height, TJPF_GRAY, TJFLAG_ACCURATEDCT) != 0)
        status = lk_fail(LK_BAD_DATA, "%s: not a JPEG mask of %d x %d; make deps fetches it anew", path, LK_UV_SIZE, LK_UV_SIZE);
    if (decoder)
        tjDestroy(decoder);
    free(bytes);
    if (status != LK_OK)
        free(out);
    else
        *texels = out;
    return status;
}

static lk_status sample_mask(const char *folder, const char *name, const lk_mesh *mesh, float *values)
{
    uint8_t *texels;
    LK_TRY(decode_mask(folder, name, &texels));
    for (int i = 0; i < mesh->count; i++) {
        int x = (int)(mesh->uv[i][0] * LK_UV_SIZE), y = (int)((1 - mesh->uv[i][1]) * LK_UV_SIZE);
        x = x < 0 ? 0 : x >= LK_UV_SIZE ? LK_UV_SIZE - 1 : x;
        y = y < 0 ? 0 : y >= LK_UV_SIZE ? LK_UV_SIZE - 1 : y;
        values[i] = (float)texels[y * LK_UV_SIZE + x] / 255;
    }
    free(texels);
    return LK_OK;
}

/* Lips need their full sharpness: the painted rectangle of the mask with a margin of one texel. */
static lk_status cut_lips(const char *folder, lk_mask *lips)
{
    uint8_t *texels;
    LK_TRY(decode_mask(folder, "mpfb_lips.jpg", &texels));
    int x0 = LK_UV_SIZE, y0 = LK_UV_SIZE, x1 = 0, y1 = 0;
    for (int y = 1; y < LK_UV_SIZE - 1; y++)
        for (int x = 1; x < LK_UV_SIZE - 1; x++)
            if (texels[y * LK_UV_SIZE + x] > 16) {
                x0 = x < x0 ? x : x0;
                x1 = x > x1 ? x : x1;
                y0 = y < y0 ? y : y0;
                y1 = y > y1 ? y : y1;
            }
    lk_status status = LK_OK;
    if (x0 > x1)
        status = lk_fail(LK_BAD_DATA, "%s/mpfb_lips.jpg is empty; make deps fetches it anew", folder);
    else {
        *lips = (lk_mask){x0 - 1, y0 - 1, x1 - x0 + 3, y1 - y0 + 3, NULL};
        lips->texels = malloc((size_t)lips->width * (size_t)lips->height);
        if (!lips->texels)
            status = lk_fail(LK_INTERNAL, "no memory for the lip mask");
        for (int y = 0; status == LK_OK && y < lips->height; y++)
            memcpy(lips->texels + y * lips->width, texels + (lips->y + y) * LK_UV_SIZE + lips->x, (size_t)lips->width);
    }
    free(texels);
    return status;
}

static lk_status load_masks(const char *folder, lk_mesh *mesh)
{
    char textures[LK_PATH_SIZE];
    LK_TRY(lk_path_join(textures, folder, "textures"));
    LK_TRY(sample_mask(textures, "mpfb_ears.jpg", mesh, mesh->ear));
    LK_TRY(sample_mask(textures, "mpfb_inside-mouth.jpg", mesh, mesh->inner_mouth));
    LK_TRY(sample_mask(textures, "mpfb_eyelids.jpg", mesh, mesh->lid));
    return cut_lips(textures, &mesh->lips);
}

float lk_mesh_lip(const lk_mesh *mesh, float u, float v)
{
    const lk_mask *lips = &mesh->lips;
    float x = u * LK_UV_SIZE - (float)lips->x - 0.5f, y = (1 - v) * LK_UV_SIZE - (float)lips->y - 0.5f;
    if (!(x >= 0 && y >= 0 && x < (float)(lips->width - 1) && y < (float)(lips->height - 1)))
        return 0;
    int i = (int)x, j = (int)y;
    float s = x - (float)i, t = y - (float)j;
    const uint8_t *upper = lips->texels + j * lips->width + i, *lower = upper + lips->width;
    return (((float)upper[0] * (1 - s) + (float)upper[1] * s) * (1 - t) + ((float)lower[0] * (1 - s) + (float)lower[1] * s) * t) /
           255;
}

lk_status lk_mesh_load(const char *folder, const uint8_t *wanted, lk_mesh **out)
{
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, "3dobjs/base.obj"));
    obj_file obj;
    LK_TRY(obj_load(path, &obj));
    lk_status status = LK_OK;
    lk_mesh *mesh = calloc(1, sizeof *mesh);
    if (!mesh) {
        status = lk_fail(LK_INTERNAL, "no memory for the base mesh");
        goto done;
    }
    LK_TRY_OR(done, choose_vertices(mesh, &obj, wanted));
    LK_TRY_OR(done, copy_geometry(mesh, &obj));
    measure_lashes(mesh);
    LK_TRY_OR(done, load_masks(folder, mesh));
    *out = mesh;
    mesh = NULL;
done:
    lk_mesh_free(mesh);
    obj_free(&obj);
    return status;
}

void lk_mesh_free(lk_mesh *mesh)
{
    if (!mesh)
        return;
    free(mesh->kept);
    free(mesh->base);
    free(mesh->uv);
    free(mesh->ear);
    free(mesh->inner_mouth);
    free(mesh->lid);
    free(mesh->lash_tip);
    for (int part = 0; part < LK_PART_COUNT; part++)
        free(mesh->parts[part].corners);
    free(mesh->lips.texels);
    free(mesh);
}
