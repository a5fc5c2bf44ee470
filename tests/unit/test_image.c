/* Pictures: what is saved is read back; damaged, foreign and oversized pictures are refused. */
#include "base/file.h"
#include "base/random.h"
#include "dataset/client/texture.h"
#include "dataset/image.h"

#include <setjmp.h>
#include <spng.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include <jpeglib.h>

static lk_image make_picture(int width, int height)
{
    lk_image image;
    assert_int_equal(lk_image_allocate(width, height, &image), LK_OK);
    for (int i = 0; i < width * height; i++) {
        image.pixels[3 * i] = (uint8_t)(i % width * 255 / width);
        image.pixels[3 * i + 1] = (uint8_t)(i / width * 255 / height);
        image.pixels[3 * i + 2] = (uint8_t)(128 + i % 7);
    }
    return image;
}

/* A PNG of any colour type, as other programs write them. */
static uint8_t *encode_png(int width, int height, int colour_type, int depth, const void *pixels, size_t bytes, size_t *size)
{
    spng_ctx *encoder = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {
        .width = (uint32_t)width, .height = (uint32_t)height, .bit_depth = (uint8_t)depth, .color_type = (uint8_t)colour_type};
    int error = 0;
    assert_int_equal(spng_set_option(encoder, SPNG_ENCODE_TO_BUFFER, 1), 0);
    assert_int_equal(spng_set_ihdr(encoder, &header), 0);
    assert_int_equal(spng_encode_image(encoder, pixels, bytes, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE), 0);
    uint8_t *data = spng_get_png_buffer(encoder, size, &error);
    assert_non_null(data);
    spng_ctx_free(encoder);
    return data;
}

static void png_comes_back_exactly(void **state)
{
    (void)state;
    lk_image image = make_picture(37, 21), back;
    assert_int_equal(lk_image_save_png("a.png", &image), LK_OK);
    char *data;
    size_t size;
    assert_int_equal(lk_read_file("a.png", 1 << 20, &data, &size), LK_OK);
    assert_int_equal(lk_image_decode(data, size, 37 * 21, "a.png", &back), LK_OK);
    assert_int_equal(back.width, 37);
    assert_int_equal(back.height, 21);
    assert_memory_equal(back.pixels, image.pixels, 37 * 21 * 3);
    free(data);
    lk_image_free(&back);
    lk_image_free(&image);
}

static void other_png_kinds_become_rgb(void **state)
{
    (void)state;
    const uint8_t grey[4] = {0, 100, 200, 255};
    const uint8_t rgba[8] = {10, 20, 30, 255, 10, 20, 30, 0};
    const uint8_t half[4] = {0, 0, 0, 128};
    const uint16_t wide[3] = {0xffff, 0x8000, 0};
    lk_image image;
    size_t size;

    uint8_t *data = encode_png(4, 1, SPNG_COLOR_TYPE_GRAYSCALE, 8, grey, sizeof grey, &size);
    assert_int_equal(lk_image_decode(data, size, 4, "grey", &image), LK_OK);
    for (int i = 0; i < 12; i++)
        assert_int_equal(image.pixels[i], grey[i / 3]);
    lk_image_free(&image);
    free(data);

    data = encode_png(2, 1, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, rgba, sizeof rgba, &size);
    assert_int_equal(lk_image_decode(data, size, 2, "alpha", &image), LK_OK);
    const uint8_t over_white[6] = {10, 20, 30, 255, 255, 255};
    assert_memory_equal(image.pixels, over_white, 6);
    lk_image_free(&image);
    free(data);

    data = encode_png(1, 1, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, half, sizeof half, &size);
    assert_int_equal(lk_image_decode(data, size, 1, "half", &image), LK_OK);
    assert_int_equal(image.pixels[0], 127);
    lk_image_free(&image);
    free(data);

    data = encode_png(1, 1, SPNG_COLOR_TYPE_TRUECOLOR, 16, wide, sizeof wide, &size);
    assert_int_equal(lk_image_decode(data, size, 1, "wide", &image), LK_OK);
    assert_int_equal(image.pixels[0], 255);
    assert_int_equal(image.pixels[1], 128);
    assert_int_equal(image.pixels[2], 0);
    lk_image_free(&image);
    free(data);
}

