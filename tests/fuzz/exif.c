/* EXIF orientation of any bytes, and turning a small picture by it. */
#include "dataset/align/exif.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int orientation = lk_exif_orientation(data, size);
    FUZZ_REQUIRE(orientation >= 1 && orientation <= 8);
    lk_image image;
    FUZZ_REQUIRE(lk_image_allocate(3, 2, &image) == LK_OK);
    FUZZ_REQUIRE(lk_exif_apply(orientation, &image) == LK_OK);
    FUZZ_REQUIRE(image.width * image.height == 6 && (image.width == 3) == (orientation <= 4));
    lk_image_free(&image);
    return 0;
}
