/* Names of entries: what kind of file each is, and its key.
 *
 * A name out of an archive never becomes a path. It only becomes a key: the name without "./", double slashes and its ending, so
 * that a/0001.jpg and a/0001.json have the key a/0001, in every kind of archive and in a folder.
 */
#ifndef LK_DATASET_PACK_NAMES_H
#define LK_DATASET_PACK_NAMES_H

#include "base/error.h"
#include "dataset/shard.h"

#include <stddef.h>
#include <stdint.h>

typedef enum lk_name_kind {
    LK_NAME_PICTURE, /* .jpg .jpeg .png, in any case */
    LK_NAME_JSON,    /* .json: the parameters of one face */
    LK_NAME_MHM,     /* .mhm: the same as MakeHuman writes them */
    LK_NAME_JSONL,   /* params.jsonl: a table of parameters */
    LK_NAME_CSV,     /* params.csv: the same */
    LK_NAME_ARCHIVE, /* an archive inside the source: not opened */
    LK_NAME_OTHER
} lk_name_kind;

/* Fills *kind and key. Returns NULL, or why the name is refused: "name that leaves the folder" (absolute, or with ".."),
 * "name with control characters", "name that is not UTF-8", "name too long", "no name". Every kind but the first two tables and
 * LK_NAME_OTHER has its ending cut off; a table's key is the folder in which it stands with a slash behind it, or "". */
const char *lk_name_read(const char *name, lk_name_kind *kind, char key[LK_KEY_SIZE]);

/* The same for a key that a table's row gives, which stands in `folder` (a table's key): with or without a picture's ending. */
const char *lk_name_of_row(const char *folder, const char *row, char key[LK_KEY_SIZE]);

/* The hash by which keys and identities are compared: of Unicode's normal form C. File systems and programs write one and the
 * same name with combined or with separate accents; what is UTF-8 in neither form counts byte by byte. */
lk_status lk_name_hash(const char *name, uint64_t *hash);

/* A name as it may stand in a message or report: valid UTF-8, control characters and stray bytes as \xNN, "..." where it is
 * longer than `size` allows. */
enum { LK_SHOWN_NAME = 160 };
void lk_name_show(const char *name, char *out, size_t size);

#endif
