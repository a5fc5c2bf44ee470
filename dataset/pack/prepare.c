#include "dataset/pack/prepare.h"

#include "dataset/align/exif.h"
#include "dataset/parameters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

void lk_job_free(lk_job *job)
{
    if (!job)
        return;
    lk_half_free(&job->picture);
    lk_half_free(&job->labels);
    for (int i = 0; i < job->face_count; i++) {
        free(job->faces[i].pixels);
        free(job->faces[i].jpeg);
    }
    free(job->continuous);
    free(job);
}

int64_t lk_prepare_cost(const lk_prepare_options *options, const lk_half *picture, const lk_half *labels)
{
    int64_t size = options->alignment.size, pixels = lk_image_pixels(picture->data, picture->size);
    if (pixels > options->max_pixels)
        pixels = 0; /* refused before memory is taken */
    bool all = options->align && options->alignment.faces == LK_FACE_ALL;
    int64_t results = (all ? LK_MAX_FACES : 1) * size * size * 3;
    int64_t parsed = labels->kind == LK_NAME_JSON ? LK_JSON_GROWTH : 1;
    return (int64_t)sizeof(lk_job) + (int64_t)picture->size + (1 + parsed) * (int64_t)labels->size +
           pixels * (options->align ? LK_ALIGNING_COST : LK_DECODING_COST) + lk_warp_cost(size) + results;
}

/* Bad data refuses the pair; anything else stops the run. */
static lk_status refuse(lk_job *job, lk_status status, const char *reason)
{
    if (status != LK_BAD_DATA)
        return status;
    job->refused = reason;
    snprintf(job->detail, sizeof job->detail, "%s", lk_error_text());
    return LK_OK;
}

static lk_status read_labels(const lk_schema *schema, lk_job *job)
{
    size_t floats = (size_t)schema->continuous_count * sizeof(float);
    const lk_half *from = &job->labels;
    job->continuous = malloc(floats + (size_t)schema->group_count);
    if (!job->continuous)
        return lk_fail(LK_INTERNAL, "out of memory for parameters");
    job->discrete = (uint8_t *)job->continuous + floats;
    const char *text = (const char *)from->data;
    switch (from->kind) {
    case LK_NAME_JSON:
        return refuse(job, lk_parameters_parse_json(schema, text, from->size, from->name, job->continuous, job->discrete),
                      "bad parameters");
    case LK_NAME_MHM:
        return refuse(job, lk_parameters_parse_mhm(schema, text, from->size, from->name, job->continuous, job->discrete),
                      "bad parameters");
    default: memcpy(job->continuous, from->data, from->size); return LK_OK;
    }
}

/* ---- pictures that are JPEGs of the right size already ---- */

/* True if the bytes may be stored as they are: a JPEG of size x size pixels in grey or YCbCr, upright, without a fault. The fault
 * is looked for at an eighth of the size, which reads every code but draws little. */
static bool may_pass(const lk_prepare_options *options, const lk_half *picture)
{
    int size = options->alignment.size, width, height, sampling, colours;
    if (options->align || options->jpeg_quality == 0 || picture->size < 4 || picture->data[0] != 0xff ||
        picture->data[1] != 0xd8 || picture->size > tjBufSize(size, size, TJSAMP_444) ||
        lk_exif_orientation(picture->data, picture->size) != 1)
        return false;
    tjhandle decoder = tjInitDecompress();
    int edge = (size + 7) / 8;
    uint8_t *small = malloc((size_t)edge * (size_t)edge * 3);
    bool good = decoder && small &&
                tjDecompressHeader3(decoder, picture->data, picture->size, &width, &height, &sampling, &colours) == 0 &&
                width == size && height == size && (colours == TJCS_YCbCr || colours == TJCS_GRAY) &&
                tjDecompress2(decoder, picture->data, picture->size, small, edge, 0, edge, TJPF_RGB, TJFLAG_LIMITSCANS) == 0;
    free(small);
    if (decoder)
        tjDestroy(decoder);
    return good;
}

