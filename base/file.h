/* Files: whole reads, atomic writes, folders.
 *
 * A file under its final name is always complete: writers go through lk_atomic_file, which writes PATH.tmp-PID, fsyncs and
 * renames. Every failure names the path, the reason and, when the disk is full, the bytes missing.
 */
#ifndef LK_BASE_FILE_H
#define LK_BASE_FILE_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { LK_PATH_SIZE = 1024 };

/* Joins with one slash into out[LK_PATH_SIZE]; LK_USAGE if it does not fit. `out` may not alias the inputs. */
lk_status lk_path_join(char *out, const char *folder, const char *name);
/* mkdir -p. */
lk_status lk_make_folder(const char *path);
/* rm -r; a path that does not exist is fine. */
lk_status lk_remove_tree(const char *path);
bool lk_path_exists(const char *path);
bool lk_is_folder(const char *path);

/* The names in a folder that end in `suffix`, sorted by byte value. Free with lk_names_free. */
typedef struct lk_names {
    char **names;
    size_t count;
} lk_names;
lk_status lk_list_folder(const char *folder, const char *suffix, lk_names *out);
void lk_names_free(lk_names *names);

/* Reads a whole file of at most `limit` bytes; *data is NUL-terminated past *size and freed by the caller. A missing or
 * oversized file is LK_BAD_DATA, a failing disk LK_IO. */
lk_status lk_read_file(const char *path, size_t limit, char **data, size_t *size);

/* Whether a file that begins with these bytes is what Git LFS leaves in the place of a large file that was not fetched. */
bool lk_is_lfs_pointer(const void *data, size_t size);
/* The refusal of one: `status` and a sentence that says what to do. */
lk_status lk_fail_lfs_pointer(lk_status status, const char *path);

/* A file that appears under its name only when committed.
 *
 *     lk_atomic_file f;
 *     LK_TRY(lk_atomic_open(&f, path));
 *     fwrite(data, 1, size, f.stream);            // errors are sticky in the stream
 *     return lk_atomic_commit(&f);                // checks the stream, fsync, rename, fsync of the folder
 *
 * lk_atomic_abort() instead of commit removes the temporary file. After either the struct is dead. */
typedef struct lk_atomic_file {
    FILE *stream;
    char path[LK_PATH_SIZE];
    char temporary[LK_PATH_SIZE + 32];
} lk_atomic_file;
lk_status lk_atomic_open(lk_atomic_file *file, const char *path);
lk_status lk_atomic_commit(lk_atomic_file *file);
void lk_atomic_abort(lk_atomic_file *file);

/* The same for a buffer in one call. */
lk_status lk_write_file(const char *path, const void *data, size_t size);

/* Appends to a file opened with O_APPEND in one write where the system allows it; not fsynced. On failure (a full disk) the
 * file is cut back to what it was, so that it never holds half a record; `path` is for the error. */
lk_status lk_append(int fd, const char *path, const void *data, size_t size);

/* lk_append for a file whose records must not be lost to a full disk: what cannot be written stays in `backlog`, in order, and
 * goes first the next time; size 0 only tries that. Starts as {0}; lk_backlog_free drops what is left. LK_INTERNAL: out of
 * memory, the new record is lost. */
typedef struct lk_backlog {
    char *data;
    size_t size;
} lk_backlog;
lk_status lk_append_or_keep(int fd, const char *path, lk_backlog *backlog, const void *data, size_t size);
void lk_backlog_free(lk_backlog *backlog);

/* fsync of a folder, so that renames in it survive a power loss. */
lk_status lk_sync_folder(const char *path);

/* LK_IO with the reason of `errno_value` and, for a full disk, how many of the wanted bytes do not fit; `wanted` may be 0. */
lk_status lk_fail_io(const char *action, const char *path, int errno_value, int64_t wanted);

#endif
