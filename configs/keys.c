#include "configs/keys.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_PATH = 64 };

/* A row whose type does not fit its member does not compile. */
#define FITS_INT(member) _Generic(member, int : 1, default : 0)
#define FITS_INT64(member) _Generic(member, int64_t : 1, default : 0)
#define FITS_DOUBLE(member) _Generic(member, double : 1, default : 0)
#define FITS_BOOL(member) _Generic(member, bool : 1, default : 0)
#define FITS_CHOICE(member) _Generic(member, unsigned : 1, default : 0)
#define FITS_TEXT(member) _Generic(&(member), char(*)[LK_CONFIG_TEXT] : 1, default : 0)
#define FITS_LIST(member) _Generic(member, lk_paths : 1, default : 0)
#define FITS_SHARED(member) _Generic(member, lk_shared_paths : 1, default : 0)
#define CHECK(path, type, text, min, max, choices, resume, meaning)                                                              \
    _Static_assert(FITS_##type(((lk_config *)0)->path), #path " is not " #type);                                                 \
    _Static_assert(sizeof #path <= LONGEST_PATH, #path " is too long");
LK_KEY_TABLE(CHECK)
#undef CHECK

const lk_key lk_keys[LK_KEY_COUNT] = {
#define ROW(path, type, text, min, max, choices, resume, meaning)                                                                \
    {#path, LK_KEY_##type, offsetof(lk_config, path), text, min, max, choices, LK_RESUME_##resume, meaning},
    LK_KEY_TABLE(ROW)
#undef ROW
};

static const char *const type_names[] = {"int", "int", "number", "bool", "choice", "text", "list", "list"};

int lk_key_find(const char *path)
{
    for (int i = 0; i < LK_KEY_COUNT; i++)
        if (strcmp(lk_keys[i].path, path) == 0)
            return i;
    return -1;
}

bool lk_key_is_section(const char *path)
{
    size_t length = strlen(path);
    for (int i = 0; i < LK_KEY_COUNT; i++)
        if (strncmp(lk_keys[i].path, path, length) == 0 && lk_keys[i].path[length] == '.')
            return true;
    return false;
}

/* ---- the nearest key ---- */

/* Levenshtein: how many letters are changed, added or missing. Both are shorter than LONGEST_PATH. */
static int edit_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int row[LONGEST_PATH + 1];
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (int)j;
    for (size_t i = 1; i <= a_length; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= b_length; j++) {
            int best = diagonal + (tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]));
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_length];
}

static const char *last_name(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot ? dot + 1 : path;
}

char *lk_key_nearest(const char *path)
{
    size_t length = strlen(path);
    if (length >= LONGEST_PATH)
        return NULL;
    int best = (int)length / 3 + 1;
    const char *found = NULL;
    size_t found_length = 0;
    for (int i = 0; i < LK_KEY_COUNT; i++) {
        const char *known = lk_keys[i].path;
        /* The sections that the key stands in, outermost first, and then the key itself. */
        for (const char *end = known; *end;) {
            end = strchrnul(end + 1, '.');
            int distance = edit_distance(path, length, known, (size_t)(end - known));
            if (*end == '\0' && distance > 1 && strcmp(last_name(path), last_name(known)) == 0)
                distance = 1; /* the right name in the wrong section */
            if (distance <= best && (!found || distance < best)) {
                best = distance;
                found = known;
                found_length = (size_t)(end - known);
            }
        }
    }
    return found ? strndup(found, found_length) : NULL;
}

/* ---- reading ---- */

enum { NUMBER_ROOM = 32 };

/* The shortest of 15 to 17 digits that reads back to the same double. */
static const char *format_double(double value, char out[NUMBER_ROOM])
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(out, NUMBER_ROOM, "%.*g", digits, value);
        if (strtod(out, NULL) == value)
            break;
    }
    return out;
}

static const char *const expected[] = {
    [LK_KEY_INT] = "a whole number",   [LK_KEY_INT64] = "a whole number",
    [LK_KEY_DOUBLE] = "a number",      [LK_KEY_BOOL] = "true or false",
    [LK_KEY_CHOICE] = "a choice",      [LK_KEY_TEXT] = "a name or path",
    [LK_KEY_LIST] = "a list of names", [LK_KEY_SHARED] = "a list of names or of {path, share}",
};

