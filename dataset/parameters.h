/* Parameter files: one face's parameters as the client writes and reads them (docs/formats.md).
 *
 * JSON: {"continuous": {name: value in client units}, "discrete": {group: choice}}; names every parameter of the schema once.
 * MakeHuman's .mhm: text lines, of which two kinds count: "modifier NAME VALUE" (a modifier that is absent has the schema's
 * default, as MakeHuman leaves it out) and "likeness GROUP CHOICE" (every group once; MakeHuman passes over such lines). Names
 * are MakeHuman's, which has two modifiers for some parameters of a schema; the schema's own names are read, too. Blanks
 * before the first word and its capitals do not matter. A line that sets something of the schema behind any other first word is
 * refused: passed over, it would leave the default as the label.
 * A missing or unknown name, one that stands there twice, a value that is not finite or outside min..max, an unknown choice is
 * LK_BAD_DATA and is named; so is a file of more than LK_PARAMETERS_BYTES, which is not parsed.
 */
#ifndef LK_DATASET_PARAMETERS_H
#define LK_DATASET_PARAMETERS_H

#include "dataset/schema.h"

#include <stddef.h>

/* More than the largest schema needs. A tree of JSON takes up to LK_JSON_GROWTH times its text ("[{},{},{}..." in jansson). */
enum { LK_PARAMETERS_BYTES = 512 << 10, LK_JSON_GROWTH = 100 };

/* Text as editors save it: passes over UTF-8's byte order mark. UTF-16 is LK_BAD_DATA: the sentence says what to save as. */
lk_status lk_text_begin(const char *origin, const char **text, size_t *size);

/* `continuous` has schema->continuous_count entries in [0,1], `discrete` schema->group_count indices. `origin` names the
 * source in errors. */
lk_status lk_parameters_parse_json(const lk_schema *schema, const char *text, size_t size, const char *origin, float *continuous,
                                   uint8_t *discrete);
lk_status lk_parameters_parse_mhm(const lk_schema *schema, const char *text, size_t size, const char *origin, float *continuous,
                                  uint8_t *discrete);

/* The JSON form as a tree that the caller owns (jansson's json_t), for readers of tables. */
struct json_t;
lk_status lk_parameters_from_json(const lk_schema *schema, struct json_t *root, const char *origin, float *continuous,
                                  uint8_t *discrete);
/* The way back, of a face that lk_schema_check_face knows as good; NULL: out of memory. The caller's (json_decref); written with
 * JSON_REAL_PRECISION(9) it reads back as the same floats in the client's units, and to a rounding here. */
struct json_t *lk_parameters_to_json(const lk_schema *schema, const float *continuous, const uint8_t *discrete);

/* A file of either kind: .mhm by its name, JSON otherwise. */
lk_status lk_parameters_load(const lk_schema *schema, const char *path, float *continuous, uint8_t *discrete);

/* Values in client units, in schema order, written atomically; .mhm by the name of the path, JSON otherwise. A group whose name
 * has spaces cannot stand in a .mhm: LK_USAGE. What is loaded again differs by rounding to client units alone (1e-6). */
lk_status lk_parameters_save(const lk_schema *schema, const char *path, const float *continuous, const uint8_t *discrete);
/* A .mhm with `more` lines at its end, as lk_client_describe_assets writes them. */
lk_status lk_parameters_save_mhm(const lk_schema *schema, const char *path, const float *continuous, const uint8_t *discrete,
                                 const char *more);

#endif