static void jpeg_comes_back_nearly(void **state)
{
    (void)state;
    lk_image image = make_picture(48, 32), back;
    uint8_t *data;
    size_t size;
    assert_int_equal(lk_image_encode_jpeg(&image, 97, &data, &size), LK_OK);
    assert_in_range(size, 100, 48 * 32 * 3);
    assert_int_equal(lk_image_decode(data, size, 48 * 32, "jpeg", &back), LK_OK);
    assert_int_equal(back.width, 48);
    assert_int_equal(back.height, 32);
    long total = 0;
    for (int i = 0; i < 48 * 32 * 3; i++)
        total += abs(back.pixels[i] - image.pixels[i]);
    assert_in_range(total, 0, 2 * 48 * 32 * 3);
    free(data);
    lk_image_free(&back);
    assert_int_equal(lk_image_encode_jpeg(&image, 0, &data, &size), LK_USAGE);
    assert_int_equal(lk_image_encode_jpeg(&image, 101, &data, &size), LK_USAGE);
    lk_image_free(&image);
}

/* A JPEG as programs other than ours write it: any colours, any sampling factors (of the first and of all other components). */
static uint8_t *encode_jpeg(const uint8_t *pixels, int edge, J_COLOR_SPACE from, J_COLOR_SPACE stored, const int factors[4],
                            size_t *size)
{
    struct jpeg_compress_struct encoder;
    struct jpeg_error_mgr errors;
    uint8_t *data = NULL;
    unsigned long used = 0;
    encoder.err = jpeg_std_error(&errors);
    jpeg_create_compress(&encoder);
    jpeg_mem_dest(&encoder, &data, &used);
    encoder.image_width = encoder.image_height = (unsigned)edge;
    encoder.in_color_space = from;
    encoder.input_components = from == JCS_GRAYSCALE ? 1 : from == JCS_CMYK ? 4 : 3;
    jpeg_set_defaults(&encoder);
    jpeg_set_colorspace(&encoder, stored);
    jpeg_set_quality(&encoder, 100, TRUE);
    for (int i = 0; i < encoder.num_components; i++) {
        encoder.comp_info[i].h_samp_factor = factors[i == 0 || i == 3 ? 0 : 2];
        encoder.comp_info[i].v_samp_factor = factors[i == 0 || i == 3 ? 1 : 3];
    }
    jpeg_start_compress(&encoder, TRUE);
    for (int y = 0; y < edge; y++) {
        uint8_t *row = (uint8_t *)pixels + (size_t)y * (size_t)edge * (size_t)encoder.input_components;
        jpeg_write_scanlines(&encoder, &row, 1);
    }
    jpeg_finish_compress(&encoder);
    jpeg_destroy_compress(&encoder);
    *size = used;
    return data;
}

/* Colours that change slowly, so that halved and quartered colour planes keep them (within 10, a step of a quartered plane). */
static void smooth_colour(int x, int y, int edge, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(40 + 160 * x / edge);
    rgb[1] = (uint8_t)(60 + 140 * y / edge);
    rgb[2] = (uint8_t)(200 - 80 * (x + y) / edge);
}

