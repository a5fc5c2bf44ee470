/* MakeHuman's text files, .mhclo, .mhmat and .obj: lines of words, '#' begins a comment. */
#ifndef LK_DATASET_CLIENT_ASSET_TEXT_H
#define LK_DATASET_CLIENT_ASSET_TEXT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { LK_LINE_WORDS = 64, LK_ASSET_NAME = 201 };

typedef struct lk_lines {
    const char *origin; /* names the file in errors */
    char *text, *rest;
    int number; /* of the line at hand, from 1 */
    int count;
    char *words[LK_LINE_WORDS]; /* more are left off */
} lk_lines;

/* Takes a copy of the text, which may not hold a zero byte. */
lk_status lk_lines_open(const char *text, size_t size, const char *origin, lk_lines *lines);
void lk_lines_close(lk_lines *lines);
/* The next line that has a word; false at the end. */
bool lk_lines_next(lk_lines *lines);
/* LK_BAD_DATA: "FILE:LINE: PROBLEM". */
lk_status lk_lines_fail(const lk_lines *lines, const char *problem);

/* Word `i` as a number of the range; LK_BAD_DATA says which range. */
lk_status lk_lines_whole(const lk_lines *lines, int i, long low, long high, int *out);
lk_status lk_lines_real(const lk_lines *lines, int i, float *out); /* finite, at most 1e6 either way */
/* Words from `i` on, one blank between two; LK_BAD_DATA if there are none or more than LK_ASSET_NAME - 1 bytes. */
lk_status lk_lines_name(const lk_lines *lines, int i, char out[LK_ASSET_NAME]);

#endif
