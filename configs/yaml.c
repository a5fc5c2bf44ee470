#include "configs/yaml.h"

#include "base/file.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

enum { MAX_FILE = 4 << 20, MAX_DEPTH = 32, MAX_NODES = 100000 };

struct lk_yaml {
    char *origin;
    lk_yaml_node *root;
};

typedef struct reader {
    yaml_parser_t parser;
    const char *origin;
    const char *text;
    size_t size;
    int nodes; /* made so far */
} reader;

static int line_of(const yaml_event_t *event)
{
    return (int)event->start_mark.line + 1;
}

/* What libyaml says of a tab in the indentation depends on what stands before it, and seldom is that it is a tab. */
static bool tab_indents(const reader *r, size_t line)
{
    const char *at = r->text, *end = r->text + r->size;
    for (; line > 0 && at; line--) {
        at = memchr(at, '\n', (size_t)(end - at));
        at = at ? at + 1 : NULL;
    }
    while (at && at < end && *at == ' ')
        at++;
    return at && at < end && *at == '\t';
}

/* On failure there is no event to delete. */
static lk_status next_event(reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return LK_OK;
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading YAML", r->origin);
    const char *problem = p->problem ? p->problem : "cannot be read";
    if (p->error == YAML_READER_ERROR)
        return lk_fail(LK_BAD_CONFIG, "%s: not YAML: %s at byte %zu", r->origin, problem, p->problem_offset);
    if (tab_indents(r, p->problem_mark.line))
        return lk_fail(LK_BAD_CONFIG, "%s:%zu: a tab cannot indent in YAML; write spaces", r->origin, p->problem_mark.line + 1);
    return lk_fail(LK_BAD_CONFIG, "%s:%zu: not YAML: %s%s%s", r->origin, p->problem_mark.line + 1, p->context ? p->context : "",
                   p->context ? ", " : "", problem);
}

static void free_node(lk_yaml_node *node)
{
    if (!node)
        return;
    for (int i = 0; i < node->count; i++)
        free_node(node->items[i]);
    free(node->items);
    free((char *)node->key);
    free((char *)node->text);
    free(node);
}

static lk_status make_node(reader *r, lk_yaml_kind kind, int line, lk_yaml_node **out)
{
    if (++r->nodes > MAX_NODES)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: more than %d values; split the file", r->origin, line, MAX_NODES);
    *out = calloc(1, sizeof **out);
    if (!*out)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading YAML", r->origin);
    (*out)->kind = kind;
    (*out)->line = line;
    return LK_OK;
}

static lk_status copy_scalar(const reader *r, const yaml_event_t *event, const char **out)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length))
        return lk_fail(LK_BAD_CONFIG, "%s:%d: a zero byte inside a string; take it out", r->origin, line_of(event));
    *out = strndup(text, length);
    return *out ? LK_OK : lk_fail(LK_INTERNAL, "%s: out of memory reading YAML", r->origin);
}

/* Anchors and tags stand at the same place of three kinds of event. */
static void decorations(const yaml_event_t *event, const char **anchor, const char **tag)
{
    const yaml_char_t *a = NULL, *t = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        a = event->data.scalar.anchor;
        t = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        a = event->data.sequence_start.anchor;
        t = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        a = event->data.mapping_start.anchor;
        t = event->data.mapping_start.tag;
    }
    *anchor = (const char *)a;
    *tag = (const char *)t;
}

static bool tag_fits(const char *tag, yaml_event_type_t type)
{
    const char *core = "tag:yaml.org,2002:";
    if (strncmp(tag, core, strlen(core)) != 0)
        return false;
    const char *name = tag + strlen(core);
    if (type == YAML_SEQUENCE_START_EVENT)
        return strcmp(name, "seq") == 0;
    if (type == YAML_MAPPING_START_EVENT)
        return strcmp(name, "map") == 0;
    static const char *const scalars[] = {"str", "int", "float", "bool", "null"};
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++)
        if (strcmp(name, scalars[i]) == 0)
            return true;
    return false;
}

static lk_status check_decorations(const reader *r, const yaml_event_t *event)
{
    const char *anchor, *tag;
    decorations(event, &anchor, &tag);
    if (event->type == YAML_ALIAS_EVENT)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: alias '*%s': aliases are not supported here; write the value out", r->origin,
                       line_of(event), (const char *)event->data.alias.anchor);
    if (anchor)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: anchor '&%s': anchors are not supported here; take it out", r->origin,
                       line_of(event), anchor);
    if (tag && !tag_fits(tag, event->type))
        return lk_fail(LK_BAD_CONFIG, "%s:%d: tag '%s' is not supported here; take it out", r->origin, line_of(event), tag);
    return LK_OK;
}

