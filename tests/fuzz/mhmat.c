/* MakeHuman's materials: any bytes as a .mhmat. */
#include "dataset/client/mhmat.h"
#include "tests/fuzz/fuzz.h"

static void require_share(float value)
{
    FUZZ_REQUIRE(value >= 0 && value <= 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_mhmat material;
    lk_status status = lk_mhmat_parse((const char *)data, size, "fuzz.mhmat", &material);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    require_share(material.colour.x);
    require_share(material.colour.y);
    require_share(material.colour.z);
    require_share(material.opacity);
    FUZZ_REQUIRE(memchr(material.texture, '\0', sizeof material.texture));
    return 0;
}
