/* For tests/run/makehuman.sh: faces of the built-in client as files, and where the client has their vertices.
 * usage: print_vertices FOLDER FACES DATA
 * writes FOLDER/N.json, N.mhm, N.back.json (N.mhm read again), and N.vertices: a line "VERTEX X Y Z" for each vertex of skin,
 * eyes and lashes, in base.obj's numbers, decimetres, moved so that the middle between the eyes stays. DATA is the client's data.
 */
#include "base/file.h"
#include "dataset/client/client.h"
#include "dataset/client/morph.h"
#include "dataset/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct printer {
    const char *folder;
    lk_schema *schema;
    lk_mesh *mesh;
    lk_morph *morph;
    lk_vec3 *positions;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
} printer;

static lk_status place(const printer *p, int face, const char *ending, char path[LK_PATH_SIZE])
{
    char name[64];
    snprintf(name, sizeof name, "%d%s", face, ending);
    return lk_path_join(path, p->folder, name);
}

static lk_status print_positions(const printer *p, const char *path)
{
    bool *shown = calloc((size_t)p->mesh->count, sizeof *shown);
    lk_atomic_file file;
    if (!shown)
        return lk_fail(LK_INTERNAL, "out of memory");
    for (int part = LK_PART_SKIN; part <= LK_PART_LOWER_LASHES; part++)
        for (int c = 0; c < p->mesh->parts[part].count * 3; c++)
            shown[p->mesh->parts[part].corners[c / 3][c % 3]] = true;
    lk_status status = lk_atomic_open(&file, path);
    for (int i = 0; status == LK_OK && i < p->mesh->raw_count; i++) {
        int kept = p->mesh->kept[i];
        if (kept >= 0 && shown[kept])
            fprintf(file.stream, "%d %.9g %.9g %.9g\n", i, (double)p->positions[kept].x, (double)p->positions[kept].y,
                    (double)p->positions[kept].z);
    }
    free(shown);
    return status == LK_OK ? lk_atomic_commit(&file) : status;
}

static lk_status print_face(printer *p, int face)
{
    char path[LK_PATH_SIZE];
    /* What MakeHuman does not have stays at its default. */
    lk_client_random(p->schema, 1, (uint64_t)face, p->continuous, p->discrete);
    for (int i = 0; i < p->schema->continuous_count; i++)
        if (strncmp(p->schema->continuous[i].name, "asym/", 5) == 0)
            p->continuous[i] = 0.5f;
    LK_TRY(place(p, face, ".json", path));
    LK_TRY(lk_parameters_save(p->schema, path, p->continuous, p->discrete));
    lk_morph_apply(p->morph, p->continuous, NULL, p->positions);
    LK_TRY(place(p, face, ".vertices", path));
    LK_TRY(print_positions(p, path));
    LK_TRY(place(p, face, ".mhm", path));
    LK_TRY(lk_parameters_save(p->schema, path, p->continuous, p->discrete));
    LK_TRY(lk_parameters_load(p->schema, path, p->continuous, p->discrete));
    LK_TRY(place(p, face, ".back.json", path));
    return lk_parameters_save(p->schema, path, p->continuous, p->discrete);
}

int main(int argc, char **argv)
{
    printer p = {0};
    char schema[LK_PATH_SIZE];
    if (argc != 4)
        return lk_exit_code(LK_USAGE);
    p.folder = argv[1];
    lk_status status;
    LK_TRY_OR(done, lk_client_schema_path(schema));
    LK_TRY_OR(done, lk_schema_load(schema, &p.schema));
    LK_TRY_OR(done, lk_mesh_load(argv[3], NULL, &p.mesh));
    LK_TRY_OR(done, lk_morph_open(argv[3], p.mesh, p.schema, 1, &p.morph));
    p.positions = malloc((size_t)p.mesh->count * sizeof *p.positions);
    if (!p.positions)
        status = lk_fail(LK_INTERNAL, "out of memory");
    for (int face = 0; status == LK_OK && face < atoi(argv[2]); face++)
        status = print_face(&p, face);
done:
    if (status != LK_OK)
        fprintf(stderr, "print_vertices: %s\n", lk_error_text());
    free(p.positions);
    lk_morph_close(p.morph);
    lk_mesh_free(p.mesh);
    lk_schema_free(p.schema);
    return lk_exit_code(status);
}
