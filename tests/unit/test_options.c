/* launch/command/options.h: how a command line becomes values, and every row of every command's table. */
#include "base/file.h"
#include "launch/command/commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a command with an option of each kind ---- */

typedef enum colour { RED, GREEN } colour;
typedef struct paint {
    bool wet;
    const char *title, *folder, *key;
    lk_set_list sets;
    int size;
    int64_t bytes;
    double share;
    colour colour;
    int twice;
} paint;

static int printed;
static void print(void)
{
    printed++;
}

static lk_status parse_twice(const char *command, const char *text, void *values)
{
    paint *p = values;
    p->twice = 2 * (int)strlen(text);
    return p->twice > 0 ? LK_OK : lk_fail(LK_USAGE, "%s: --twice takes some letters", command);
}

static const lk_option table[] = {
    {LK_OPTION_FLAG, "wet", NULL, "h", LK_TARGET(paint, wet)},
    {LK_OPTION_TEXT, "title", "T", "h", LK_TARGET(paint, title), .letter = 't'},
    {LK_OPTION_HEADING, .help = "h"},
    {LK_OPTION_PATH, "folder", "F", "h", LK_TARGET(paint, folder), .letter = 'o', .required = true},
    {LK_OPTION_KEY, "key", "K", "h", LK_TARGET(paint, key)},
    LK_SET_OPTION(paint, sets),
    {LK_OPTION_INT, "size", "S", "h", LK_TARGET(paint, size), .low = 16, .high = 2048},
    {LK_OPTION_WHOLE, "bytes", "MB", "h", LK_TARGET(paint, bytes), .low = 1, .high = 1 << 20, .unit = 1 << 20},
    {LK_OPTION_REAL, "share", "X", "h", LK_TARGET(paint, share), .high = 1},
    {LK_OPTION_CHOICE, "colour", NULL, "h", LK_TARGET(paint, colour), .choices = "red|green"},
    {LK_OPTION_PARSED, "twice", "LETTERS", "h", .parse = parse_twice},
    {LK_OPTION_PRINT, "list", NULL, "h", .print = print},
    {0}};

static paint seen;
static int seen_count;
static char seen_arguments[256];

static lk_status run(void *values, char **arguments, int count)
{
    seen = *(const paint *)values;
    seen_count = count;
    seen_arguments[0] = '\0';
    for (int i = 0; i < count; i++)
        strcat(strcat(seen_arguments, i ? " " : ""), arguments[i]);
    return LK_OK;
}

static const lk_command command = {.name = "paint",
                                   .usage = "",
                                   .about = "",
                                   .options = table,
                                   .size = sizeof(paint),
                                   .defaults = &(paint){.size = 128, .share = 0.5, .title = "untitled"},
                                   .takes = "one or two faces",
                                   .least = 1,
                                   .most = 2,
                                   .run = run};

enum { MOST_WORDS = 200 };

/* The words of `line`, at spaces, as a command line of `c`. */
static lk_status run_line(const lk_command *c, const char *line)
{
    static char text[4096];
    char *words[MOST_WORDS] = {"likeness"}, *rest = NULL;
    int count = 1;
    snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        words[count++] = word;
    seen_count = -1;
    return lk_command_run(c, count, words);
}

static void taken(const char *line)
{
    if (run_line(&command, line) != LK_OK)
        fail_msg("%s: %s", line, lk_error_text());
}

static void refused(const char *line, const char *sentence)
{
    assert_int_equal(run_line(&command, line), LK_USAGE);
    assert_string_equal(lk_error_text(), sentence);
    assert_int_equal(seen_count, -1);
}

static void values_reach_their_members(void **state)
{
    (void)state;
    taken("a -o out");
    assert_true(!seen.wet && seen.size == 128 && seen.share == 0.5 && seen.colour == RED && seen.sets.count == 0);
    assert_string_equal(seen.title, "untitled");
    assert_null(seen.key);
    taken("--wet --title sea --folder out --key a.b --size 16 --bytes 3 --share 1e-1 --colour green --twice abc a");
    assert_true(seen.wet && seen.size == 16 && seen.bytes == 3 << 20 && seen.share == 0.1 && seen.colour == GREEN);
    assert_int_equal(seen.twice, 6);
    assert_string_equal(seen.title, "sea");
    assert_string_equal(seen.folder, "out");
    assert_string_equal(seen.key, "a.b");
    taken("a -o out --size 2048 --size 17"); /* the last counts */
    assert_int_equal(seen.size, 17);
}

