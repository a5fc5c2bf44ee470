/* Textures of assets: any bytes as a PNG or JPEG, with its transparency, and halved. */
#include "dataset/client/texture.h"
#include "tests/fuzz/fuzz.h"

#include <math.h>

enum { MOST_TEXELS = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_texture texture;
    lk_status status = lk_texture_decode(data, size, MOST_TEXELS, "fuzz", &texture);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    FUZZ_REQUIRE(texture.levels >= 1 && texture.levels <= LK_TEXTURE_LEVELS);
    for (int level = 0; level < texture.levels; level++)
        for (int i = 0; i < 9; i++) {
            float alpha;
            lk_vec3 colour = lk_texture_at(&texture, level, (float)(i % 3) * 0.55f, (float)(i / 3) * -0.55f, &alpha);
            FUZZ_REQUIRE(alpha >= 0 && alpha <= 1.0001f && colour.x >= 0 && colour.x <= 1.0001f && isfinite(colour.y + colour.z));
        }
    lk_texture_free(&texture);
    return 0;
}
