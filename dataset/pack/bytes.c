#include "dataset/pack/bytes.h"

#include "base/file.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 256 << 10 };

struct lk_bytes {
    int fd;
    const char *path;
    off_t offset;
    bool started, gzip;
    bool ended, done;  /* the file has no more; the gzip data have no more */
    z_stream inflater; /* next_in and avail_in are what was read and not yet used, gzip or not */
    uint8_t in[BLOCK], out[BLOCK];
};

lk_status lk_bytes_open(int fd, const char *path, lk_bytes **out)
{
    lk_bytes *b = calloc(1, sizeof *b);
    if (!b || inflateInit2(&b->inflater, 16 + MAX_WBITS) != Z_OK) {
        free(b);
        *out = NULL;
        return lk_fail(LK_INTERNAL, "%s: out of memory", path);
    }
    b->fd = fd;
    b->path = path;
    *out = b;
    return LK_OK;
}

void lk_bytes_close(lk_bytes *b)
{
    if (!b)
        return;
    inflateEnd(&b->inflater);
    free(b);
}

off_t lk_bytes_offset(const lk_bytes *b)
{
    return b->offset;
}

/* Reads until `wanted` bytes are unused or the file ends. */
static lk_status fill(lk_bytes *b, unsigned wanted)
{
    z_stream *z = &b->inflater;
    if (z->avail_in >= wanted || b->ended)
        return LK_OK;
    for (unsigned i = 0; i < z->avail_in; i++) /* a byte at most, where two are wanted */
        b->in[i] = z->next_in[i];
    z->next_in = b->in;
    while (z->avail_in < wanted && !b->ended) {
        ssize_t got;
        do
            got = read(b->fd, b->in + z->avail_in, BLOCK - z->avail_in);
        while (got < 0 && errno == EINTR);
        if (got < 0)
            return lk_fail_io("read", b->path, errno, 0);
        b->ended = got == 0;
        b->offset += got;
        z->avail_in += (unsigned)got;
    }
    return LK_OK;
}

static bool at_gzip(const lk_bytes *b)
{
    return b->inflater.avail_in >= 2 && b->inflater.next_in[0] == 0x1f && b->inflater.next_in[1] == 0x8b;
}

/* Behind a member: another one, or nothing but zeros. */
static lk_status next_member(lk_bytes *b)
{
    z_stream *z = &b->inflater;
    LK_TRY(fill(b, 2));
    if (at_gzip(b)) {
        inflateReset(z);
        return LK_OK;
    }
    while (z->avail_in > 0) {
        for (; z->avail_in > 0; z->next_in++, z->avail_in--)
            if (*z->next_in != 0)
                return lk_fail(LK_BAD_DATA, "%s: other bytes follow the gzip data; were two files joined? give each by itself",
                               b->path);
        LK_TRY(fill(b, 1));
    }
    b->done = true;
    return LK_OK;
}

static lk_status inflate_some(lk_bytes *b)
{
    z_stream *z = &b->inflater;
    z->next_out = b->out;
    z->avail_out = BLOCK;
    while (z->avail_out == BLOCK && !b->done) {
        LK_TRY(fill(b, 1));
        if (z->avail_in == 0)
            return lk_fail(LK_BAD_DATA, "%s: gzip: the file ends early; make or copy it again", b->path);
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR)
            return lk_fail(LK_INTERNAL, "%s: out of memory", b->path);
        if (result != Z_OK && result != Z_STREAM_END)
            return lk_fail(LK_BAD_DATA, "%s: gzip: the file is damaged: %s", b->path, z->msg ? z->msg : "invalid data");
        if (result == Z_STREAM_END)
            LK_TRY(next_member(b));
    }
    return LK_OK;
}

lk_status lk_bytes_read(lk_bytes *b, const uint8_t **piece, size_t *size)
{
    z_stream *z = &b->inflater;
    *size = 0;
    if (!b->started) {
        LK_TRY(fill(b, 2));
        b->gzip = at_gzip(b);
        b->started = true;
    }
    if (b->gzip) {
        LK_TRY(inflate_some(b));
        *piece = b->out;
        *size = BLOCK - z->avail_out;
        return LK_OK;
    }
    LK_TRY(fill(b, 1));
    *piece = z->next_in;
    *size = z->avail_in;
    z->avail_in = 0;
    return LK_OK;
}
