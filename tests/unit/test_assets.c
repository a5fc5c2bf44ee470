/* MakeHuman's assets: a small data folder becomes choices, is fitted and drawn, and named in .mhm files; what is wrong is named
 * by file and line.
 */
#include "base/file.h"
#include "dataset/client/assets.h"
#include "dataset/client/client.h"
#include "dataset/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/check.h"

enum { SIZE = 64 };

static void write_text(const char *folder, const char *name, const char *text)
{
    char path[LK_PATH_SIZE];
    assert_ok(lk_make_folder(folder));
    assert_ok(lk_path_join(path, folder, name));
    assert_ok(lk_write_file(path, text, strlen(text)));
}

static void write_colour(const char *path, uint8_t red, uint8_t green, uint8_t blue)
{
    lk_image image;
    assert_ok(lk_image_allocate(4, 4, &image));
    for (int i = 0; i < 16; i++) {
        image.pixels[3 * i] = red;
        image.pixels[3 * i + 1] = green;
        image.pixels[3 * i + 2] = blue;
    }
    assert_ok(lk_image_save_png(path, &image));
    lk_image_free(&image);
}

/* A square of four vertices about the eyes' outer corners (6758 and 7769), `low` to `high` above them, `front` before them. */
static void write_clothes(const char *folder, const char *name, const char *material, float low, float high, float front)
{
    static const char mesh[] = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nf 1/1 2/2 3/3 4/4\n";
    char text[2048], file[LK_PATH_SIZE];
    int length =
        snprintf(text, sizeof text,
                 "# clothes\nbasemesh hm08\nname Test %s\nuuid uuid-of-%s\nobj_file %s.obj\nmaterial %s\nz_depth 5\nverts 0\n",
                 name, name, name, material);
    for (int k = 0; k < 4; k++)
        length += snprintf(text + length, sizeof text - (size_t)length, "%d 0 1 1 0 0 0 %g %g\n", k == 0 || k == 3 ? 6758 : 7769,
                           (double)(k < 2 ? low : high), (double)front);
    snprintf(file, sizeof file, "%s.mhclo", name);
    write_text(folder, file, text);
    snprintf(file, sizeof file, "%s.obj", name);
    write_text(folder, file, mesh);
}

static void write_material(const char *folder, const char *name, uint8_t red, uint8_t green, uint8_t blue)
{
    char file[LK_PATH_SIZE], path[LK_PATH_SIZE], text[256];
    snprintf(file, sizeof file, "%s.mhmat", name);
    snprintf(text, sizeof text, "name %s\ndiffuseColor 1.0 1.0 1.0\ndiffuseTexture %s.png\nbackfaceCull False\n", name, name);
    write_text(folder, file, text);
    snprintf(path, sizeof path, "%s/%s.png", folder, name);
    write_colour(path, red, green, blue);
}

static void write_assets(void)
{
    assert_ok(lk_remove_tree("pack"));
    write_clothes("pack/hair/cap", "cap", "cap.mhmat", 0.5f, 1, 0.5f);
    write_material("pack/hair/cap", "cap", 255, 0, 0);
    write_clothes("pack/eyebrows/bar", "bar", "bar.mhmat", 0.2f, 0.3f, 0.5f);
    write_material("pack/eyebrows/bar", "bar", 0, 255, 0);
    write_clothes("pack/eyelashes/lash", "lash", "lash.mhmat", 0.05f, 0.1f, 0.5f);
    write_material("pack/eyelashes/lash", "lash", 255, 255, 0);
    write_clothes("pack/eyes/ball", "ball", "../materials/pink.mhmat", -0.1f, 0.1f, 0.4f);
    write_material("pack/eyes/materials", "pink", 255, 0, 255);
    write_material("pack/skins/blue", "blue", 0, 0, 255);
}

/* The client with the folder's assets, and a renderer of it. */
typedef struct studio {
    lk_schema *schema;
    lk_client *client;
    lk_renderer *renderer;
    float continuous[LK_MAX_CONTINUOUS];
    uint8_t discrete[LK_MAX_GROUPS];
} studio;