static lk_status append(const reader *r, lk_yaml_node *parent, int *room, lk_yaml_node *item)
{
    if (parent->count == *room) {
        int grown = *room ? 2 * *room : 8;
        lk_yaml_node **items = realloc(parent->items, (size_t)grown * sizeof *items);
        if (!items)
            return lk_fail(LK_INTERNAL, "%s: out of memory reading YAML", r->origin);
        parent->items = items;
        *room = grown;
    }
    parent->items[parent->count++] = item;
    return LK_OK;
}

static int compare_keys(const void *a, const void *b)
{
    const lk_yaml_node *x = *(lk_yaml_node *const *)a;
    const lk_yaml_node *y = *(lk_yaml_node *const *)b;
    int order = strcmp(x->key, y->key);
    return order ? order : (x->line > y->line) - (x->line < y->line);
}

static lk_status check_unique(const reader *r, const lk_yaml_node *map)
{
    if (map->count < 2)
        return LK_OK;
    size_t bytes = (size_t)map->count * sizeof *map->items;
    lk_yaml_node **sorted = malloc(bytes);
    if (!sorted)
        return lk_fail(LK_INTERNAL, "%s: out of memory reading YAML", r->origin);
    memcpy(sorted, map->items, bytes);
    qsort(sorted, (size_t)map->count, sizeof *sorted, compare_keys);
    lk_status status = LK_OK;
    for (int i = 1; i < map->count && status == LK_OK; i++)
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            status = lk_fail(LK_BAD_CONFIG, "%s:%d: key '%s' stands here again, first on line %d; keep one", r->origin,
                             sorted[i]->line, sorted[i]->key, sorted[i - 1]->line);
    free(sorted);
    return status;
}

static lk_status read_node(reader *r, const yaml_event_t *event, int depth, lk_yaml_node **out);

static lk_status read_scalar(reader *r, const yaml_event_t *event, lk_yaml_node **out)
{
    lk_yaml_node *node = NULL;
    LK_TRY(make_node(r, LK_YAML_SCALAR, line_of(event), &node));
    lk_status status = copy_scalar(r, event, &node->text);
    if (status != LK_OK) {
        free_node(node);
        return status;
    }
    const char *tag = (const char *)event->data.scalar.tag;
    if (tag)
        node->quoted = strcmp(tag, YAML_STR_TAG) == 0;
    else
        node->quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    *out = node;
    return LK_OK;
}