static void spellings(void **state)
{
    (void)state;
    taken("--title=a=b -oout a");
    assert_string_equal(seen.title, "a=b");
    assert_string_equal(seen.folder, "out");
    taken("a --title= -o out - --wet");
    assert_string_equal(seen.title, "");
    assert_true(seen.wet);
    assert_string_equal(seen_arguments, "a -");
    taken("-o out -- --wet -o");
    assert_false(seen.wet);
    assert_string_equal(seen_arguments, "--wet -o");
    taken("a -o --wet"); /* what follows is the value, whatever it is */
    assert_string_equal(seen.folder, "--wet");
}

static void sets_are_kept_in_order(void **state)
{
    (void)state;
    char line[2048] = "a -o out";
    taken("--set a.b=1 a -o out --set c=[2,3] --set=d=e");
    assert_int_equal(seen.sets.count, 3);
    assert_string_equal(seen.sets.items[0], "a.b=1");
    assert_string_equal(seen.sets.items[1], "c=[2,3]");
    assert_string_equal(seen.sets.items[2], "d=e");
    for (int i = 0; i < LK_MOST_SETS; i++)
        strcat(line, " --set a=1");
    taken(line);
    assert_int_equal(seen.sets.count, LK_MOST_SETS);
    strcat(line, " --set a=1");
    refused(line, "paint: more than 64 --set; write them into a configuration file");
}

static void wrong_lines_are_one_sentence(void **state)
{
    (void)state;
    refused("a -o out --wett", "paint: there is no option --wett; likeness paint --help lists them");
    refused("a -o out --we", "paint: there is no option --we; likeness paint --help lists them");
    refused("a -o out -x", "paint: there is no option -x; likeness paint --help lists them");
    refused("a -o out --wet=no", "paint: --wet takes no value, but 'no' follows");
    refused("a -o", "paint: -o needs a value, F; likeness paint --help says more");
    refused("a -o out --colour", "paint: --colour needs a value, red|green; likeness paint --help says more");
    refused("a -o out --size 15", "paint: --size takes a whole number from 16 to 2048, not '15'");
    refused("a -o out --size 2049", "paint: --size takes a whole number from 16 to 2048, not '2049'");
    refused("a -o out --size 64x", "paint: --size takes a whole number from 16 to 2048, not '64x'");
    refused("a -o out --size=", "paint: --size takes a whole number from 16 to 2048, not ''");
    refused("a -o out --bytes 99999999999999999999",
            "paint: --bytes takes a whole number from 1 to 1048576, not '99999999999999999999'");
    refused("a -o out --share nan", "paint: --share takes a number from 0 to 1, not 'nan'");
    refused("a -o out --share 1.1", "paint: --share takes a number from 0 to 1, not '1.1'");
    refused("a -o out --colour blue", "paint: --colour takes red or green, not 'blue'");
    refused("a -o out --twice=", "paint: --twice takes some letters");
    refused("-o out", "paint: needs one or two faces; likeness paint --help says more");
    refused("-o out a b c", "paint: takes one or two faces, not also 'c'; likeness paint --help says more");
    refused("a", "paint: needs --folder F; likeness paint --help says more");
}

/* `copy` writes a file, and another into a folder; it reads its arguments and what --from names. */
static const lk_option copy_table[] = {
    {LK_OPTION_PATH, "output", "F", "h", LK_TARGET(paint, title), .writes = ""},
    {LK_OPTION_PATH, "folder", "F", "h", LK_TARGET(paint, folder), .writes = "list.txt|page.png"},
    {LK_OPTION_PATH, "from", "F", "h", LK_TARGET(paint, key), .choices = "usual"},
    {0}};
static const lk_command copy = {.name = "copy",
                                .usage = "",
                                .about = "",
                                .options = copy_table,
                                .size = sizeof(paint),
                                .takes = "files",
                                .most = LK_ANY_NUMBER,
                                .run = run};

static void keeps(const char *line, const char *sentence)
{
    assert_int_equal(run_line(&copy, line), LK_USAGE);
    assert_string_equal(lk_error_text(), sentence);
    assert_int_equal(seen_count, -1);
}

