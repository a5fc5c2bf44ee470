/* Files: looking, whole reads, atomic writes, folders.
 *
 * A file under its final name is always complete: writers go through lk_atomic_file, which writes a temporary file beside it,
 * fsyncs and renames. Every failure names the path, the reason and, when the disk is full, the bytes missing.
 *
 * What a failed call says about a path is decided here, for every open, stat, listing, read and link of the program:
 *     it is not so      ENOENT, ENOTDIR, a file of another kind, contents that do not parse: LK_BAD_DATA, or an absence that the
 *                       caller has a use for
 *     could not look    any other reason (ESTALE, EIO, EACCES, EMFILE ...): LK_IO, exit code 70, with which jobs are started
 *     again.
 *                       Nobody may conclude from it that something is absent or damaged.
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
/* Removes one file or link; one that does not exist is fine. */
lk_status lk_remove_file(const char *path);
/* Renames PATH to PATH.aside-N, the first N from 1 that is free, for what must not be lost and is in the way. */
lk_status lk_set_aside(const char *path);

/* ---- looking ---- */

/* Links are followed: one that leads nowhere is absent. */
typedef enum lk_path_kind { LK_ABSENT, LK_FILE, LK_FOLDER, LK_SPECIAL } lk_path_kind;
/* LK_IO: it cannot be told just now. */
lk_status lk_path_look(const char *path, lk_path_kind *kind);
/* Whether both paths lead to one file or folder. What is absent is no other's. */
lk_status lk_path_same(const char *a, const char *b, bool *same);
/* `path` as it is called from `folder` on, links resolved ("a/b.png"), into out[LK_PATH_SIZE]; "" where it does not lie in that
 * folder or one below. A last part that is not there yet is taken as a name. */
lk_status lk_path_within(char *out, const char *folder, const char *path);

/* Whether this reason of a failed call means that the path is not there. */
bool lk_means_absent(int errno_value);
/* The sentence and status of a look that failed: LK_BAD_DATA where the path is not there, else LK_IO. */
lk_status lk_fail_look(const char *action, const char *path, int errno_value);
/* For loops around calls that only look: whether to call once more, after a pause, since the reason is one that passes where a
 * network disk was away for a moment. *tries starts as 0; after three tries, half a second in all, the answer is no. Keeps errno.
 * What changes the disk, or syncs it, is not repeated: it may have been done before it failed. */
bool lk_try_again(int *tries, int errno_value);

/* Opens a regular file for reading; *size (NULL: not wanted) is its size now. Anything else by that name is LK_BAD_DATA, nothing
 * blocks. */
lk_status lk_open_file(const char *path, int *fd, int64_t *size);
/* The same as a stream. Who reads it asks ferror at its end: a failed read is no end of the file. */
lk_status lk_open_stream(const char *path, FILE **stream);

/* The names in a folder that end in `suffix` and do not begin with a dot, sorted by byte value. Free with lk_names_free. */
typedef struct lk_names {
    char **names;
    size_t count;
} lk_names;
lk_status lk_list_folder(const char *folder, const char *suffix, lk_names *out);
void lk_names_free(lk_names *names);

/* Reads a whole file of at most `limit` bytes; *data is NUL-terminated past *size and freed by the caller. An
 * oversized file is LK_BAD_DATA. */
lk_status lk_read_file(const char *path, size_t limit, char **data, size_t *size);
/* Reads up to `size` bytes at `offset`; *got is less only where the file ends. `path` is for the error (LK_IO). Thread-safe. */
lk_status lk_read_at(int fd, const char *path, void *out, size_t size, int64_t offset, size_t *got);

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
 * lk_atomic_abort() instead of commit removes the temporary file, and so does a signal that ends the process. After either the
 * struct is dead. */
typedef struct lk_atomic_file {
    FILE *stream;
    char path[LK_PATH_SIZE];
    char temporary[LK_PATH_SIZE];
    int leftover; /* of base/leftover.h */
} lk_atomic_file;
lk_status lk_atomic_open(lk_atomic_file *file, const char *path);
lk_status lk_atomic_commit(lk_atomic_file *file);
void lk_atomic_abort(lk_atomic_file *file);

/* A name for something unfinished beside `path`: PATH.tmp-HOST-PROCESS-RANDOM. Hosts, containers and processes that share a
 * disk do not meet in it. A long last part of the path is cut. */
lk_status lk_temporary_name(const char *path, char out[LK_PATH_SIZE]);
/* Creates a file of such a name with open(2)'s `access` (O_WRONLY, O_RDWR): never one that exists, never through a link. A signal
 * that ends the process removes it, until its number in *leftover is forgotten (base/leftover.h). */
lk_status lk_temporary_create(const char *path, int access, char out[LK_PATH_SIZE], int *fd, int *leftover);

/* Removes what killed writers left in a folder: files and folders that have lk_temporary_name's form and whose names begin
 * with one of the prefixes. `owned`: nobody else may write here (a lock, a run that was taken over), so whatever is there is
 * left over. Else only what is clearly stale goes: of a process of this host that is no more, untouched for an hour. What
 * cannot be removed is a warning. LK_IO: the folder cannot be listed. */
lk_status lk_sweep_temporaries(const char *folder, const char *const *prefixes, size_t count, bool owned);

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
