/* Shards: any bytes as HDF5. */
#include "dataset/shard_format.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/forged_shards.h"

static void read_all(const lk_dataset *dataset)
{
    const lk_schema *schema = lk_dataset_schema(dataset);
    size_t side = (size_t)lk_dataset_size(dataset);
    FUZZ_REQUIRE(side >= 1 && side <= 4096);
    uint8_t *image = malloc(side * side * 3 + 1);
    float *continuous = calloc((size_t)schema->continuous_count + 1, sizeof *continuous);
    uint8_t *discrete = calloc((size_t)schema->group_count + 1, 1);
    char key[LK_KEY_SIZE];
    FUZZ_REQUIRE(image && continuous && discrete);
    for (int64_t i = 0; i < lk_dataset_count(dataset); i++) {
        lk_status status = lk_dataset_read(dataset, i, image, continuous, discrete, key);
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
    free(image);
    free(continuous);
    free(discrete);
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

/* Most changes to the metadata end at HDF5's checksums; half of the inputs get right ones for what was changed. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    lk_random random = lk_random_make(seed, size);
    forge_blocks all = {.count = 0};
    if (size > 2 * FORGE_SUPERBLOCK_BYTES && seed % 2 == 0)
        all = forge_find(data, size);
    if (all.count <= 1)
        return LLVMFuzzerMutate(data, size, most);
    forge_shard(data, &all, &random);
    return size;
}

/* Opens the file and reads all samples; each is refused or within its bounds. One checker serves all inputs, a fresh one after an
 * input on which libhdf5 crashed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static lk_shard_checker checker = {.socket = -1};
    const char *path = fuzz_file(data, size, ".h5");
    lk_dataset *dataset;
    lk_status status = lk_dataset_open_through(&checker, &path, 1, &dataset);
    if (status == LK_OK) {
        read_all(dataset);
        lk_dataset_content_hash(dataset);
        lk_dataset_close(dataset);
    } else {
        fuzz_require_refusal(status);
    }
    return 0;
}
