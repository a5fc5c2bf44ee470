#include "dataset/image.h"

#include "base/file.h"

#include <setjmp.h>
#include <spng.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>
#include <zlib.h>

#include <jerror.h>
#include <jpeglib.h>

enum { CHANNELS = 3, MAX_EDGE = 65535, MAX_SCANS = 500, PNG_SIGNATURE = 8 };

lk_status lk_image_allocate(int width, int height, lk_image *out)
{
    *out = (lk_image){0};
    if (width < 1 || height < 1 || width > MAX_EDGE || height > MAX_EDGE)
        return lk_fail(LK_BAD_DATA, "a picture of %d x %d pixels: both edges must be 1 to %d", width, height, MAX_EDGE);
    out->pixels = calloc((size_t)width * (size_t)height, CHANNELS);
    if (!out->pixels)
        return lk_fail(LK_INTERNAL, "out of memory for a picture of %d x %d pixels", width, height);
    out->width = width;
    out->height = height;
    return LK_OK;
}

void lk_image_free(lk_image *image)
{
    free(image->pixels);
    *image = (lk_image){0};
}

static size_t byte_count(const lk_image *image)
{
    return (size_t)image->width * (size_t)image->height * CHANNELS;
}

lk_status lk_image_encode_png(const lk_image *image, uint8_t **data, size_t *size)
{
    *data = NULL;
    spng_ctx *encoder = spng_ctx_new(SPNG_CTX_ENCODER);
    if (!encoder)
        return lk_fail(LK_INTERNAL, "out of memory writing a PNG");
    struct spng_ihdr header = {.width = (uint32_t)image->width,
                               .height = (uint32_t)image->height,
                               .bit_depth = 8,
                               .color_type = SPNG_COLOR_TYPE_TRUECOLOR};
    int failed = spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1);
    if (!failed)
        failed = spng_set_ihdr(encoder, &header);
    if (!failed)
        failed = spng_encode_image(encoder, image->pixels, byte_count(image), SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (!failed)
        *data = spng_get_png_buffer(encoder, size, &failed);
    spng_ctx_free(encoder);
    if (failed)
        return lk_fail(LK_INTERNAL, "cannot encode a PNG of %d x %d: %s", image->width, image->height, spng_strerror(failed));
    return LK_OK;
}

lk_status lk_image_save_png(const char *path, const lk_image *image)
{
    uint8_t *data;
    size_t size;
    lk_status status = lk_image_encode_png(image, &data, &size);
    if (status != LK_OK)
        return lk_fail_in(status, "%s", path);
    status = lk_write_file(path, data, size);
    free(data);
    return status;
}

static lk_status check_size(const char *origin, int64_t width, int64_t height, int64_t max_pixels)
{
    if (width < 1 || height < 1 || width > MAX_EDGE || height > MAX_EDGE || width * height > max_pixels)
        return lk_fail(LK_BAD_DATA, "%s: a picture of %lld x %lld pixels; at most %lld pixels are read", origin, (long long)width,
                       (long long)height, (long long)max_pixels);
    return LK_OK;
}

/* ---- PNG ---- */

/* A PNG without what is beside the picture: profiles, texts, previews. They may be of any length, and are passed over. */
typedef struct png_source {
    const uint8_t *data;
    size_t size, at, left; /* `left` bytes from `at` on belong to a chunk that is handed on */
} png_source;

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Goes to the next chunk that the picture is made of: a critical one (a capital letter) or tRNS. The first is handed on whatever
 * it is, since it must be the header: lk_image_pixels reads it there. */
static int next_chunk(png_source *s)
{
    for (;;) {
        if (s->at == s->size)
            return SPNG_IO_EOF;
        const uint8_t *chunk = s->data + s->at;
        size_t room = s->size - s->at;
        if (room < 12 || big_endian(chunk) > room - 12)
            return SPNG_IO_EOF; /* cut short: the decoder would first ask for all the memory that its length speaks of */
        s->left = big_endian(chunk) + (size_t)12;
        if (s->at == PNG_SIGNATURE || !(chunk[4] & 0x20) || memcmp(chunk + 4, "tRNS", 4) == 0)
            return 0;
        if (crc32(0, chunk + 4, (uInt)(s->left - 8)) != big_endian(chunk + s->left - 4))
            return SPNG_ECHUNK_CRC; /* perhaps it was no such chunk */
        s->at += s->left;
    }
}