static void nothing_that_is_read_is_written(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("kept/inner"), LK_OK);
    assert_int_equal(lk_write_file("kept/a", "a", 1), LK_OK);
    assert_int_equal(lk_write_file("kept/page.png", "a", 1), LK_OK);
    assert_int_equal(lk_write_file("usual", "a", 1), LK_OK);
    assert_int_equal(symlink("kept/a", "way-to-a"), 0);
    keeps("x kept/a --output kept/a", "copy: --output: kept/a would replace kept/a, which is read; give another --output");
    keeps("way-to-a --output kept/../kept/a",
          "copy: --output: kept/../kept/a would replace way-to-a, which is read; give another --output");
    keeps("--from kept/a --output way-to-a",
          "copy: --output: way-to-a would replace kept/a, which is read; give another --output");
    keeps("--folder kept x kept/page.png",
          "copy: --folder: kept/page.png would replace kept/page.png, which is read; give another --folder");
    static const char *const fine[] = {"kept/a --output kept/b", "kept/a --folder kept", "--from usual --output usual",
                                       "none --output none", "kept/page.png --folder kept/inner"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        if (run_line(&copy, fine[i]) != LK_OK)
            fail_msg("%s: %s", fine[i], lk_error_text());
}

static void what_cannot_be_written_is_refused(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("place"), LK_OK);
    keeps("x --output place", "copy: --output: place is a folder; give the name of a file");
    keeps("x --output /dev/null", "copy: --output: /dev/null is a device or pipe; give the name of a file");
    keeps("x --output gone/a", "copy: --output: there is no folder gone; make it, or give another --output");
    assert_int_equal(run_line(&copy, "x --output place/a"), LK_OK);
    assert_int_equal(lk_check_output("copy", "output", "place/a.jpg", ".png"), LK_USAGE);
    assert_string_equal(lk_error_text(), "copy: --output: place/a.jpg does not end in .png, which is what is written");
    assert_int_equal(lk_check_output("copy", "output", "place/a.PNG", ".png"), LK_OK);
    assert_int_equal(lk_check_output("copy", "output", "/a.png", ".png"), LK_OK);
}

static void a_command_looks_into_folders_itself(void **state)
{
    (void)state;
    assert_int_equal(lk_make_folder("faces/deep"), LK_OK);
    assert_int_equal(lk_write_file("faces/deep/a", "a", 1), LK_OK);
    assert_int_equal(symlink("faces/deep/a", "way-to-face"), 0);
    assert_int_equal(lk_keep_folder("copy", "output", "faces/deep/b", "faces"), LK_OK);
    assert_int_equal(lk_keep_folder("copy", "output", "faces/deep/a", "other"), LK_OK);
    assert_int_equal(lk_keep_folder("copy", "output", "faces/deep/a", "faces"), LK_USAGE);
    assert_string_equal(lk_error_text(),
                        "copy: --output: faces/deep/a would replace a file in faces, which is read; give another --output");
    assert_int_equal(lk_keep_folder("copy", "output", "way-to-face", "./faces/"), LK_USAGE);
}

static void printing_is_all_that_happens(void **state)
{
    (void)state;
    taken("--list");
    assert_true(printed == 1 && seen_count == -1);
    taken("--list --nonsense");
    assert_true(printed == 2 && seen_count == -1);
}

static void a_value_among_the_arguments(void **state)
{
    (void)state;
    double value = 0;
    assert_int_equal(lk_parse_real("paint", "SHARE", "0.25", 0, 1, &value), LK_OK);
    assert_true(value == 0.25);
    assert_int_equal(lk_parse_real("paint", "SHARE", "0.25?", 0, 1, &value), LK_USAGE);
    assert_string_equal(lk_error_text(), "paint: SHARE takes a number from 0 to 1, not '0.25?'");
}

/* ---- the tables of the commands ---- */

static size_t bytes_of(lk_option_kind kind)
{
    switch (kind) {
    case LK_OPTION_FLAG: return sizeof(bool);
    case LK_OPTION_TEXT:
    case LK_OPTION_PATH:
    case LK_OPTION_KEY: return sizeof(const char *);
    case LK_OPTION_SET: return sizeof(lk_set_list);
    case LK_OPTION_INT: return sizeof(int);
    case LK_OPTION_WHOLE: return sizeof(int64_t);
    case LK_OPTION_REAL: return sizeof(double);
    case LK_OPTION_CHOICE: return sizeof(colour);
    case LK_OPTION_HEADING:
    case LK_OPTION_PARSED:
    case LK_OPTION_PRINT: break;
    }
    return 0;
}