/* ---- pictures to be drawn ---- */

/* Takes `pixels` (malloc) over. */
static lk_status keep_pixels(const lk_prepare_options *options, uint8_t *pixels, lk_prepared *out)
{
    out->pixels = pixels;
    if (options->jpeg_quality == 0)
        return LK_OK;
    int size = options->alignment.size;
    LK_TRY(lk_image_encode_jpeg(&(lk_image){size, size, pixels}, options->jpeg_quality, &out->jpeg, &out->jpeg_size));
    free(out->pixels);
    out->pixels = NULL;
    return LK_OK;
}

static lk_status resize(const lk_prepare_options *options, const lk_image *image, lk_job *job)
{
    int size = options->alignment.size;
    if (image->width != image->height) {
        job->refused = "not square";
        snprintf(job->detail, sizeof job->detail, "%d x %d pixels; photos need --align", image->width, image->height);
        return LK_OK;
    }
    if (size > options->alignment.max_enlarge * image->width) {
        job->refused = "too small";
        snprintf(job->detail, sizeof job->detail, "%d pixels a side for %d", image->width, size);
        return LK_OK;
    }
    uint8_t *pixels = malloc((size_t)size * (size_t)size * 3);
    if (!pixels)
        return lk_fail(LK_INTERNAL, "out of memory for a picture of %d x %d", size, size);
    lk_status status = lk_resize(image, size, pixels);
    if (status != LK_OK) {
        free(pixels);
        return status;
    }
    job->face_count = 1;
    return keep_pixels(options, pixels, &job->faces[0]);
}

static void describe(const lk_aligned *face, char *detail, size_t size)
{
    snprintf(detail, size, "enlarged %.2f times, turned %.0f degrees, sharpness %.4f, %.0f %% outside", face->enlarge, face->turn,
             face->sharpness, 100 * face->outside);
}

static lk_status align(const lk_prepare_options *options, lk_aligner *aligner, const lk_image *image, lk_job *job)
{
    lk_aligned faces[LK_MAX_FACES];
    int count;
    lk_status status = lk_align(aligner, image, faces, &count, &job->refused);
    if (status != LK_OK)
        return lk_fail_in(status, "%s", job->picture.name);
    job->face_count = count;
    for (int i = 0; i < count && status == LK_OK; i++) {
        lk_prepared *out = &job->faces[i];
        out->refused = faces[i].rejected;
        if (out->refused) {
            describe(&faces[i], out->detail, sizeof out->detail);
            continue;
        }
        uint8_t *crop = faces[i].crop;
        faces[i].crop = NULL;
        status = keep_pixels(options, crop, out);
    }
    lk_aligned_free(faces, count);
    return status;
}

static lk_status prepare(const lk_prepare_options *options, lk_aligner *aligner, lk_job *job)
{
    lk_half *picture = &job->picture;
    LK_TRY(read_labels(options->schema, job));
    if (job->refused)
        return LK_OK;
    if (may_pass(options, picture)) {
        job->faces[0] = (lk_prepared){.jpeg = picture->data, .jpeg_size = picture->size};
        job->face_count = 1;
        picture->data = NULL;
        return LK_OK;
    }
    lk_image image;
    LK_TRY(refuse(job, lk_photo_decode(picture->data, picture->size, options->max_pixels, picture->name, &image),
                  "unreadable picture"));
    if (job->refused)
        return LK_OK;
    lk_status status = options->align ? align(options, aligner, &image, job) : resize(options, &image, job);
    lk_image_free(&image);
    return status;
}

void lk_prepare(const lk_prepare_options *options, lk_aligner *aligner, lk_job *job)
{
    lk_status status = job->refused ? LK_OK : prepare(options, aligner, job);
    if (status != LK_OK)
        lk_error_take(&job->error, status);
}