static int read_png(spng_ctx *decoder, void *user, void *destination, size_t length)
{
    (void)decoder;
    png_source *s = user;
    for (uint8_t *to = destination; length > 0;) {
        int failed = s->left == 0 ? next_chunk(s) : 0;
        if (failed)
            return failed;
        size_t piece = length < s->left ? length : s->left;
        memcpy(to, s->data + s->at, piece);
        to += piece;
        s->at += piece;
        s->left -= piece;
        length -= piece;
    }
    return 0;
}

/* RGBA to RGB: what is transparent shows white. */
static void flatten_over_white(const uint8_t *rgba, size_t pixels, uint8_t *rgb)
{
    for (size_t i = 0; i < pixels; i++) {
        unsigned alpha = rgba[4 * i + 3];
        for (int c = 0; c < CHANNELS; c++)
            rgb[CHANNELS * i + c] = (uint8_t)((rgba[4 * i + c] * alpha + 255 * (255 - alpha) + 127) / 255);
    }
}

static lk_status fail_png(const char *origin, int error)
{
    lk_status status = error == SPNG_EMEM ? LK_INTERNAL : LK_BAD_DATA;
    return lk_fail(status, "%s: cannot read the PNG: %s", origin, spng_strerror(error));
}

static bool has_alpha(spng_ctx *decoder, const struct spng_ihdr *header)
{
    struct spng_trns transparency;
    return header->color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA || header->color_type == SPNG_COLOR_TYPE_TRUECOLOR_ALPHA ||
           spng_get_trns(decoder, &transparency) == 0;
}

/* Reads the header. The caller frees *decoder, also after a failure. */
static lk_status begin_png(png_source *source, int64_t max_pixels, const char *origin, spng_ctx **decoder,
                           struct spng_ihdr *header)
{
    *decoder = spng_ctx_new(0);
    if (!*decoder)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading a PNG", origin);
    int failed = spng_set_png_stream(*decoder, read_png, source);
    if (!failed)
        failed = spng_get_ihdr(*decoder, header);
    return failed ? fail_png(origin, failed) : check_size(origin, header->width, header->height, max_pixels);
}

/* Reads the pixels, and what follows them: a file cut there is damaged too. */
static lk_status finish_png(spng_ctx *decoder, const char *origin, void *pixels, size_t bytes, int format)
{
    int failed = spng_decode_image(decoder, pixels, bytes, format, SPNG_DECODE_TRNS);
    if (!failed)
        failed = spng_decode_chunks(decoder);
    return failed ? fail_png(origin, failed) : LK_OK;
}

static lk_status finish_png_rgba(spng_ctx *decoder, const char *origin, const struct spng_ihdr *header, uint8_t **rgba)
{
    size_t bytes = (size_t)header->width * header->height * 4;
    *rgba = malloc(bytes);
    if (!*rgba)
        return lk_fail(LK_INTERNAL, "%s: out of memory for %u x %u pixels", origin, header->width, header->height);
    return finish_png(decoder, origin, *rgba, bytes, SPNG_FMT_RGBA8);
}

static lk_status decode_png(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_image *out)
{
    uint8_t *rgba = NULL;
    spng_ctx *decoder;
    struct spng_ihdr header;
    png_source source = {.data = data, .size = size, .left = PNG_SIGNATURE};
    lk_status status;
    LK_TRY_OR(done, begin_png(&source, max_pixels, origin, &decoder, &header));
    LK_TRY_OR(done, lk_image_allocate((int)header.width, (int)header.height, out));
    if (has_alpha(decoder, &header)) {
        LK_TRY_OR(done, finish_png_rgba(decoder, origin, &header, &rgba));
        flatten_over_white(rgba, byte_count(out) / CHANNELS, out->pixels);
    } else {
        status = finish_png(decoder, origin, out->pixels, byte_count(out), SPNG_FMT_RGB8);
    }
done:
    free(rgba);
    spng_ctx_free(decoder);
    if (status != LK_OK)
        lk_image_free(out);
    return status;
}

static lk_status decode_png_rgba(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_rgba *out)
{
    spng_ctx *decoder;
    struct spng_ihdr header;
    png_source source = {.data = data, .size = size, .left = PNG_SIGNATURE};
    lk_status status = begin_png(&source, max_pixels, origin, &decoder, &header);
    if (status == LK_OK)
        status = finish_png_rgba(decoder, origin, &header, &out->pixels);
    spng_ctx_free(decoder);
    if (status == LK_OK) {
        out->width = (int)header.width;
        out->height = (int)header.height;
    } else {
        free(out->pixels);
        out->pixels = NULL;
    }
    return status;
}

