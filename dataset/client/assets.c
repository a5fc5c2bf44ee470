#include "dataset/client/assets.h"

#include "base/thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT_BYTES = 64 << 20 };

static const struct {
    const char *folder, *group, *word; /* in DIR; of the client; in a .mhm */
    const char *plain;                 /* a choice besides, where the client's own schema has no such group */
} KINDS[LK_ASSET_KINDS] = {[LK_ASSET_HAIR] = {"hair", "hair", "hair", NULL},
                           [LK_ASSET_BROWS] = {"eyebrows", "brows", "eyebrows", NULL},
                           [LK_ASSET_LASHES] = {"eyelashes", "eyelashes", "eyelashes", "natural"},
                           [LK_ASSET_EYES] = {"eyes", "eyes", "eyes", NULL},
                           [LK_ASSET_SKIN] = {"skins", "skin", "skinMaterial", NULL}};

const char *lk_asset_group(lk_asset_kind kind)
{
    return KINDS[kind].group;
}

/* ---- finding ---- */

static lk_status add(lk_assets *assets, lk_asset_kind kind, const char *folder, const char *inside, const char *file)
{
    if (assets->count == assets->room) {
        assets->room = assets->room ? 2 * assets->room : 16;
        lk_asset *larger = realloc(assets->items, (size_t)assets->room * sizeof *larger);
        if (!larger)
            return lk_fail(LK_INTERNAL, "%s: out of memory", folder);
        assets->items = larger;
    }
    lk_asset *asset = &assets->items[assets->count];
    *asset = (lk_asset){.kind = kind};
    const char *ending = strrchr(file, '.');
    char path[LK_PATH_SIZE];
    LK_TRY(lk_path_join(path, folder, inside));
    bool material = kind == LK_ASSET_EYES || kind == LK_ASSET_SKIN;
    LK_TRY(lk_path_join(material ? asset->material_path : asset->clothes_path, path, file));
    int written = snprintf(asset->choice, sizeof asset->choice, "%s/%.*s", KINDS[kind].folder, (int)(ending - file), file);
    if (written < (int)sizeof asset->choice && material)
        written = snprintf(asset->material_name, sizeof asset->material_name, "%s/%s/%s", KINDS[kind].folder, inside, file);
    if (written >= (int)sizeof asset->choice)
        return lk_fail(LK_BAD_DATA, "%s/%s: the name is too long for an asset", path, file);
    if (lk_assets_choice(assets, kind, asset->choice))
        return lk_fail(LK_BAD_DATA, "%s/%s: another folder beside it has a file of this name", path, file);
    assets->count++;
    return LK_OK;
}

/* Files of an ending in each folder of DIR/KIND. */
static lk_status find_kind(lk_assets *assets, lk_asset_kind kind, const char *folder, const char *ending)
{
    lk_names inside, files;
    char path[LK_PATH_SIZE];
    lk_path_kind what;
    LK_TRY(lk_path_look(folder, &what));
    if (what != LK_FOLDER)
        return LK_OK;
    LK_TRY(lk_list_folder(folder, "", &inside));
    lk_status status = LK_OK;
    for (size_t i = 0; status == LK_OK && i < inside.count; i++) {
        LK_TRY_OR(done, lk_path_join(path, folder, inside.names[i]));
        LK_TRY_OR(done, lk_path_look(path, &what));
        if (what != LK_FOLDER)
            continue;
        LK_TRY_OR(done, lk_list_folder(path, ending, &files));
        for (size_t f = 0; status == LK_OK && f < files.count; f++)
            status = add(assets, kind, folder, inside.names[i], files.names[f]);
        lk_names_free(&files);
    }
done:
    lk_names_free(&inside);
    return status;
}

/* The eye that iris materials belong on. */
static lk_status find_eye(lk_assets *assets, const char *folder)
{
    lk_assets eyes = {0};
    const char *path = NULL;
    bool any = false;
    for (int i = 0; i < assets->count; i++)
        any |= assets->items[i].kind == LK_ASSET_EYES;
    lk_status status = any ? find_kind(&eyes, LK_ASSET_HAIR, folder, ".mhclo") : LK_OK;
    for (int i = 0; status == LK_OK && i < eyes.count; i++)
        if (!path || strstr(eyes.items[i].clothes_path, "/high-poly."))
            path = eyes.items[i].clothes_path;
    if (status == LK_OK && any && !path)
        status = lk_fail(LK_BAD_DATA, "%s: has materials, but no folder with an eye's .mhclo", folder);
    for (int i = 0; status == LK_OK && any && i < assets->count; i++)
        if (assets->items[i].kind == LK_ASSET_EYES)
            strcpy(assets->items[i].clothes_path, path);
    free(eyes.items);
    return status;
}

