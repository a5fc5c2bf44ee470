/* The bytes of a file or pipe in order, gzip undone: members one after the other, each with its checksum and length verified,
 * which libarchive 3.6 does not. Other bytes pass unchanged. One thread at a time. */
#ifndef LK_DATASET_PACK_BYTES_H
#define LK_DATASET_PACK_BYTES_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct lk_bytes lk_bytes;
/* `path` names it in errors and must outlive it; fd stays the caller's. */
lk_status lk_bytes_open(int fd, const char *path, lk_bytes **out);
void lk_bytes_close(lk_bytes *bytes);

/* The next piece, valid until the next call; *size is 0 at the end. LK_BAD_DATA: damaged, cut short, or followed by what is not
 * gzip (zeros are fine: padding). */
lk_status lk_bytes_read(lk_bytes *bytes, const uint8_t **piece, size_t *size);
/* How many have been read of the file itself. */
off_t lk_bytes_offset(const lk_bytes *bytes);

#endif