/* ---- JPEG: through libjpeg itself, since TurboJPEG knows neither rare sampling factors nor CMYK ---- */

typedef struct jpeg_reader {
    struct jpeg_decompress_struct decoder;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    char reason[JMSG_LENGTH_MAX];
    uint8_t *row; /* of four colours */
    const char *origin;
    int64_t max_pixels;
    lk_image *out;
} jpeg_reader;

/* The library's way to fail is to jump out of it. */
static void on_jpeg_error(j_common_ptr common)
{
    jpeg_reader *r = common->client_data;
    common->err->format_message(common, r->reason);
    longjmp(r->failed, 1);
}

/* Warnings count as failures: they mean that part of the picture is missing or invented. */
static void on_jpeg_message(j_common_ptr common, int level)
{
    if (level < 0)
        on_jpeg_error(common);
}

/* A few kilobytes of empty scans could keep the decoder busy for hours. */
static void on_jpeg_progress(j_common_ptr common)
{
    jpeg_reader *r = common->client_data;
    if (r->decoder.input_scan_number <= MAX_SCANS)
        return;
    snprintf(r->reason, sizeof r->reason, "more than %d scans", MAX_SCANS);
    longjmp(r->failed, 1);
}

/* CMYK as every program writes it: inverted, 255 is no ink. */
static void flatten_inks(const uint8_t *cmyk, int pixels, uint8_t *rgb)
{
    for (int i = 0; i < pixels; i++)
        for (int c = 0; c < CHANNELS; c++)
            rgb[CHANNELS * i + c] = (uint8_t)((cmyk[4 * i + c] * cmyk[4 * i + 3] + 127) / 255);
}

static lk_status read_jpeg(jpeg_reader *r, const void *data, size_t size)
{
    struct jpeg_decompress_struct *decoder = &r->decoder;
    if (setjmp(r->failed)) {
        bool memory = r->errors.msg_code == JERR_OUT_OF_MEMORY;
        return lk_fail(memory ? LK_INTERNAL : LK_BAD_DATA, "%s: cannot read the JPEG: %s", r->origin, r->reason);
    }
    jpeg_create_decompress(decoder);
    decoder->progress = &r->progress;
    jpeg_mem_src(decoder, data, size);
    jpeg_read_header(decoder, TRUE);
    LK_TRY(check_size(r->origin, decoder->image_width, decoder->image_height, r->max_pixels));
    LK_TRY(lk_image_allocate((int)decoder->image_width, (int)decoder->image_height, r->out));
    bool inks = decoder->jpeg_color_space == JCS_CMYK || decoder->jpeg_color_space == JCS_YCCK;
    decoder->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    decoder->dct_method = JDCT_ISLOW;
    r->row = inks ? malloc((size_t)r->out->width * 4) : NULL;
    if (inks && !r->row)
        return lk_fail(LK_INTERNAL, "%s: out of memory for a row of pixels", r->origin);
    jpeg_start_decompress(decoder);
    while (decoder->output_scanline < decoder->output_height) {
        uint8_t *row = r->out->pixels + (size_t)decoder->output_scanline * (size_t)r->out->width * CHANNELS;
        uint8_t *into = inks ? r->row : row;
        jpeg_read_scanlines(decoder, &into, 1);
        if (inks)
            flatten_inks(r->row, r->out->width, row);
    }
    jpeg_finish_decompress(decoder);
    return LK_OK;
}

static void prepare_jpeg(jpeg_reader *r)
{
    r->decoder.err = jpeg_std_error(&r->errors);
    r->decoder.client_data = r;
    r->errors.error_exit = on_jpeg_error;
    r->errors.emit_message = on_jpeg_message;
    r->progress.progress_monitor = on_jpeg_progress;
}

static lk_status decode_jpeg(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_image *out)
{
    jpeg_reader r = {.origin = origin, .max_pixels = max_pixels, .out = out};
    prepare_jpeg(&r);
    lk_status status = read_jpeg(&r, data, size);
    jpeg_destroy_decompress(&r.decoder);
    free(r.row);
    if (status != LK_OK)
        lk_image_free(out);
    return status;
}

/* By the library itself, which finds headers behind bytes that no marker announces. */
static bool read_jpeg_header(jpeg_reader *r, const void *data, size_t size)
{
    if (setjmp(r->failed))
        return false;
    jpeg_create_decompress(&r->decoder);
    jpeg_mem_src(&r->decoder, data, size);
    jpeg_read_header(&r->decoder, TRUE);
    return true;
}