static lk_status find_all(lk_assets *assets, const char *folder)
{
    char path[LK_PATH_SIZE];
    lk_path_kind what;
    LK_TRY(lk_path_look(folder, &what));
    if (what != LK_FOLDER)
        return lk_fail(LK_BAD_DATA, "%s: no such folder of assets", folder);
    for (int kind = 0; kind < LK_ASSET_KINDS; kind++) {
        bool material = kind == LK_ASSET_EYES || kind == LK_ASSET_SKIN;
        LK_TRY(lk_path_join(path, folder, KINDS[kind].folder));
        LK_TRY(find_kind(assets, (lk_asset_kind)kind, path, material ? ".mhmat" : ".mhclo"));
        if (kind == LK_ASSET_EYES)
            LK_TRY(find_eye(assets, path));
    }
    if (assets->count == 0)
        return lk_fail(LK_BAD_DATA, "%s: holds no assets; expected a MakeHuman data folder, as hair/NAME/NAME.mhclo", folder);
    return LK_OK;
}

lk_status lk_assets_find(const char *folder, lk_assets **out)
{
    lk_assets *assets = calloc(1, sizeof *assets);
    lk_status status = assets ? find_all(assets, folder) : lk_fail(LK_INTERNAL, "%s: out of memory", folder);
    if (status != LK_OK) {
        lk_assets_free(assets);
        assets = NULL;
    }
    *out = assets;
    return status;
}

void lk_assets_free(lk_assets *assets)
{
    if (!assets)
        return;
    for (int i = 0; i < assets->count; i++) {
        lk_asset *asset = &assets->items[i];
        lk_mhclo_free(&asset->clothes);
        lk_wavefront_free(&asset->mesh);
        lk_texture_free(&asset->texture);
        free(asset->neutral);
        free(asset->hidden);
    }
    free(assets->items);
    free(assets);
}

lk_asset *lk_assets_choice(const lk_assets *assets, lk_asset_kind kind, const char *choice)
{
    for (int i = 0; assets && i < assets->count; i++)
        if (assets->items[i].kind == kind && strcmp(assets->items[i].choice, choice) == 0)
            return &assets->items[i];
    return NULL;
}

/* ---- schema ---- */

static int write_choices(const lk_assets *assets, lk_asset_kind kind, bool first, FILE *out)
{
    int written = 0;
    for (int i = 0; i < assets->count; i++) {
        if (assets->items[i].kind != kind)
            continue;
        fputs(first && !written ? "" : ", ", out);
        lk_schema_write_quoted(out, assets->items[i].choice);
        written++;
    }
    return written;
}

static void write_group(const lk_assets *assets, const lk_choice_group *group, FILE *out)
{
    fputs("  - {name: ", out);
    lk_schema_write_quoted(out, group->name);
    fputs(", choices: [", out);
    for (int c = 0; c < group->count; c++) {
        fputs(c ? ", " : "", out);
        lk_schema_write_quoted(out, group->choices[c]);
    }
    for (int kind = 0; kind < LK_ASSET_KINDS; kind++)
        if (strcmp(KINDS[kind].group, group->name) == 0)
            write_choices(assets, (lk_asset_kind)kind, false, out);
    fputs("]}\n", out);
}

static void write_schema(const lk_assets *assets, const lk_schema *schema, FILE *out)
{
    fputs("name: ", out);
    lk_schema_write_quoted(out, schema->name);
    fputs("\ncontinuous:\n", out);
    for (int i = 0; i < schema->continuous_count; i++) {
        const lk_continuous *c = &schema->continuous[i];
        char low[LK_FLOAT_TEXT], high[LK_FLOAT_TEXT], usual[LK_FLOAT_TEXT];
        lk_float_text(c->min, low);
        lk_float_text(c->max, high);
        lk_float_text(c->default_value, usual);
        fputs("  - {name: ", out);
        lk_schema_write_quoted(out, c->name);
        fprintf(out, ", min: %s, max: %s, default: %s}\n", low, high, usual);
    }
    fputs("discrete:\n", out);
    for (int g = 0; g < schema->group_count; g++)
        write_group(assets, &schema->groups[g], out);
    for (int kind = 0; kind < LK_ASSET_KINDS; kind++) {
        bool any = false;
        for (int i = 0; i < assets->count; i++)
            any |= (int)assets->items[i].kind == kind;
        if (!any || lk_schema_find_group(schema, KINDS[kind].group) >= 0)
            continue;
        fprintf(out, "  - {name: %s, choices: [%s", KINDS[kind].group, KINDS[kind].plain);
        write_choices(assets, (lk_asset_kind)kind, false, out);
        fputs("]}\n", out);
    }
}

