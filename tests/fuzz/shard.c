#include "dataset/shard.h"
#include "tests/fuzz/fuzz.h"

#include <hdf5.h>

/* Opens the file and reads all samples; each is refused or within its bounds. HDF5's metadata is checksummed, so most of what
 * gets past opening is damage to pictures, labels, keys and offsets. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size, ".h5");
    lk_dataset *dataset;
    lk_status status = lk_dataset_open(&path, 1, &dataset);
    if (status != LK_OK) {
        fuzz_require_refusal(status);
        return 0;
    }
    const lk_schema *schema = lk_dataset_schema(dataset);
    size_t side = (size_t)lk_dataset_size(dataset);
    FUZZ_REQUIRE(side <= 512);
    uint8_t *image = malloc(side * side * 3 + 1);
    float *continuous = calloc((size_t)schema->continuous_count + 1, sizeof *continuous);
    uint8_t *discrete = calloc((size_t)schema->group_count + 1, 1);
    char key[LK_KEY_SIZE];
    FUZZ_REQUIRE(image && continuous && discrete);
    for (int64_t i = 0; i < lk_dataset_count(dataset); i++) {
        status = lk_dataset_read(dataset, i, image, continuous, discrete, key);
        if (status != LK_OK) {
            fuzz_require_refusal(status);
            continue;
        }
        FUZZ_REQUIRE(memchr(key, '\0', sizeof key));
        for (int c = 0; c < schema->continuous_count; c++)
            FUZZ_REQUIRE(continuous[c] >= 0 && continuous[c] <= 1);
        for (int g = 0; g < schema->group_count; g++)
            FUZZ_REQUIRE(discrete[g] < schema->groups[g].count);
    }
    lk_dataset_content_hash(dataset);
    free(image);
    free(continuous);
    free(discrete);
    lk_dataset_close(dataset);
    return 0;
}
