/* What a person sees in photos: a small table (CSV, docs/formats.md) to judge predictions by.
 *
 *     face,sex=macrodetails/Gender(f|m),beard,hair
 *     obama-1,m,none|stubble,buzz|short
 *     ann-1,f,none,
 *
 * Each row is about the face whose name ends in its first cell; each other cell has the words that would be right. A column is
 * headed by a group of the schema, whose choices are its words, or by NAME=PARAMETER(LOW|...|HIGH): the range of a continuous
 * parameter cut into as many equal parts as there are words. "sex" alone, where the schema has no such group, is the built-in
 * client's sex=macrodetails/Gender(f|m). An empty cell is not judged.
 *
 * Immutable after loading; any thread may read it.
 */
#ifndef LK_TRAINER_EVALUATE_SEEN_H
#define LK_TRAINER_EVALUATE_SEEN_H

#include "base/error.h"
#include "dataset/schema.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LK_MAX_SEEN_COLUMNS = 256, LK_MAX_SEEN_ROWS = 100000, LK_MAX_SEEN_BYTES = 4 << 20 };

typedef struct lk_seen_column {
    char *name;
    int group;      /* in the schema; -1: a continuous parameter is judged */
    int continuous; /* likewise */
    int word_count; /* 2 .. LK_MAX_CHOICES */
    char **words;   /* the group's choices, or the parts of the parameter's range from its low end */
} lk_seen_column;

typedef struct lk_seen_words {
    uint64_t bits[4]; /* word w: bit w % 64 of bits[w / 64]; none at all: not judged */
} lk_seen_words;

typedef struct lk_seen {
    int column_count;
    lk_seen_column *columns;
    int row_count;
    char **faces;         /* [rows] */
    int *lines;           /* [rows]: in the file, from 1 */
    lk_seen_words *cells; /* [rows,columns] */
} lk_seen;

/* Errors are LK_BAD_DATA and begin with ORIGIN:LINE:COLUMN, which counts bytes from 1. On failure *out is NULL. */
lk_status lk_seen_load(const char *path, const lk_schema *schema, lk_seen **out);
lk_status lk_seen_parse(const char *text, size_t size, const char *origin, const lk_schema *schema, lk_seen **out);
void lk_seen_free(lk_seen *seen);

/* Which row is about which of the faces that are called `names`: rows[count] gets the row of each, -1 for none. A row is about
 * the face of its very name, else about the one whose name ends in it. LK_BAD_DATA, naming `origin` and the line, if it would be
 * about several, or two rows about one face. */
lk_status lk_seen_match(const lk_seen *seen, const char *origin, int count, const char *const *names, int *rows);

/* Whether the cell says anything, and whether `word` is right by it. */
bool lk_seen_judges(const lk_seen *seen, int row, int column);
bool lk_seen_allows(const lk_seen *seen, int row, int column, int word);
/* The word that a face's parameters say: continuous in [0,1], discrete indices, both in schema order. */
int lk_seen_said(const lk_seen_column *column, const float *continuous, const uint8_t *discrete);

#endif