/* 'a|b|c' as "a, b, c". */
static void spread_choices(const char *choices, char *out, size_t size)
{
    size_t used = 0;
    for (const char *c = choices; *c && used + 3 < size; c++) {
        out[used++] = *c == '|' ? ',' : *c;
        if (*c == '|')
            out[used++] = ' ';
    }
    out[used] = '\0';
}

static void describe_allowed(const lk_key *key, char out[LK_KEY_VALUE])
{
    char choices[128], low[NUMBER_ROOM], high[NUMBER_ROOM];
    spread_choices(key->choices, choices, sizeof choices);
    if (key->type == LK_KEY_INT || key->type == LK_KEY_INT64 || key->type == LK_KEY_DOUBLE)
        snprintf(out, LK_KEY_VALUE, "%s to %s%s%s", format_double(key->min, low), format_double(key->max, high),
                 choices[0] ? " or " : "", choices);
    else if (key->type == LK_KEY_BOOL)
        snprintf(out, LK_KEY_VALUE, "true, false");
    else if (key->type == LK_KEY_TEXT)
        snprintf(out, LK_KEY_VALUE, "1 to %d bytes", LK_CONFIG_TEXT - 1);
    else if (key->type == LK_KEY_LIST || key->type == LK_KEY_SHARED)
        snprintf(out, LK_KEY_VALUE, "1 to %d %s%s", LK_CONFIG_PATHS, choices[0] ? "of " : "names", choices);
    else
        snprintf(out, LK_KEY_VALUE, "%s", choices);
}

static lk_status refuse(const lk_key *key, const lk_yaml_node *node, const char *wanted)
{
    char allowed[LK_KEY_VALUE];
    describe_allowed(key, allowed);
    if (node->kind != LK_YAML_SCALAR)
        return lk_fail(LK_BAD_CONFIG, "a %s is not %s; allowed: %s", node->kind == LK_YAML_LIST ? "list" : "section", wanted,
                       allowed);
    const char *quote = node->quoted ? "\"" : "'";
    return lk_fail(LK_BAD_CONFIG, "%s%.80s%s is not %s; allowed: %s", quote, node->text, quote, wanted, allowed);
}