static void every_sampling_is_read(void **state)
{
    (void)state;
    enum { EDGE = 96 };
    static const int factors[][4] = {{1, 1, 1, 1}, {2, 1, 1, 1}, {2, 2, 1, 1}, {4, 1, 1, 1},  /* 4:4:4 4:2:2 4:2:0 4:1:1 */
                                     {1, 2, 1, 1}, {4, 2, 1, 1}, {1, 4, 1, 1}, {2, 2, 2, 1}}; /* 4:4:0 4:1:0 and stranger ones */
    uint8_t pixels[EDGE * EDGE * 3], grey[EDGE * EDGE];
    for (int i = 0; i < EDGE * EDGE; i++) {
        smooth_colour(i % EDGE, i / EDGE, EDGE, pixels + 3 * i);
        grey[i] = pixels[3 * i];
    }
    for (size_t k = 0; k < sizeof factors / sizeof *factors; k++) {
        for (int kind = 0; kind < 2; kind++) { /* colour; grey, whose factors mean nothing */
            size_t size;
            lk_image image;
            uint8_t *jpeg = encode_jpeg(kind ? grey : pixels, EDGE, kind ? JCS_GRAYSCALE : JCS_RGB,
                                        kind ? JCS_GRAYSCALE : JCS_YCbCr, factors[k], &size);
            if (lk_image_decode(jpeg, size, EDGE * EDGE, "sampled", &image) != LK_OK)
                fail_msg("factors %zu: %s", k, lk_error_text());
            for (int i = 0; i < EDGE * EDGE * 3; i++)
                if (abs(image.pixels[i] - (kind ? grey[i / 3] : pixels[i])) > 10)
                    fail_msg("factors %zu, kind %d: byte %d is %d, not %d", k, kind, i, image.pixels[i], pixels[i]);
            lk_image_free(&image);
            free(jpeg);
        }
    }
}

/* Inks are stored inverted (0 is full ink), as Photoshop began and all others follow: red = cyan * black / 255. */
static void inks_become_rgb(void **state)
{
    (void)state;
    enum { EDGE = 64 };
    static const int factors[4] = {1, 1, 1, 1};
    uint8_t inks[EDGE * EDGE * 4];
    for (int i = 0; i < EDGE * EDGE; i++) {
        smooth_colour(i % EDGE, i / EDGE, EDGE, inks + 4 * i);
        inks[4 * i + 3] = (uint8_t)(255 - i / EDGE);
    }
    static const J_COLOR_SPACE stored[] = {JCS_CMYK, JCS_YCCK};
    for (int k = 0; k < 2; k++) {
        size_t size;
        lk_image image;
        uint8_t *jpeg = encode_jpeg(inks, EDGE, JCS_CMYK, stored[k], factors, &size);
        if (lk_image_decode(jpeg, size, EDGE * EDGE, "inks", &image) != LK_OK)
            fail_msg("%s", lk_error_text());
        for (int i = 0; i < EDGE * EDGE * 3; i++)
            assert_in_range(image.pixels[i] - inks[i / 3 * 4 + i % 3] * inks[i / 3 * 4 + 3] / 255 + 4, 0, 8);
        lk_image_free(&image);
        free(jpeg);
    }
}

static void put_big_endian(uint8_t *to, size_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* A profile, a text or a preview of any size says nothing about the pixels; but one whose checksum does not fit is damage. */
static void chunks_beside_the_picture_are_passed_over(void **state)
{
    (void)state;
    static const char *const types[] = {"zTXt", "iCCP", "tEXt", "eXIf", "prVw"};
    enum { LARGE = 6 << 20, BEFORE_PIXELS = 33 };
    lk_image image = make_picture(20, 10), back;
    char *png;
    size_t size;
    assert_int_equal(lk_image_save_png("beside.png", &image), LK_OK);
    assert_int_equal(lk_read_file("beside.png", 1 << 20, &png, &size), LK_OK);
    uint8_t *larger = calloc(1, size + 12 + LARGE), *chunk = larger + BEFORE_PIXELS;
    memcpy(larger, png, BEFORE_PIXELS);
    put_big_endian(chunk, LARGE);
    memcpy(chunk + 12 + LARGE, png + BEFORE_PIXELS, size - BEFORE_PIXELS);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        memcpy(chunk + 4, types[i], 4);
        put_big_endian(chunk + 8 + LARGE, crc32(0, chunk + 4, LARGE + 4));
        if (lk_image_decode(larger, size + 12 + LARGE, 200, types[i], &back) != LK_OK)
            fail_msg("%s", lk_error_text());
        assert_memory_equal(back.pixels, image.pixels, 20 * 10 * 3);
        lk_image_free(&back);
        chunk[100] ^= 1;
        assert_int_equal(lk_image_decode(larger, size + 12 + LARGE, 200, types[i], &back), LK_BAD_DATA);
        chunk[100] ^= 1;
    }
    free(larger);
    free(png);
    lk_image_free(&image);
}