static void open_studio(studio *s)
{
    *s = (studio){0};
    assert_ok(lk_client_assets_schema("pack", &s->schema));
    assert_ok(lk_client_open_assets(NULL, "pack", s->schema, &s->client));
    assert_ok(lk_renderer_create(s->client, SIZE, &s->renderer));
    for (int i = 0; i < s->schema->continuous_count; i++)
        s->continuous[i] = 0.5f;
}

static void close_studio(studio *s)
{
    lk_renderer_free(s->renderer);
    lk_client_close(s->client);
    lk_schema_free(s->schema);
}

static void wear(studio *s, const char *group, const char *choice)
{
    int g = lk_schema_find_group(s->schema, group), c = g < 0 ? -1 : lk_choice_group_find(&s->schema->groups[g], choice);
    if (c < 0)
        fail_msg("no choice %s of %s", choice, group);
    s->discrete[g] = (uint8_t)c;
}

/* Pixels of which one colour stands out. */
static int count_pixels(const uint8_t *image, bool red, bool green, bool blue)
{
    int count = 0;
    for (int i = 0; i < SIZE * SIZE; i++) {
        const uint8_t *p = image + 3 * i;
        int high = 255, low = 0;
        bool wanted[3] = {red, green, blue};
        for (int c = 0; c < 3; c++) {
            high = wanted[c] && p[c] < high ? p[c] : high;
            low = !wanted[c] && p[c] > low ? p[c] : low;
        }
        count += high > 2 * low + 30;
    }
    return count;
}

static void assets_become_choices(void **state)
{
    (void)state;
    lk_schema *own, *schema;
    char path[LK_PATH_SIZE];
    assert_ok(lk_client_schema_path(path));
    assert_ok(lk_schema_load(path, &own));
    assert_ok(lk_client_assets_schema("pack", &schema));
    static const char *const added[][2] = {{"hair", "hair/cap"},
                                           {"brows", "eyebrows/bar"},
                                           {"eyes", "eyes/pink"},
                                           {"skin", "skins/blue"},
                                           {"eyelashes", "eyelashes/lash"}};
    for (int i = 0; i < 5; i++) {
        int g = lk_schema_find_group(schema, added[i][0]), before = lk_schema_find_group(own, added[i][0]);
        assert_true(g >= 0);
        assert_int_equal(lk_choice_group_find(&schema->groups[g], added[i][1]), before < 0 ? 1 : own->groups[before].count);
        assert_int_equal(schema->groups[g].count, before < 0 ? 2 : own->groups[before].count + 1);
    }
    assert_int_equal(schema->continuous_count, own->continuous_count);
    lk_schema_free(schema);
    lk_schema_free(own);
}

static void each_kind_is_seen(void **state)
{
    (void)state;
    static const struct {
        const char *group, *choice;
        bool red, green, blue;
        int least;
    } kinds[] = {{"hair", "hair/cap", true, false, false, 200},
                 {"brows", "eyebrows/bar", false, true, false, 40},
                 {"eyelashes", "eyelashes/lash", true, true, false, 10},
                 {"eyes", "eyes/pink", true, false, true, 50},
                 {"skin", "skins/blue", false, false, true, 400}};
    uint8_t plain[SIZE * SIZE * 3], worn[SIZE * SIZE * 3];
    studio s;
    open_studio(&s);
    assert_ok(lk_render(s.renderer, s.continuous, s.discrete, LK_CANONICAL, 0, plain));
    for (int i = 0; i < 5; i++) {
        uint8_t before[LK_MAX_GROUPS];
        memcpy(before, s.discrete, sizeof before);
        wear(&s, kinds[i].group, kinds[i].choice);
        assert_ok(lk_render(s.renderer, s.continuous, s.discrete, LK_CANONICAL, 0, worn));
        int none = count_pixels(plain, kinds[i].red, kinds[i].green, kinds[i].blue);
        int some = count_pixels(worn, kinds[i].red, kinds[i].green, kinds[i].blue);
        if (none > 0 || some < kinds[i].least)
            fail_msg("%s: %d pixels of its colour without it, %d with it", kinds[i].choice, none, some);
        memcpy(s.discrete, before, sizeof before);
    }
    assert_ok(lk_render(s.renderer, s.continuous, s.discrete, LK_CANONICAL, 0, worn));
    assert_memory_equal(worn, plain, sizeof plain);
    close_studio(&s);
}

