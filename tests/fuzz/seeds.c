/* Writes small valid binary files for the fuzzers to start from: seeds CORPUS makes CORPUS/{image,safetensors,shard}/. The text
 * seeds are in tests/fuzz/corpus. Made anew each time, so that they follow the formats. */
#include "base/file.h"
#include "dataset/image.h"
#include "dataset/shard.h"
#include "trainer/model/safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 32 };

static const char *place(const char *corpus, const char *target, const char *name)
{
    static char path[2 * LK_PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", corpus, target);
    if (lk_make_folder(path) != LK_OK)
        return NULL;
    snprintf(path, sizeof path, "%s/%s/%s", corpus, target, name);
    return path;
}

static lk_status make_picture(int side, lk_image *image)
{
    LK_TRY(lk_image_allocate(side, side, image));
    for (int i = 0; i < side * side * 3; i++)
        image->pixels[i] = (uint8_t)(i / 3 % side * 255 / side);
    return LK_OK;
}

static lk_status seed_images(const char *corpus)
{
    lk_image image;
    uint8_t *jpeg = NULL;
    size_t size;
    LK_TRY(make_picture(8, &image));
    lk_status status;
    LK_TRY_OR(done, lk_image_save_png(place(corpus, "image", "small.png"), &image));
    LK_TRY_OR(done, lk_image_encode_jpeg(&image, 80, &jpeg, &size));
    status = lk_write_file(place(corpus, "image", "small.jpg"), jpeg, size);
done:
    free(jpeg);
    lk_image_free(&image);
    return status;
}

static lk_status seed_safetensors(const char *corpus)
{
    static const float weights[12];
    static const uint16_t half[3];
    const lk_safetensor tensors[] = {
        {.name = "encoder.features.0.weight", .dtype = LK_DTYPE_F32, .dims = 4, .shape = {1, 3, 2, 2}, .data = weights},
        {.name = "half", .dtype = LK_DTYPE_BF16, .dims = 1, .shape = {3}, .data = half},
        {.name = "one", .dtype = LK_DTYPE_F32, .dims = 0, .data = weights},
    };
    const lk_safetensors_note notes[] = {{"format", "pt"}, {"schema", "name: fuzz\n"}};
    return lk_safetensors_write(place(corpus, "safetensors", "small"), tensors, 3, notes, 2, NULL);
}

static lk_status seed_shard(const char *path, const lk_schema *schema, int jpeg_quality)
{
    lk_image image;
    LK_TRY(make_picture(SIDE, &image));
    const float continuous[1] = {0.5f};
    const uint8_t discrete[1] = {1};
    lk_sample sample = {.image = image.pixels, .continuous = continuous, .discrete = discrete};
    lk_shard_writer *writer = NULL;
    lk_status status = lk_shard_create(path, schema, SIDE, 2, jpeg_quality, "seed", &writer);
    for (int i = 0; i < 2 && status == LK_OK; i++) {
        sample.key = i ? "second" : "first";
        status = lk_shard_append(writer, &sample);
    }
    if (status == LK_OK)
        status = lk_shard_commit(writer);
    else if (writer)
        lk_shard_abort(writer);
    lk_image_free(&image);
    return status;
}

static lk_status seed_shards(const char *corpus)
{
    lk_schema *schema;
    LK_TRY(lk_schema_parse("name: fuzz\ncontinuous: [{name: a, min: 0, max: 1, default: 0}]\n"
                           "discrete: [{name: hair, choices: [bald, short]}]\n",
                           "seed", &schema));
    lk_status status = seed_shard(place(corpus, "shard", "raw.h5"), schema, 0);
    if (status == LK_OK)
        status = seed_shard(place(corpus, "shard", "jpeg.h5"), schema, 50);
    lk_schema_free(schema);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return lk_exit_code(LK_USAGE);
    lk_status status = seed_images(argv[1]);
    if (status == LK_OK)
        status = seed_safetensors(argv[1]);
    if (status == LK_OK)
        status = seed_shards(argv[1]);
    if (status != LK_OK)
        fprintf(stderr, "seeds: %s\n", lk_error_text());
    return lk_exit_code(status);
}