/* A quarter of a gigabyte of one letter as a text of a megabyte; how many bytes the chunk's data have. */
static size_t pack_long_text(uint8_t *out, size_t room)
{
    enum { PIECE = 1 << 20, PIECES = 256 };
    z_stream z = {.next_out = out, .avail_out = (uInt)room};
    char *piece = malloc(PIECE);
    memset(piece, 'a', PIECE);
    assert_int_equal(deflateInit(&z, 1), Z_OK);
    for (int i = 0; i < PIECES; i++) {
        z.next_in = (uint8_t *)piece;
        z.avail_in = PIECE;
        deflate(&z, i == PIECES - 1 ? Z_FINISH : Z_NO_FLUSH);
        assert_int_equal(z.avail_in, 0);
    }
    assert_int_equal(deflateEnd(&z), Z_OK);
    free(piece);
    return room - z.avail_out;
}

static void a_long_text_takes_no_memory(void **state)
{
    (void)state;
    enum { ROOM = 8 << 20, BEFORE_PIXELS = 33, MOST_KILOBYTES = 64 << 10 };
    static const char keyword[] = "Comment\0"; /* and the method */
    lk_image image = make_picture(20, 10), back;
    lk_texture texture;
    struct rusage before, after;
    char *png;
    size_t size;
    assert_ok(lk_image_save_png("text.png", &image));
    assert_ok(lk_read_file("text.png", 1 << 20, &png, &size));
    uint8_t *larger = malloc(size + 64 + ROOM), *chunk = larger + BEFORE_PIXELS;
    size_t length = sizeof keyword + pack_long_text(chunk + 8 + sizeof keyword, ROOM);
    memcpy(larger, png, BEFORE_PIXELS);
    put_big_endian(chunk, length);
    memcpy(chunk + 4, "zTXt", 4);
    memcpy(chunk + 8, keyword, sizeof keyword);
    put_big_endian(chunk + 8 + length, crc32(0, chunk + 4, (uInt)length + 4));
    memcpy(chunk + 12 + length, png + BEFORE_PIXELS, size - BEFORE_PIXELS);
    getrusage(RUSAGE_SELF, &before);
    assert_ok(lk_image_decode(larger, size + 12 + length, 200, "text", &back));
    assert_ok(lk_texture_decode(larger, size + 12 + length, 200, "text", &texture));
    getrusage(RUSAGE_SELF, &after);
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, MOST_KILOBYTES);
    lk_texture_free(&texture);
    lk_image_free(&back);
    free(larger);
    free(png);
    lk_image_free(&image);
}

static void textures_keep_their_transparency(void **state)
{
    (void)state;
    const uint8_t pixels[] = {10, 20, 30, 40, 50, 60, 70, 0};
    lk_texture texture;
    size_t size;
    uint8_t *png = encode_png(2, 1, SPNG_COLOR_TYPE_TRUECOLOR_ALPHA, 8, pixels, sizeof pixels, &size);
    assert_ok(lk_texture_decode(png, size, 2, "rgba", &texture));
    assert_memory_equal(texture.texels[0], pixels, sizeof pixels);
    lk_texture_free(&texture);
    assert_fails(lk_texture_decode(png, size, 1, "rgba", &texture), LK_BAD_DATA, "rgba: a picture of 2 x 1");
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(lk_texture_decode(png, cut, 2, "cut", &texture), LK_BAD_DATA);
    free(png);
    lk_image image, wide = make_picture(4097, 1);
    assert_ok(lk_image_encode_jpeg(&wide, 90, &png, &size));
    assert_fails(lk_texture_decode(png, size, 8192, "wide", &texture), LK_BAD_DATA, "wide: a texture of 4097 x 1 texels");
    assert_ok(lk_image_decode(png, size, 8192, "wide", &image));
    lk_image_free(&image);
    lk_image_free(&wide);
    free(png);
}