/* Each text is refused with a sentence that names command and option. */
static void refuses_value(const lk_command *c, const lk_option *option, const char *text)
{
    char line[256], start[64], name[64];
    snprintf(line, sizeof line, "--%s%s", option->name, text);
    snprintf(start, sizeof start, "%s: ", c->name);
    snprintf(name, sizeof name, "--%s ", option->name);
    assert_int_equal(run_line(c, line), LK_USAGE);
    if (strncmp(lk_error_text(), start, strlen(start)) != 0 || !strstr(lk_error_text(), name))
        fail_msg("%s %s: %s", c->name, line, lk_error_text());
}

static void check_option(const lk_command *c, const lk_option *option)
{
    char below[64], above[64];
    snprintf(below, sizeof below, "=%.17g", option->low - 1);
    snprintf(above, sizeof above, "=%.17g", option->high + 1);
    assert_true(option - c->options < 64); /* the parser's bits */
    if (option->kind == LK_OPTION_HEADING)
        return;
    assert_int_equal(option->bytes, bytes_of(option->kind));
    assert_true(option->offset + option->bytes <= c->size);
    for (const lk_option *other = c->options; other < option; other++) {
        assert_true(!other->name || strcmp(other->name, option->name) != 0);
        assert_true(!option->letter || other->letter != option->letter);
    }
    assert_true(strcmp(option->name, "help") != 0 && option->letter != 'h');
    switch (option->kind) {
    case LK_OPTION_FLAG:
    case LK_OPTION_PRINT: refuses_value(c, option, "=yes"); return;
    case LK_OPTION_INT:
    case LK_OPTION_WHOLE:
    case LK_OPTION_REAL:
        refuses_value(c, option, "=many");
        refuses_value(c, option, "=");
        refuses_value(c, option, "=1x");
        refuses_value(c, option, below);
        refuses_value(c, option, above);
        break;
    case LK_OPTION_CHOICE:
    case LK_OPTION_PARSED: refuses_value(c, option, "=nonsense"); break;
    default: break;
    }
    assert_true(option->value || option->choices);
    refuses_value(c, option, "");
}

/* One argument too many. */
static void refuses_many(const lk_command *c)
{
    char line[256] = "--";
    for (int i = 0; i <= c->most; i++)
        snprintf(line + strlen(line), sizeof line - strlen(line), " %.*s", c->choices ? (int)strcspn(c->choices, "|") : 1,
                 c->choices ? c->choices : "a");
    assert_int_equal(run_line(c, line), LK_USAGE);
    assert_non_null(strstr(lk_error_text(), "not also"));
}

static void check_command(const lk_command *c)
{
    assert_true(c->name && c->summary && c->about);
    for (const lk_command *const *sub = c->subcommands; sub && *sub; sub++) {
        assert_int_equal(strncmp((*sub)->name, c->name, strlen(c->name)), 0);
        check_command(*sub);
    }
    if (c->subcommands)
        return;
    assert_true(c->usage && c->run && c->least <= c->most);
    assert_true(c->takes || c->choices || c->most == 0);
    if (c->least > 0)
        assert_int_equal(run_line(c, ""), LK_USAGE);
    if (c->most < LK_ANY_NUMBER)
        refuses_many(c);
    for (const lk_option *option = c->options; option && option->help; option++)
        check_option(c, option);
}

static void every_row_of_every_command(void **state)
{
    (void)state;
    for (const lk_command *const *c = lk_commands; *c; c++)
        check_command(*c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_reach_their_members),
        cmocka_unit_test(spellings),
        cmocka_unit_test(sets_are_kept_in_order),
        cmocka_unit_test(wrong_lines_are_one_sentence),
        cmocka_unit_test(printing_is_all_that_happens),
        cmocka_unit_test(a_value_among_the_arguments),
        cmocka_unit_test(every_row_of_every_command),
        cmocka_unit_test(nothing_that_is_read_is_written),
        cmocka_unit_test(what_cannot_be_written_is_refused),
        cmocka_unit_test(a_command_looks_into_folders_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
