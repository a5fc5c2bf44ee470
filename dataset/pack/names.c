#include "dataset/pack/names.h"

#include "base/hash.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utf8proc.h>

/* How many bytes the UTF-8 character at s takes, 0 if it is none (overlong forms and surrogates are none). */
static int utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return s[0] ? 1 : 0;
    int length = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    if (s[0] < 0xc2 || s[0] > 0xf4)
        return 0;
    for (int i = 1; i < length; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return length;
}

/* Control characters of ASCII and of the block U+0080 to U+009F, which terminals obey too. */
static bool is_control(const unsigned char *s)
{
    return s[0] < 0x20 || s[0] == 0x7f || (s[0] == 0xc2 && s[1] < 0xa0);
}

static const char *check_characters(const char *name)
{
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        int length = utf8_length(s);
        if (length == 0)
            return "name that is not UTF-8";
        if (is_control(s))
            return "name with control characters";
        s += length;
    }
    return NULL;
}

/* The ending's length, dot included, if the name ends in it; the name must be longer than the ending. */
static size_t ending(const char *name, const char *wanted)
{
    size_t length = strlen(name), tail = strlen(wanted);
    return length > tail && strcasecmp(name + length - tail, wanted) == 0 ? tail : 0;
}

static size_t picture_ending(const char *name)
{
    size_t tail = ending(name, ".jpg");
    if (!tail)
        tail = ending(name, ".jpeg");
    if (!tail)
        tail = ending(name, ".png");
    return tail;
}

/* Copies `name` without "." parts and double slashes, behind what is in key. */
static const char *append_parts(const char *name, char key[LK_KEY_SIZE])
{
    if (name[0] == '/')
        return "name that leaves the folder";
    size_t used = strlen(key);
    while (*name) {
        size_t length = strcspn(name, "/");
        bool last = name[length] == '\0';
        if (length == 2 && name[0] == '.' && name[1] == '.')
            return "name that leaves the folder";
        if (length > 0 && !(length == 1 && name[0] == '.')) {
            if (used + length + 2 > LK_KEY_SIZE)
                return "name too long";
            memcpy(key + used, name, length);
            used += length;
            if (!last)
                key[used++] = '/';
            key[used] = '\0';
        }
        name += length + !last;
    }
    return used == 0 ? "no name" : NULL;
}

static lk_name_kind kind_of(const char *last, size_t *tail)
{
    static const char *const archives[] = {".zip", ".7z", ".tar", ".tgz", ".txz", ".gz", ".zst", ".xz", ".bz2", ".rar"};
    *tail = picture_ending(last);
    if (*tail)
        return LK_NAME_PICTURE;
    if (strcasecmp(last, "params.jsonl") == 0 || strcasecmp(last, "params.csv") == 0) {
        *tail = strlen(last);
        return strcasecmp(last, "params.csv") == 0 ? LK_NAME_CSV : LK_NAME_JSONL;
    }
    if ((*tail = ending(last, ".json")))
        return LK_NAME_JSON;
    if ((*tail = ending(last, ".mhm")))
        return LK_NAME_MHM;
    for (size_t i = 0; i < sizeof archives / sizeof *archives; i++)
        if (ending(last, archives[i]))
            return LK_NAME_ARCHIVE;
    return LK_NAME_OTHER;
}

const char *lk_name_read(const char *name, lk_name_kind *kind, char key[LK_KEY_SIZE])
{
    *kind = LK_NAME_OTHER;
    key[0] = '\0';
    if (!name || !name[0])
        return "no name";
    const char *refused = check_characters(name);
    if (!refused)
        refused = append_parts(name, key);
    if (refused)
        return refused;
    char *last = strrchr(key, '/');
    last = last ? last + 1 : key;
    if (last[0] == '.') /* ".DS_Store", "._0001.jpg": what file managers leave beside the files */
        return NULL;
    size_t tail;
    *kind = kind_of(last, &tail);
    key[strlen(key) - tail] = '\0';
    return NULL;
}

const char *lk_name_of_row(const char *folder, const char *row, char key[LK_KEY_SIZE])
{
    snprintf(key, LK_KEY_SIZE, "%s", folder);
    const char *refused = check_characters(row);
    if (!refused && !row[0])
        refused = "no name";
    if (!refused)
        refused = append_parts(row, key);
    if (!refused)
        key[strlen(key) - picture_ending(key)] = '\0';
    return refused;
}

lk_status lk_name_hash(const char *name, uint64_t *hash)
{
    size_t length = 0;
    while (name[length] && !(name[length] & 0x80))
        length++;
    if (!name[length]) { /* ASCII has one form */
        *hash = lk_hash(name, length);
        return LK_OK;
    }
    utf8proc_uint8_t *form = NULL;
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)name, 0, &form, UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (size == UTF8PROC_ERROR_NOMEM)
        return lk_fail(LK_INTERNAL, "out of memory for a name");
    *hash = size >= 0 ? lk_hash(form, (size_t)size) : lk_hash(name, strlen(name));
    free(form);
    return LK_OK;
}

void lk_name_show(const char *name, char *out, size_t size)
{
    size_t used = 0;
    const unsigned char *s = (const unsigned char *)name;
    while (*s) {
        int length = utf8_length(s);
        bool plain = length > 0 && !is_control(s);
        size_t need = plain ? (size_t)length : 4;
        if (used + need + 4 > size) {
            snprintf(out + used, size - used, "...");
            return;
        }
        if (plain)
            memcpy(out + used, s, need);
        else
            snprintf(out + used, size - used, "\\x%02x", *s);
        used += need;
        s += plain ? length : 1;
    }
    out[used] = '\0';
}