/* What is asked for before decoding, how much memory it will take, must be the header that decoding goes by. */
static void a_png_begins_with_its_header(void **state)
{
    (void)state;
    lk_image image = make_picture(300, 200), back;
    char *png;
    size_t size;
    assert_int_equal(lk_image_save_png("header.png", &image), LK_OK);
    assert_int_equal(lk_read_file("header.png", 1 << 20, &png, &size), LK_OK);
    assert_int_equal(lk_image_pixels(png, size), 300 * 200);
    uint8_t *larger = malloc(size + 24), *text = larger + 8;
    memcpy(larger, png, 8);
    memcpy(text, "\0\0\0\014tEXt\0\0\0\001\0\0\0\001key", 20); /* where the header would say 1 x 1 pixels */
    put_big_endian(text + 20, crc32(0, text + 4, 16));
    memcpy(text + 24, png + 8, size - 8);
    assert_fails(lk_image_decode(larger, size + 24, 1 << 20, "text.png", &back), LK_BAD_DATA, "text.png: cannot read the PNG");
    free(larger);
    free(png);
    lk_image_free(&image);
}

static void too_many_pixels_are_refused(void **state)
{
    (void)state;
    lk_image image = make_picture(40, 30), back;
    uint8_t *data;
    size_t size;
    assert_int_equal(lk_image_encode_jpeg(&image, 90, &data, &size), LK_OK);
    assert_fails(lk_image_decode(data, size, 1199, "big.jpg", &back), LK_BAD_DATA, "big.jpg: a picture of 40 x 30");
    assert_null(back.pixels);
    free(data);
    assert_int_equal(lk_image_save_png("b.png", &image), LK_OK);
    char *png;
    assert_int_equal(lk_read_file("b.png", 1 << 20, &png, &size), LK_OK);
    assert_int_equal(lk_image_decode(png, size, 1199, "b.png", &back), LK_BAD_DATA);
    /* A header that claims 2^31 x 2^31 pixels (its checksum does not fit, either). */
    memset(png + 16, 0x7f, 8);
    assert_int_equal(lk_image_decode(png, size, INT64_MAX, "bomb.png", &back), LK_BAD_DATA);
    free(png);
    lk_image_free(&image);
    assert_int_equal(lk_image_allocate(0, 5, &image), LK_BAD_DATA);
    assert_int_equal(lk_image_allocate(70000, 5, &image), LK_BAD_DATA);
}

