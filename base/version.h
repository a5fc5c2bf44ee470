/* Which build of the program this is. What is kept (checkpoints, DONE, shards, reports) says it, so that equal digits can be
 * traced to equal builds; readers take what older builds wrote without it. */
#ifndef LK_BASE_VERSION_H
#define LK_BASE_VERSION_H

/* "likeness 0.2-14-gf42ff06-dirty" in one line: git's description of the source, with "-dirty" where it was changed since; of a
 * tarball its commit; "likeness unknown" where neither is known. */
const char *lk_program(void);

#endif
