/* Pictures: any bytes as a PNG or JPEG. */
#include "dataset/image.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_PIXELS = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lk_image image;
    lk_status status = lk_image_decode(data, size, MAX_PIXELS, "fuzz", &image);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    FUZZ_REQUIRE(lk_image_pixels(data, size) == (int64_t)image.width * image.height);
    FUZZ_REQUIRE(image.width > 0 && image.height > 0 && (int64_t)image.width * image.height <= MAX_PIXELS);
    /* Every byte is there: AddressSanitizer sees the sum run over it. */
    unsigned sum = 0;
    for (int64_t i = 0; i < (int64_t)image.width * image.height * 3; i++)
        sum += image.pixels[i];
    FUZZ_REQUIRE(sum <= 255u * 3 * MAX_PIXELS);
    lk_image_free(&image);
    return 0;
}