/* The client's own choices keep their bytes beside assets. */
static void other_faces_keep_their_pictures(void **state)
{
    (void)state;
    uint8_t a[SIZE * SIZE * 3], b[SIZE * SIZE * 3];
    char path[LK_PATH_SIZE];
    lk_schema *own;
    lk_client *client;
    lk_renderer *renderer;
    studio s;
    open_studio(&s);
    assert_ok(lk_client_schema_path(path));
    assert_ok(lk_schema_load(path, &own));
    assert_ok(lk_client_open(NULL, own, &client));
    assert_ok(lk_renderer_create(client, SIZE, &renderer));
    for (int i = 0; i < 3; i++) {
        lk_client_random(own, 5, (uint64_t)i, s.continuous, s.discrete);
        s.discrete[own->group_count] = 0;
        assert_ok(lk_render(renderer, s.continuous, s.discrete, LK_PHOTO, (uint64_t)i, a));
        assert_ok(lk_render(s.renderer, s.continuous, s.discrete, LK_PHOTO, (uint64_t)i, b));
        assert_memory_equal(a, b, sizeof a);
    }
    lk_renderer_free(renderer);
    lk_client_close(client);
    lk_schema_free(own);
    close_studio(&s);
}

static void a_mhm_names_them(void **state)
{
    (void)state;
    static const char expected[] = "hair Test_cap uuid-of-cap\neyelashes Test_lash uuid-of-lash\neyes Test_ball uuid-of-ball\n"
                                   "material Test_ball uuid-of-ball eyes/materials/pink.mhmat\n"
                                   "skinMaterial skins/blue/blue.mhmat\n";
    char *lines;
    studio s;
    open_studio(&s);
    assert_ok(lk_client_describe_assets(s.client, s.discrete, &lines));
    assert_string_equal(lines, "");
    free(lines);
    wear(&s, "hair", "hair/cap");
    wear(&s, "eyelashes", "eyelashes/lash");
    wear(&s, "eyes", "eyes/pink");
    wear(&s, "skin", "skins/blue");
    assert_ok(lk_client_describe_assets(s.client, s.discrete, &lines));
    assert_string_equal(lines, expected);
    free(lines);
    close_studio(&s);
}

/* position = sum w P + offset scaled by how far two vertices are apart. */
static void clothes_are_fitted_as_makehuman_fits_them(void **state)
{
    (void)state;
    static const char text[] = "name a\nuuid b\nobj_file c\nx_scale 0 1 0.5\ny_scale 1 2 2\nverts 0\n2\n"
                               "0 1 2 0.5 0.25 0.25 1 1 1\ndelete_verts\n5 7 - 9\nweights bone\n1 0.5\nverts 0\n1\n";
    const lk_vec3 base[3] = {{0, 0, 0}, {2, 0, 0}, {0, 4, 8}}, moves[3] = {{0, 0, 0}, {-1, 0, 0}, {0, 0, 1}};
    lk_asset *asset = calloc(1, sizeof *asset);
    lk_vec3 out[3];
    assert_non_null(asset);
    assert_ok(lk_mhclo_parse(text, strlen(text), "a.mhclo", &asset->clothes));
    assert_int_equal(asset->clothes.count, 3);
    for (int vertex = 0; vertex < 12; vertex++)
        assert_int_equal(asset->clothes.hidden[vertex], vertex == 5 || (vertex >= 7 && vertex <= 9));
    lk_asset_fit(asset, base, NULL, out);
    assert_true(out[0].x == 0 && out[0].y == 4 && out[0].z == 8);
    assert_true(out[1].x == 0.5f + 4 && out[1].y == 1 + 2 && out[1].z == 2 + 1);
    lk_asset_fit(asset, base, moves, out);
    assert_true(out[0].z == 9 && out[1].x == 0.25f + 2 && out[2].x == 1);
    lk_mhclo_free(&asset->clothes);
    free(asset);
}