static lk_status read_list(reader *r, const yaml_event_t *start, int depth, lk_yaml_node **out)
{
    lk_yaml_node *list = NULL;
    LK_TRY(make_node(r, LK_YAML_LIST, line_of(start), &list));
    lk_status status;
    for (int room = 0;;) {
        yaml_event_t event;
        LK_TRY_OR(failed, next_event(r, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            *out = list;
            return LK_OK;
        }
        lk_yaml_node *item = NULL;
        status = read_node(r, &event, depth + 1, &item);
        yaml_event_delete(&event);
        if (status == LK_OK)
            status = append(r, list, &room, item);
        if (status != LK_OK) {
            free_node(item);
            goto failed;
        }
    }
failed:
    free_node(list);
    return status;
}

/* One "key: value", whose first event is there already. */
static lk_status read_pair(reader *r, const yaml_event_t *key_event, int depth, lk_yaml_node **out)
{
    int line = line_of(key_event);
    LK_TRY(check_decorations(r, key_event));
    if (key_event->type != YAML_SCALAR_EVENT)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: a list or map stands where a key is expected; write 'key: value'", r->origin, line);
    const char *key = NULL;
    LK_TRY(copy_scalar(r, key_event, &key));
    yaml_event_t event;
    lk_status status;
    LK_TRY_OR(failed, next_event(r, &event));
    status = read_node(r, &event, depth + 1, out);
    yaml_event_delete(&event);
    if (status != LK_OK)
        goto failed;
    (*out)->key = key;
    (*out)->line = line;
    return LK_OK;
failed:
    free((char *)key);
    return status;
}

static lk_status read_map(reader *r, const yaml_event_t *start, int depth, lk_yaml_node **out)
{
    lk_yaml_node *map = NULL;
    LK_TRY(make_node(r, LK_YAML_MAP, line_of(start), &map));
    lk_status status;
    for (int room = 0;;) {
        yaml_event_t event;
        LK_TRY_OR(failed, next_event(r, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        lk_yaml_node *item = NULL;
        status = read_pair(r, &event, depth, &item);
        yaml_event_delete(&event);
        if (status == LK_OK)
            status = append(r, map, &room, item);
        if (status != LK_OK) {
            free_node(item);
            goto failed;
        }
    }
    LK_TRY_OR(failed, check_unique(r, map));
    *out = map;
    return LK_OK;
failed:
    free_node(map);
    return status;
}

/* `event` starts the node and stays the caller's; sets *out only on success. */
static lk_status read_node(reader *r, const yaml_event_t *event, int depth, lk_yaml_node **out)
{
    if (depth > MAX_DEPTH)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: nested more than %d deep", r->origin, line_of(event), MAX_DEPTH);
    LK_TRY(check_decorations(r, event));
    switch (event->type) {
    case YAML_SCALAR_EVENT: return read_scalar(r, event, out);
    case YAML_SEQUENCE_START_EVENT: return read_list(r, event, depth, out);
    case YAML_MAPPING_START_EVENT: return read_map(r, event, depth, out);
    default:
        return lk_fail(LK_INTERNAL, "%s:%d: libyaml gave event %d where a value was due", r->origin, line_of(event),
                       (int)event->type);
    }
}

/* Takes the next event and requires its type. */
static lk_status skip_event(reader *r, yaml_event_type_t type)
{
    yaml_event_t event;
    LK_TRY(next_event(r, &event));
    yaml_event_type_t got = event.type;
    int line = line_of(&event);
    yaml_event_delete(&event);
    if (got == type)
        return LK_OK;
    if (got == YAML_DOCUMENT_START_EVENT)
        return lk_fail(LK_BAD_CONFIG, "%s:%d: a second document starts here; keep one document a file", r->origin, line);
    return lk_fail(LK_INTERNAL, "%s:%d: libyaml gave event %d instead of %d", r->origin, line, (int)got, (int)type);
}

/* The one document of the stream; an empty one is an empty map. */
static lk_status read_document(reader *r, lk_yaml_node **root)
{
    LK_TRY(skip_event(r, YAML_STREAM_START_EVENT));
    yaml_event_t event;
    LK_TRY(next_event(r, &event));
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (empty)
        return make_node(r, LK_YAML_MAP, 1, root);

    LK_TRY(next_event(r, &event));
    lk_status status = read_node(r, &event, 1, root);
    yaml_event_delete(&event);
    LK_TRY(status);
    LK_TRY(skip_event(r, YAML_DOCUMENT_END_EVENT));
    LK_TRY(skip_event(r, YAML_STREAM_END_EVENT));
    lk_yaml_node *node = *root;
    if (node->kind == LK_YAML_SCALAR && !node->quoted && node->text[0] == '\0')
        node->kind = LK_YAML_MAP;
    return LK_OK;
}

lk_status lk_yaml_parse(const char *text, size_t size, const char *origin, lk_yaml **out)
{
    *out = NULL;
    lk_status status;
    lk_yaml *document = calloc(1, sizeof *document);
    reader r = {.origin = origin, .text = text, .size = size};
    if (!document || !(document->origin = strdup(origin)) || !yaml_parser_initialize(&r.parser)) {
        lk_yaml_free(document);
        return lk_fail(LK_INTERNAL, "%s: out of memory reading YAML", origin);
    }
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, size);
    status = read_document(&r, &document->root);
    yaml_parser_delete(&r.parser);
    if (status != LK_OK) {
        lk_yaml_free(document);
        return status;
    }
    *out = document;
    return LK_OK;
}

lk_status lk_yaml_load(const char *path, lk_yaml **out)
{
    *out = NULL;
    char *text;
    size_t size;
    lk_status status = lk_read_file(path, MAX_FILE, &text, &size);
    if (status == LK_BAD_DATA)
        return lk_fail(LK_BAD_CONFIG, "%s", lk_error_text());
    LK_TRY(status);
    status = lk_is_lfs_pointer(text, size) ? lk_fail_lfs_pointer(LK_BAD_CONFIG, path) : lk_yaml_parse(text, size, path, out);
    free(text);
    return status;
}

void lk_yaml_free(lk_yaml *document)
{
    if (!document)
        return;
    free_node(document->root);
    free(document->origin);
    free(document);
}

const lk_yaml_node *lk_yaml_root(const lk_yaml *document)
{
    return document->root;
}

const lk_yaml_node *lk_yaml_find(const lk_yaml_node *map, const char *key)
{
    if (map->kind != LK_YAML_MAP)
        return NULL;
    for (int i = 0; i < map->count; i++)
        if (strcmp(map->items[i]->key, key) == 0)
            return map->items[i];
    return NULL;
}

const char *lk_yaml_origin(const lk_yaml *document)
{
    return document->origin;
}