/* YAML 1.2 core schema: [-+]? [0-9]+ */
static bool looks_whole(const char *text)
{
    text += *text == '-' || *text == '+';
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* YAML 1.2 core schema: [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool looks_like_number(const char *text)
{
    text += *text == '-' || *text == '+';
    size_t before = strspn(text, "0123456789"), after = 0;
    text += before;
    if (*text == '.') {
        after = strspn(++text, "0123456789");
        text += after;
    }
    if (before + after == 0)
        return false;
    return *text == '\0' || ((*text == 'e' || *text == 'E') && looks_whole(text + 1));
}

/* 0-based place of `word` in 'a|b|c', -1 if it is not there. */
static int find_choice(const char *choices, const char *word)
{
    size_t length = strlen(word);
    int index = 0;
    for (const char *c = choices; *c; index++) {
        size_t span = strcspn(c, "|");
        if (span == length && memcmp(c, word, length) == 0)
            return index;
        c += span + (c[span] == '|');
    }
    return -1;
}

static lk_status assign_number(const lk_key *key, const lk_yaml_node *node, void *member)
{
    bool whole = key->type != LK_KEY_DOUBLE;
    if (whole && key->choices[0] && strcmp(node->text, key->choices) == 0) {
        *(int *)member = 0;
        return LK_OK;
    }
    if (node->quoted || !(whole ? looks_whole(node->text) : looks_like_number(node->text)))
        return refuse(key, node, expected[key->type]);
    /* An overflow is infinite and therefore out of range. */
    double value = strtod(node->text, NULL);
    if (!(value >= key->min && value <= key->max))
        return refuse(key, node, "in range");
    int64_t exact = whole ? strtoll(node->text, NULL, 10) : 0;
    if (whole && exact > (int64_t)key->max) /* 2^53 + 1 is 2^53 as a double */
        return refuse(key, node, "in range");
    if (value == 0 && strcspn(node->text, "123456789") < strcspn(node->text, "eE"))
        return refuse(key, node, "a number that can be told from 0: it is too small a number");
    if (key->type == LK_KEY_INT)
        *(int *)member = (int)exact;
    else if (key->type == LK_KEY_INT64)
        *(int64_t *)member = exact;
    else
        *(double *)member = value == 0 ? 0 : value; /* no negative zero */
    return LK_OK;
}

static lk_status assign_bool(const lk_key *key, const lk_yaml_node *node, bool *member)
{
    static const char *const words[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
    for (int i = 0; i < 6 && !node->quoted; i++)
        if (strcmp(node->text, words[i]) == 0) {
            *member = i >= 3;
            return LK_OK;
        }
    return refuse(key, node, expected[LK_KEY_BOOL]);
}

static lk_status assign_text(const lk_key *key, const lk_yaml_node *node, char *member)
{
    size_t length = node->kind == LK_YAML_SCALAR ? strlen(node->text) : 0;
    if (length == 0 || length >= LK_CONFIG_TEXT || (!node->quoted && strcmp(node->text, "~") == 0))
        return refuse(key, node, "a name or path");
    memcpy(member, node->text, length + 1);
    return LK_OK;
}

static lk_status assign_list(const lk_key *key, const lk_yaml_node *node, lk_paths *member)
{
    bool one = node->kind == LK_YAML_SCALAR;
    int count = one ? 1 : node->count;
    if (node->kind == LK_YAML_MAP)
        return refuse(key, node, expected[LK_KEY_LIST]);
    if (count < 1 || count > LK_CONFIG_PATHS)
        return lk_fail(LK_BAD_CONFIG, "the list has %d items; allowed: 1 to %d", count, LK_CONFIG_PATHS);
    for (int i = 0; i < count; i++) {
        const lk_yaml_node *item = one ? node : node->items[i];
        LK_TRY(assign_text(key, item, member->items[i]));
        if (key->choices[0] && find_choice(key->choices, item->text) < 0)
            return refuse(key, item, "a choice");
    }
    member->count = count;
    return LK_OK;
}

static lk_status read_share(const lk_yaml_node *node, double *share)
{
    char *end = NULL;
    *share = node->kind == LK_YAML_SCALAR && !node->quoted && looks_like_number(node->text) ? strtod(node->text, &end) : 0;
    if (!end || *end || !(*share > 0) || *share > 1e6)
        return lk_fail(LK_BAD_CONFIG, "the share '%.80s' is no share; allowed: a number above 0, at most 1000000",
                       node->kind == LK_YAML_SCALAR ? node->text : "[...]");
    return LK_OK;
}

/* An item is a name, or {path: NAME, share: NUMBER}; all of a list are of one kind. */
static lk_status assign_shared(const lk_key *key, const lk_yaml_node *node, lk_shared_paths *member)
{
    *member = (lk_shared_paths){0};
    if (node->kind != LK_YAML_LIST || node->count < 1 || node->items[0]->kind != LK_YAML_MAP)
        return assign_list(key, node, &member->paths);
    if (node->count > LK_CONFIG_PATHS)
        return lk_fail(LK_BAD_CONFIG, "the list has %d items; allowed: 1 to %d", node->count, LK_CONFIG_PATHS);
    for (int i = 0; i < node->count; i++) {
        const lk_yaml_node *item = node->items[i], *path = lk_yaml_find(item, "path"), *share = lk_yaml_find(item, "share");
        if (item->kind != LK_YAML_MAP || !path || !share || item->count != 2)
            return lk_fail(LK_BAD_CONFIG, "item %d is not {path: FOLDER, share: NUMBER} as the first one is", i + 1);
        LK_TRY(assign_text(key, path, member->paths.items[i]));
        LK_TRY(read_share(share, &member->shares[i]));
        member->paths.count++;
    }
    return LK_OK;
}

lk_status lk_plain_numbers_begin(lk_plain_numbers *numbers)
{
    numbers->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!numbers->plain)
        return lk_fail(LK_INTERNAL, "out of memory for a locale");
    numbers->users = uselocale(numbers->plain);
    return LK_OK;
}

void lk_plain_numbers_end(lk_plain_numbers *numbers)
{
    uselocale(numbers->users);
    freelocale(numbers->plain);
}

lk_status lk_key_assign(const lk_key *key, const lk_yaml_node *node, lk_config *config)
{
    void *member = (char *)config + key->offset;
    if (key->type == LK_KEY_LIST)
        return assign_list(key, node, member);
    if (key->type == LK_KEY_SHARED)
        return assign_shared(key, node, member);
    if (node->kind != LK_YAML_SCALAR)
        return refuse(key, node, expected[key->type]);
    switch (key->type) {
    case LK_KEY_BOOL: return assign_bool(key, node, member);
    case LK_KEY_TEXT: return assign_text(key, node, member);
    case LK_KEY_CHOICE: {
        int choice = find_choice(key->choices, node->text);
        if (choice < 0)
            return refuse(key, node, expected[LK_KEY_CHOICE]);
        *(unsigned *)member = (unsigned)choice;
        return LK_OK;
    }
    default: return assign_number(key, node, member);
    }
}

lk_status lk_key_assign_text(const lk_key *key, const char *text, const char *origin, lk_config *config)
{
    lk_yaml *document;
    LK_TRY(lk_yaml_parse(text, strlen(text), origin, &document));
    lk_status status = lk_key_assign(key, lk_yaml_root(document), config);
    lk_yaml_free(document);
    return status;
}

/* ---- comparing and writing ---- */

int lk_key_items(const lk_key *key, const lk_config *config)
{
    const void *member = (const char *)config + key->offset;
    if (key->type == LK_KEY_SHARED)
        return ((const lk_shared_paths *)member)->paths.count;
    return key->type == LK_KEY_LIST ? ((const lk_paths *)member)->count : 1;
}

double lk_key_share(const lk_key *key, const lk_config *config, int index)
{
    if (key->type != LK_KEY_SHARED)
        return 0;
    return ((const lk_shared_paths *)((const char *)config + key->offset))->shares[index];
}

const char *lk_key_format(const lk_key *key, const lk_config *config, int index, char out[LK_KEY_VALUE])
{
    const void *member = (const char *)config + key->offset;
    out[0] = '\0';
    switch (key->type) {
    case LK_KEY_INT:
        if (key->choices[0] && *(const int *)member == 0)
            snprintf(out, LK_KEY_VALUE, "%s", key->choices);
        else
            snprintf(out, LK_KEY_VALUE, "%d", *(const int *)member);
        break;
    case LK_KEY_INT64: snprintf(out, LK_KEY_VALUE, "%lld", (long long)*(const int64_t *)member); break;
    case LK_KEY_DOUBLE: format_double(*(const double *)member, out); break;
    case LK_KEY_BOOL: snprintf(out, LK_KEY_VALUE, "%s", *(const bool *)member ? "true" : "false"); break;
    case LK_KEY_CHOICE: {
        const char *choice = key->choices;
        for (unsigned i = *(const unsigned *)member; i > 0 && *choice; i--)
            choice += strcspn(choice, "|") + 1;
        snprintf(out, LK_KEY_VALUE, "%.*s", (int)strcspn(choice, "|"), choice);
        break;
    }
    case LK_KEY_TEXT: snprintf(out, LK_KEY_VALUE, "%s", (const char *)member); break;
    case LK_KEY_LIST: snprintf(out, LK_KEY_VALUE, "%s", ((const lk_paths *)member)->items[index]); break;
    case LK_KEY_SHARED: snprintf(out, LK_KEY_VALUE, "%s", ((const lk_shared_paths *)member)->paths.items[index]); break;
    }
    return out;
}

bool lk_key_equal(const lk_key *key, const lk_config *a, const lk_config *b)
{
    int count = lk_key_items(key, a);
    if (count != lk_key_items(key, b))
        return false;
    char x[LK_KEY_VALUE], y[LK_KEY_VALUE];
    for (int i = 0; i < count; i++)
        if (strcmp(lk_key_format(key, a, i, x), lk_key_format(key, b, i, y)) != 0 ||
            lk_key_share(key, a, i) != lk_key_share(key, b, i))
            return false;
    return true;
}

void lk_config_print_keys(void)
{
    printf("%-40s %-7s %-19s %-42s %s\n", "key", "type", "default", "allowed", "meaning");
    for (int i = 0; i < LK_KEY_COUNT; i++) {
        const lk_key *key = &lk_keys[i];
        char allowed[LK_KEY_VALUE];
        describe_allowed(key, allowed);
        const char *value = key->default_text ? key->default_text : "required";
        printf("%-40s %-7s %-19s %-42s %s\n", key->path, type_names[key->type], value, allowed, key->meaning);
    }
}