lk_status lk_assets_extend(const lk_assets *assets, const lk_schema *schema, lk_schema **out)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (!stream)
        return lk_fail(LK_INTERNAL, "out of memory for a schema with assets");
    write_schema(assets, schema, stream);
    lk_status status = fclose(stream) == 0 ? lk_schema_parse(text, "the schema with assets", out)
                                           : lk_fail(LK_INTERNAL, "out of memory for a schema with assets");
    free(text);
    return status;
}

/* ---- loading ---- */

/* PATH's folder, then a name from there. */
static lk_status beside(const char *path, const char *name, char out[LK_PATH_SIZE])
{
    char folder[LK_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return lk_path_join(out, folder, name);
}

static lk_status load_clothes(lk_asset *asset)
{
    char path[LK_PATH_SIZE], *text;
    size_t size;
    LK_TRY(lk_read_file(asset->clothes_path, MAX_TEXT_BYTES, &text, &size));
    lk_status status = lk_mhclo_parse(text, size, asset->clothes_path, &asset->clothes);
    free(text);
    LK_TRY(status);
    LK_TRY(beside(asset->clothes_path, asset->clothes.mesh, path));
    LK_TRY(lk_read_file(path, MAX_TEXT_BYTES, &text, &size));
    status = lk_wavefront_parse(text, size, path, &asset->mesh);
    free(text);
    LK_TRY(status);
    if (asset->mesh.vertex_count != asset->clothes.count)
        return lk_fail(LK_BAD_DATA, "%s: places %d vertices, but %s has %d", asset->clothes_path, asset->clothes.count, path,
                       asset->mesh.vertex_count);
    if (asset->material_path[0])
        return LK_OK;
    if (!asset->clothes.material[0])
        return lk_fail(LK_BAD_DATA, "%s: has no line 'material'", asset->clothes_path);
    return beside(asset->clothes_path, asset->clothes.material, asset->material_path);
}

static lk_status load_material(lk_asset *asset)
{
    char path[LK_PATH_SIZE], *text;
    size_t size;
    LK_TRY(lk_read_file(asset->material_path, MAX_TEXT_BYTES, &text, &size));
    lk_status status = lk_mhmat_parse(text, size, asset->material_path, &asset->material);
    free(text);
    LK_TRY(status);
    if (!asset->material.texture[0])
        return lk_fail(LK_BAD_DATA, "%s: has no line 'diffuseTexture'", asset->material_path);
    LK_TRY(beside(asset->material_path, asset->material.texture, path));
    return lk_texture_load(path, &asset->texture);
}

typedef struct loading {
    lk_assets *assets;
    const lk_schema *schema;
} loading;

static lk_status load_one(void *context, int64_t i, int worker)
{
    (void)worker;
    loading *l = context;
    lk_asset *asset = &l->assets->items[i];
    int group = lk_schema_find_group(l->schema, KINDS[asset->kind].group);
    if (group < 0 || lk_choice_group_find(&l->schema->groups[group], asset->choice) < 0)
        return LK_OK;
    if (asset->kind != LK_ASSET_SKIN)
        LK_TRY(load_clothes(asset));
    LK_TRY(load_material(asset));
    asset->loaded = true;
    return LK_OK;
}

lk_status lk_assets_load(lk_assets *assets, const lk_schema *schema, int threads)
{
    loading l = {assets, schema};
    return lk_parallel_for(threads, assets->count, load_one, &l);
}

void lk_asset_describe(const lk_asset *asset, FILE *out)
{
    const char *word = KINDS[asset->kind].word;
    char name[LK_ASSET_NAME];
    if (asset->kind == LK_ASSET_SKIN) {
        fprintf(out, "%s %s\n", word, asset->material_name);
        return;
    }
    strcpy(name, asset->clothes.name);
    for (char *c = name; *c; c++)
        *c = *c == ' ' ? '_' : *c; /* MakeHuman reads words */
    fprintf(out, "%s %s %s\n", word, name, asset->clothes.uuid);
    if (asset->kind == LK_ASSET_EYES)
        fprintf(out, "material %s %s %s\n", name, asset->clothes.uuid, asset->material_name);
}