static void what_is_wrong_is_named_by_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *folder, *file, *text, *sentence;
    } cases[] = {
        {"pack/hair/cap", "cap.mhclo", "name a\nuuid b\nobj_file c.obj\n5\n", "cap.mhclo:4: numbers before 'verts'"},
        {"pack/hair/cap", "cap.mhclo", "verts 0\n19158\n", "cap.mhclo:2: a whole number from 0 to 19157 is expected as word 1"},
        {"pack/hair/cap", "cap.mhclo", "verts 0\n1 2 3\n", "cap.mhclo:2: expected one vertex, or three vertices"},
        {"pack/hair/cap", "cap.mhclo", "verts 0\n1 2 3 0 1 nan 0 0 0\n", "cap.mhclo:2: a number is expected as word 6"},
        {"pack/hair/cap", "cap.mhclo", "x_scale 1 2 0\n", "cap.mhclo:1: the length of a scale"},
        {"pack/hair/cap", "cap.mhclo", "basemesh alpha_7\n", "cap.mhclo:1: made for another base mesh"},
        {"pack/hair/cap", "cap.mhclo", "\nshear_x 1 2 3 4\n", "cap.mhclo:2: shear"},
        {"pack/hair/cap", "cap.mhclo", "name a\nobj_file b\nverts 0\n1\n", "cap.mhclo:5: ends without a line 'uuid'"},
        {"pack/hair/cap", "cap.mhclo", "name a\nuuid b\nobj_file cap.obj\nverts 0\n1\n", "cap.mhclo: places 1 vertices"},
        {"pack/hair/cap", "cap.mhclo", "name a\nuuid b\nobj_file no.obj\nverts 0\n1\n", "pack/hair/cap/no.obj"},
        {"pack/hair/cap", "cap.obj", "v 0 0 0\nvt 0 0\nf 1/1 1/1 2/1\n", "cap.obj:3: a face has the corner '2/1'"},
        {"pack/hair/cap", "cap.obj", "v 0 0 0\nvt 0 0\nf 1 1 1\n", "cap.obj:3: a face has the corner '1'"},
        {"pack/hair/cap", "cap.obj", "v 0 0 0\n", "cap.obj:2: ends without a face"},
        {"pack/hair/cap", "cap.mhmat", "name a\ndiffuseColor 1 2 1\n", "cap.mhmat:2: a number from 0 to 1"},
        {"pack/hair/cap", "cap.mhmat", "name a\n", "cap.mhmat: has no line 'diffuseTexture'"},
        {"pack/hair/cap", "cap.png", "no picture", "cap.png"},
        {"pack/skins/blue", "blue.mhmat", "diffuseTexture no.png\n", "pack/skins/blue/no.png"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        lk_schema *schema;
        lk_client *client = NULL;
        write_assets();
        write_text(cases[i].folder, cases[i].file, cases[i].text);
        assert_ok(lk_client_assets_schema("pack", &schema));
        assert_fails(lk_client_open_assets(NULL, "pack", schema, &client), LK_BAD_DATA, cases[i].sentence);
        lk_schema_free(schema);
    }
    write_assets();
    lk_schema *schema;
    lk_client *client;
    assert_fails(lk_client_assets_schema("nowhere", &schema), LK_BAD_DATA, "nowhere: no such folder of assets");
    assert_ok(lk_make_folder("empty"));
    assert_fails(lk_client_assets_schema("empty", &schema), LK_BAD_DATA, "empty: holds no assets");
    assert_ok(lk_client_assets_schema("pack", &schema));
    assert_fails(lk_client_open(NULL, schema, &client), LK_BAD_DATA,
                 "\"hair/cap\" of the group \"hair\"; --assets names the folder");
    lk_schema_free(schema);
    write_clothes("pack/hair/other", "cap", "cap.mhmat", 0, 1, 1);
    assert_fails(lk_client_assets_schema("pack", &schema), LK_BAD_DATA, "another folder beside it has a file of this name");
    assert_ok(lk_remove_tree("pack/hair/other"));
    assert_ok(lk_remove_tree("pack/eyes/ball"));
    assert_fails(lk_client_assets_schema("pack", &schema), LK_BAD_DATA, "has materials, but no folder with an eye's .mhclo");
    write_assets();
}

static int prepare(void **state)
{
    (void)state;
    write_assets();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(assets_become_choices),
        cmocka_unit_test(each_kind_is_seen),
        cmocka_unit_test(other_faces_keep_their_pictures),
        cmocka_unit_test(a_mhm_names_them),
        cmocka_unit_test(clothes_are_fitted_as_makehuman_fits_them),
        cmocka_unit_test(what_is_wrong_is_named_by_file_and_line),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
