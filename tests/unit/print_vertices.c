/* For tests/run/makehuman.sh: faces of the built-in client as files, and where the client has their vertices.
 * usage: print_vertices FOLDER FACES DATA ASSETS
 * writes FOLDER/N.json, N.mhm, N.back.json (N.mhm read again), and N.vertices: a line "VERTEX X Y Z" for each vertex of skin,
 * eyes and lashes, in base.obj's numbers, decimetres, moved so that the middle between the eyes stays. DATA is the
 * client's data; ASSETS a MakeHuman folder, whose assets the faces wear by chance (N.hair, N.brows ... have their vertices).
 */
#include "base/file.h"
#include "dataset/client/assets.h"
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
    lk_assets *assets;
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

/* The assets that the face wears: their lines of a .mhm, and the vertices of each in FOLDER/N.GROUP. */
static lk_status print_assets(const printer *p, int face, FILE *lines)
{
    lk_status status = LK_OK;
    for (int i = 0; status == LK_OK && i < p->assets->count; i++) {
        const lk_asset *asset = &p->assets->items[i];
        char path[LK_PATH_SIZE], ending[32];
        int group = lk_schema_find_group(p->schema, lk_asset_group(asset->kind));
        if (strcmp(p->schema->groups[group].choices[p->discrete[group]], asset->choice) != 0)
            continue;
        lk_asset_describe(asset, lines);
        lk_vec3 *positions = malloc((size_t)(asset->clothes.count + 1) * sizeof *positions);
        lk_atomic_file file;
        snprintf(ending, sizeof ending, ".%s", lk_asset_group(asset->kind));
        LK_TRY_OR(done, place(p, face, ending, path));
        LK_TRY_OR(done, lk_atomic_open(&file, path));
        if (asset->kind != LK_ASSET_SKIN)
            lk_asset_fit(asset, p->positions, NULL, positions);
        for (int v = 0; v < asset->clothes.count; v++)
            fprintf(file.stream, "%.9g %.9g %.9g\n", (double)positions[v].x, (double)positions[v].y, (double)positions[v].z);
        status = lk_atomic_commit(&file);
    done:
        free(positions);
    }
    return status;
}

static lk_status print_mhm(const printer *p, int face, const char *path)
{
    char *lines = NULL;
    size_t size;
    FILE *stream = open_memstream(&lines, &size);
    lk_status status = stream ? print_assets(p, face, stream) : lk_fail(LK_INTERNAL, "out of memory");
    if (stream && fclose(stream) == 0 && status == LK_OK)
        status = lk_parameters_save_mhm(p->schema, path, p->continuous, p->discrete, lines);
    free(lines);
    return status;
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
    LK_TRY(print_mhm(p, face, path));
    LK_TRY(lk_parameters_load(p->schema, path, p->continuous, p->discrete));
    LK_TRY(place(p, face, ".back.json", path));
    return lk_parameters_save(p->schema, path, p->continuous, p->discrete);
}

int main(int argc, char **argv)
{
    printer p = {0};
    uint8_t wanted[LK_BASE_VERTICES] = {0};
    if (argc != 5)
        return lk_exit_code(LK_USAGE);
    p.folder = argv[1];
    lk_status status;
    LK_TRY_OR(done, lk_client_assets_schema(argv[4], &p.schema));
    LK_TRY_OR(done, lk_assets_find(argv[4], &p.assets));
    LK_TRY_OR(done, lk_assets_load(p.assets, p.schema, 1));
    lk_assets_want(p.assets, wanted);
    LK_TRY_OR(done, lk_mesh_load(argv[3], wanted, &p.mesh));
    LK_TRY_OR(done, lk_morph_open(argv[3], p.mesh, p.schema, 1, &p.morph));
    LK_TRY_OR(done, lk_assets_bind(p.assets, p.mesh, lk_morph_neutral(p.morph)));
    p.positions = malloc((size_t)p.mesh->count * sizeof *p.positions);
    if (!p.positions)
        status = lk_fail(LK_INTERNAL, "out of memory");
    for (int face = 0; status == LK_OK && face < atoi(argv[2]); face++)
        status = print_face(&p, face);
done:
    if (status != LK_OK)
        fprintf(stderr, "print_vertices: %s\n", lk_error_text());
    free(p.positions);
    lk_assets_free(p.assets);
    lk_morph_close(p.morph);
    lk_mesh_free(p.mesh);
    lk_schema_free(p.schema);
    return lk_exit_code(status);
}