static void cut_and_foreign_files_are_refused(void **state)
{
    (void)state;
    lk_image image = make_picture(64, 64), back;
    uint8_t *jpeg;
    size_t size;
    assert_int_equal(lk_image_encode_jpeg(&image, 90, &jpeg, &size), LK_OK);
    for (size_t cut = 0; cut < size - 2; cut += size / 40 + 1) {
        uint8_t *part = malloc(cut + 1); /* its own block, so that AddressSanitizer sees reads past the end */
        memcpy(part, jpeg, cut);
        assert_int_equal(lk_image_decode(part, cut, 1 << 20, "cut.jpg", &back), LK_BAD_DATA);
        assert_null(back.pixels);
        free(part);
    }
    free(jpeg);
    static const char pointer[] = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13245\n";
    assert_fails(lk_image_decode(pointer, sizeof pointer - 1, 1 << 20, "lfs.jpg", &back), LK_BAD_DATA,
                 "lfs.jpg: is a Git LFS pointer");
    assert_int_equal(lk_image_save_png("c.png", &image), LK_OK);
    char *png;
    assert_int_equal(lk_read_file("c.png", 1 << 20, &png, &size), LK_OK);
    for (size_t cut = 0; cut < size; cut += size / 40 + 1) {
        char *part = malloc(cut + 1);
        memcpy(part, png, cut);
        assert_int_equal(lk_image_decode(part, cut, 1 << 20, "cut.png", &back), LK_BAD_DATA);
        free(part);
    }
    free(png);
    assert_int_equal(lk_image_decode("GIF89a......", 12, 1 << 20, "x.gif", &back), LK_BAD_DATA);
    assert_string_equal(lk_error_text(), "x.gif: is neither a PNG nor a JPEG picture");
    lk_image_free(&image);
}

/* Damaged bytes give a picture or an error, never a crash; a PNG's own checksums catch every change of its content. */
static void flipped_bytes_do_not_crash(void **state)
{
    (void)state;
    lk_image image = make_picture(32, 32), back;
    uint8_t *jpeg;
    size_t size;
    lk_random random = lk_random_make(1, 2);
    assert_int_equal(lk_image_encode_jpeg(&image, 90, &jpeg, &size), LK_OK);
    for (int i = 0; i < 500; i++) {
        uint32_t at = lk_random_below(&random, (uint32_t)size), bit = lk_random_below(&random, 8);
        jpeg[at] ^= (uint8_t)(1u << bit);
        lk_status status = lk_image_decode(jpeg, size, 1 << 20, "flip.jpg", &back);
        assert_true(status == LK_OK || status == LK_BAD_DATA);
        lk_image_free(&back);
        jpeg[at] ^= (uint8_t)(1u << bit);
    }
    free(jpeg);
    assert_int_equal(lk_image_save_png("d.png", &image), LK_OK);
    char *png;
    assert_int_equal(lk_read_file("d.png", 1 << 20, &png, &size), LK_OK);
    for (size_t at = 0; at < size; at++) {
        png[at] ^= 0x10;
        assert_int_equal(lk_image_decode(png, size, 1 << 20, "flip.png", &back), LK_BAD_DATA);
        png[at] ^= 0x10;
    }
    free(png);
    lk_image_free(&image);
}

static void paste_puts_a_tile(void **state)
{
    (void)state;
    lk_image sheet, tile = make_picture(3, 2);
    assert_int_equal(lk_image_allocate(8, 6, &sheet), LK_OK);
    lk_image_paste(&sheet, &tile, 5, 4);
    for (int y = 0; y < 6; y++)
        for (int x = 0; x < 8; x++) {
            bool inside = x >= 5 && y >= 4;
            for (int c = 0; c < 3; c++)
                assert_int_equal(sheet.pixels[(y * 8 + x) * 3 + c], inside ? tile.pixels[((y - 4) * 3 + x - 5) * 3 + c] : 0);
        }
    lk_image_free(&sheet);
    lk_image_free(&tile);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(png_comes_back_exactly),
        cmocka_unit_test(other_png_kinds_become_rgb),
        cmocka_unit_test(jpeg_comes_back_nearly),
        cmocka_unit_test(every_sampling_is_read),
        cmocka_unit_test(inks_become_rgb),
        cmocka_unit_test(chunks_beside_the_picture_are_passed_over),
        cmocka_unit_test(a_long_text_takes_no_memory),
        cmocka_unit_test(textures_keep_their_transparency),
        cmocka_unit_test(a_png_begins_with_its_header),
        cmocka_unit_test(too_many_pixels_are_refused),
        cmocka_unit_test(cut_and_foreign_files_are_refused),
        cmocka_unit_test(flipped_bytes_do_not_crash),
        cmocka_unit_test(paste_puts_a_tile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
