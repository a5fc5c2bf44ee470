/* MakeHuman's clothes: any bytes as a .mhclo, and as the .obj that one names. */
#include "dataset/client/mhclo.h"
#include "dataset/client/wavefront.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

static void require_clothes(const lk_mhclo *clothes)
{
    FUZZ_REQUIRE(clothes->count > 0 && clothes->name[0] && clothes->uuid[0] && clothes->mesh[0]);
    for (int i = 0; i < clothes->count; i++) {
        const lk_binding *b = &clothes->bindings[i];
        for (int k = 0; k < 3; k++)
            FUZZ_REQUIRE(b->vertices[k] < LK_BASE_VERTICES && isfinite(b->weights[k]));
        FUZZ_REQUIRE(isfinite(b->offset.x) && isfinite(b->offset.y) && isfinite(b->offset.z));
    }
    for (int axis = 0; axis < LK_AXES; axis++)
        FUZZ_REQUIRE(clothes->scales[axis].length >= 0 && clothes->scales[axis].from < LK_BASE_VERTICES &&
                     clothes->scales[axis].to < LK_BASE_VERTICES);
}

static void require_mesh(const lk_wavefront *mesh)
{
    FUZZ_REQUIRE(mesh->triangle_count > 0);
    for (int t = 0; t < mesh->triangle_count; t++)
        for (int k = 0; k < 3; k++) {
            const lk_corner *corner = &mesh->triangles[t][k];
            FUZZ_REQUIRE(corner->vertex < mesh->vertex_count && isfinite(corner->u) && isfinite(corner->v));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_mhclo clothes;
    lk_wavefront mesh;
    lk_status status = lk_mhclo_parse((const char *)data, size, "fuzz.mhclo", &clothes);
    if (status == LK_OK)
        require_clothes(&clothes);
    else
        fuzz_require_refusal(status);
    lk_mhclo_free(&clothes);
    status = lk_wavefront_parse((const char *)data, size, "fuzz.obj", &mesh);
    if (status == LK_OK)
        require_mesh(&mesh);
    else
        fuzz_require_refusal(status);
    lk_wavefront_free(&mesh);
    return 0;
}
