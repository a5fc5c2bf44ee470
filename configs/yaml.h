/* YAML as a tree with line numbers (libyaml underneath), for configs and schemas.
 *
 * Read-only; nodes live as long as the document. Anchors, aliases and tags other than the core ones are refused, so that a
 * small file cannot expand; so are duplicate keys, several documents, more than 32 levels or 100,000 values, zero bytes in
 * strings. Errors are LK_BAD_CONFIG and name file and line.
 */
#ifndef LK_CONFIGS_YAML_H
#define LK_CONFIGS_YAML_H

#include "base/error.h"

#include <stddef.h>

typedef struct lk_yaml lk_yaml;
typedef struct lk_yaml_node lk_yaml_node;

typedef enum lk_yaml_kind { LK_YAML_SCALAR, LK_YAML_LIST, LK_YAML_MAP } lk_yaml_kind;

struct lk_yaml_node {
    lk_yaml_kind kind;
    int line;         /* from 1; in a map: the line of the key */
    const char *key;  /* in a map: the key, else NULL */
    const char *text; /* scalar, without its quotes; "" for a value left out ("key:") */
    int quoted;       /* scalar: was in quotes, so "1" is a string */
    int count;        /* list, map */
    lk_yaml_node **items;
};

/* `origin` names the text in errors. Free with lk_yaml_free; NULL is fine there. A file has at most 4 MB. */
lk_status lk_yaml_parse(const char *text, size_t size, const char *origin, lk_yaml **out);
lk_status lk_yaml_load(const char *path, lk_yaml **out);
void lk_yaml_free(lk_yaml *document);

const lk_yaml_node *lk_yaml_root(const lk_yaml *document); /* never NULL; an empty file is an empty map */
/* NULL if the key is missing or `map` is not a map. */
const lk_yaml_node *lk_yaml_find(const lk_yaml_node *map, const char *key);
const char *lk_yaml_origin(const lk_yaml *document);

#endif
