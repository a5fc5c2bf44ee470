/* libhdf5 in a process of its own. Files with forged metadata make libhdf5 read past its buffers, so no file that is there
 * already is shown to it in this process: a child does that, this program again, which runs before main() of whatever program
 * it is linked into. It gets open files over a socket and hands back layout and texts. It has no other descriptor, can open
 * and write no file and make no core; memory, computing time and the wait for an answer are limited; it does not get this
 * process's environment, and signals for the job pass it by. It ends with the socket.
 *
 * One checker serves any number of files, one after the other. What it says is untrusted: callers judge all of it.
 *
 * For tests: LIKENESS_SHARD_CHECKER names another program to start, LIKENESS_SHARD_CHECKER_SECONDS another time to wait.
 */
#ifndef LK_DATASET_SHARD_CHECKER_H
#define LK_DATASET_SHARD_CHECKER_H

#include "dataset/shard_layout.h"

#include <sys/types.h>

/* Files that may wait for their answers. */
enum { LK_SHARD_CHECKER_WINDOW = 8 };

/* The process is started when the first answer is taken. One thread uses a checker, from its first use to its end. */
typedef struct lk_shard_checker {
    pid_t process;
    int socket;
    int answers;                        /* of this process */
    int files[LK_SHARD_CHECKER_WINDOW]; /* that wait, oldest first */
    int waiting, sent;                  /* of these, the process has `sent` */
} lk_shard_checker;
#define LK_SHARD_CHECKER ((lk_shard_checker){.socket = -1})

/* A file open for reading, which stays open until its answer is taken. */
void lk_shard_checker_give(lk_shard_checker *checker, int file);
/* The answer to the file given first; `path` is for the sentence. The caller frees the texts. LK_BAD_DATA: not a shard, damaged,
 * or one on which libhdf5 crashes, takes too long or too much memory. LK_IO: the disk failed. LK_INTERNAL: no checker could be
 * started, or it was killed from outside. After any answer the next can be taken. */
lk_status lk_shard_checker_take(lk_shard_checker *checker, const char *path, lk_shard_layout *layout, lk_shard_texts *texts);
/* Drops what waits. It can be used again after it. */
void lk_shard_checker_end(lk_shard_checker *checker);

#endif