static int64_t jpeg_pixels(const void *data, size_t size)
{
    jpeg_reader r = {.origin = ""};
    prepare_jpeg(&r);
    int64_t pixels = read_jpeg_header(&r, data, size) ? (int64_t)r.decoder.image_width * r.decoder.image_height : 0;
    jpeg_destroy_decompress(&r.decoder);
    return pixels;
}

/* ---- either ---- */

static bool is_png(const uint8_t *data, size_t size)
{
    return size >= PNG_SIGNATURE && memcmp(data, "\x89PNG\r\n\x1a\n", PNG_SIGNATURE) == 0;
}

static bool is_jpeg(const uint8_t *data, size_t size)
{
    return size >= 3 && memcmp(data, "\xff\xd8\xff", 3) == 0;
}

int64_t lk_image_pixels(const void *data, size_t size)
{
    if (is_png(data, size) && size >= 24) {
        const uint8_t *header = (const uint8_t *)data + 16;
        uint32_t width = big_endian(header), height = big_endian(header + 4);
        return width <= MAX_EDGE && height <= MAX_EDGE ? (int64_t)width * height : 0;
    }
    return is_jpeg(data, size) ? jpeg_pixels(data, size) : 0;
}

lk_status lk_image_decode(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_image *out)
{
    *out = (lk_image){0};
    if (is_png(data, size))
        return decode_png(data, size, max_pixels, origin, out);
    if (is_jpeg(data, size))
        return decode_jpeg(data, size, max_pixels, origin, out);
    if (lk_is_lfs_pointer(data, size))
        return lk_fail_lfs_pointer(LK_BAD_DATA, origin);
    return lk_fail(LK_BAD_DATA, "%s: is neither a PNG nor a JPEG picture", origin);
}

lk_status lk_image_decode_rgba(const void *data, size_t size, int64_t max_pixels, const char *origin, lk_rgba *out)
{
    lk_image image;
    *out = (lk_rgba){0};
    if (is_png(data, size))
        return decode_png_rgba(data, size, max_pixels, origin, out);
    LK_TRY(lk_image_decode(data, size, max_pixels, origin, &image));
    size_t pixels = byte_count(&image) / CHANNELS;
    out->pixels = malloc(4 * pixels);
    for (size_t i = 0; out->pixels && i < pixels; i++) {
        memcpy(out->pixels + 4 * i, image.pixels + CHANNELS * i, CHANNELS);
        out->pixels[4 * i + CHANNELS] = 255;
    }
    out->width = image.width;
    out->height = image.height;
    lk_image_free(&image);
    return out->pixels ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory", origin);
}

lk_status lk_image_encode_jpeg(const lk_image *image, int quality, uint8_t **data, size_t *size)
{
    *data = NULL;
    *size = 0;
    if (quality < 1 || quality > 100)
        return lk_fail(LK_USAGE, "a JPEG quality of %d: it must be 1 to 100", quality);
    tjhandle encoder = tjInitCompress();
    if (!encoder)
        return lk_fail(LK_INTERNAL, "cannot start a JPEG encoder: %s", tjGetErrorStr2(NULL));
    lk_status status = LK_OK;
    unsigned long used = tjBufSize(image->width, image->height, TJSAMP_444);
    uint8_t *buffer = malloc(used);
    if (!buffer) {
        status = lk_fail(LK_INTERNAL, "out of memory for a JPEG of %d x %d", image->width, image->height);
        goto done;
    }
    /* Our own buffer, never grown by the library, so that free() frees it. */
    if (tjCompress2(encoder, image->pixels, image->width, 0, image->height, TJPF_RGB, &buffer, &used, TJSAMP_444, quality,
                    TJFLAG_NOREALLOC | TJFLAG_ACCURATEDCT) != 0) {
        status =
            lk_fail(LK_INTERNAL, "cannot encode a JPEG of %d x %d: %s", image->width, image->height, tjGetErrorStr2(encoder));
        goto done;
    }
    *data = buffer;
    *size = used;
    buffer = NULL;
done:
    free(buffer);
    tjDestroy(encoder);
    return status;
}

void lk_image_paste(lk_image *sheet, const lk_image *tile, int x, int y)
{
    for (int row = 0; row < tile->height; row++)
        memcpy(sheet->pixels + ((size_t)(y + row) * (size_t)sheet->width + (size_t)x) * CHANNELS,
               tile->pixels + (size_t)row * (size_t)tile->width * CHANNELS, (size_t)tile->width * CHANNELS);
}
