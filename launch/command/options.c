#include "launch/command/options.h"

#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { WORD_SIZE = 64, NAME_COLUMN = 26 };

/* ---- values ---- */

bool lk_next_choice(const char **at, char *out, size_t size)
{
    if (!*at || **at == '\0')
        return false;
    size_t length = strcspn(*at, "|");
    snprintf(out, size, "%.*s", (int)length, *at);
    *at += length + ((*at)[length] == '|');
    return true;
}

/* The place of a word among choices, -1 where it is none of them. */
static int find_choice(const char *choices, const char *text)
{
    char word[WORD_SIZE];
    for (int i = 0; lk_next_choice(&choices, word, sizeof word); i++)
        if (strcmp(word, text) == 0)
            return i;
    return -1;
}

/* "central|all|one" as "central, all or one". */
static void say_choices(const char *choices, char *out, size_t size)
{
    char word[WORD_SIZE];
    size_t used = 0;
    out[0] = '\0';
    while (lk_next_choice(&choices, word, sizeof word) && used < size)
        used += (size_t)snprintf(out + used, size - used, "%s%s", used == 0 ? "" : *choices ? ", " : " or ", word);
}

static lk_status parse_whole(const char *command, const lk_option *option, const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || (double)value < option->low || (double)value > option->high)
        return lk_fail(LK_USAGE, "%s: --%s takes a whole number from %.15g to %.15g, not '%.80s'", command, option->name,
                       option->low, option->high, text);
    *out = value;
    return LK_OK;
}

lk_status lk_parse_real(const char *command, const char *name, const char *text, double low, double high, double *out)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= low && value <= high))
        return lk_fail(LK_USAGE, "%s: %s takes a number from %g to %g, not '%.80s'", command, name, low, high, text);
    *out = value;
    return LK_OK;
}

static lk_status parse_choice(const char *command, const lk_option *option, const char *text, int *out)
{
    char choices[256];
    *out = find_choice(option->choices, text);
    if (*out >= 0)
        return LK_OK;
    say_choices(option->choices, choices, sizeof choices);
    return lk_fail(LK_USAGE, "%s: --%s takes %s, not '%.80s'", command, option->name, choices, text);
}

static lk_status add_set(const char *command, const char *text, lk_set_list *sets)
{
    if (sets->count == LK_MOST_SETS)
        return lk_fail(LK_USAGE, "%s: more than %d --set; write them into a configuration file", command, LK_MOST_SETS);
    sets->items[sets->count++] = text;
    return LK_OK;
}

static lk_status store(const lk_command *command, const lk_option *option, const char *text, void *values)
{
    void *target = (char *)values + option->offset;
    char name[WORD_SIZE];
    int64_t whole = 0;
    switch (option->kind) {
    case LK_OPTION_FLAG: *(bool *)target = true; return LK_OK;
    case LK_OPTION_TEXT:
    case LK_OPTION_PATH:
    case LK_OPTION_KEY: *(const char **)target = text; return LK_OK;
    case LK_OPTION_SET: return add_set(command->name, text, target);
    case LK_OPTION_INT:
        LK_TRY(parse_whole(command->name, option, text, &whole));
        *(int *)target = (int)whole;
        return LK_OK;
    case LK_OPTION_WHOLE:
        LK_TRY(parse_whole(command->name, option, text, &whole));
        *(int64_t *)target = option->unit ? whole * option->unit : whole;
        return LK_OK;
    case LK_OPTION_REAL:
        snprintf(name, sizeof name, "--%s", option->name);
        return lk_parse_real(command->name, name, text, option->low, option->high, target);
    case LK_OPTION_CHOICE: return parse_choice(command->name, option, text, target);
    case LK_OPTION_PARSED: return option->parse(command->name, text, values);
    case LK_OPTION_PRINT:
    case LK_OPTION_HEADING: break;
    }
    return lk_fail(LK_INTERNAL, "%s: --%s has no value", command->name, option->name);
}

lk_status lk_keep_input(const char *command, const char *option, const char *output, const char *input)
{
    bool same = false;
    lk_path_kind kind;
    LK_TRY(lk_path_look(output, &kind));
    if (kind == LK_FILE)
        LK_TRY(lk_path_same(output, input, &same));
    if (same)
        return lk_fail(LK_USAGE, "%s: --%s: %s would replace %s, which is read; give another --%s", command, option, output,
                       input, option);
    return LK_OK;
}

lk_status lk_keep_folder(const char *command, const char *option, const char *output, const char *folder)
{
    char name[LK_PATH_SIZE] = "";
    lk_path_kind kind;
    LK_TRY(lk_path_look(output, &kind));
    if (kind == LK_FILE)
        LK_TRY(lk_path_within(name, folder, output));
    if (name[0])
        return lk_fail(LK_USAGE, "%s: --%s: %s would replace a file in %s, which is read; give another --%s", command, option,
                       output, folder, option);
    return LK_OK;
}

lk_status lk_check_output(const char *command, const char *option, const char *path, const char *suffix)
{
    char folder[LK_PATH_SIZE];
    lk_path_kind kind;
    size_t length = strlen(path), wanted = strlen(suffix);
    LK_TRY(lk_path_look(path, &kind));
    if (kind == LK_FOLDER || kind == LK_SPECIAL)
        return lk_fail(LK_USAGE, "%s: --%s: %s is %s; give the name of a file", command, option, path,
                       kind == LK_FOLDER ? "a folder" : "a device or pipe");
    if (length < wanted || strcasecmp(path + length - wanted, suffix) != 0)
        return lk_fail(LK_USAGE, "%s: --%s: %s does not end in %s, which is what is written", command, option, path, suffix);
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return LK_OK;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    LK_TRY(lk_path_look(folder, &kind));
    if (kind != LK_FOLDER)
        return lk_fail(LK_USAGE, "%s: --%s: there is no folder %s; make it, or give another --%s", command, option, folder,
                       option);
    return LK_OK;
}

/* ---- help ---- */

static bool takes_value(const lk_option *option)
{
    return option->kind != LK_OPTION_FLAG && option->kind != LK_OPTION_PRINT;
}

/* What a number or choice is without the option, where it is worth telling: 0 stands for something that `help` says. */
static void print_default(const lk_option *option, const void *defaults)
{
    const void *target = (const char *)defaults + option->offset;
    const char *choices = option->choices;
    char word[WORD_SIZE];
    int64_t whole = option->kind == LK_OPTION_INT     ? *(const int *)target
                    : option->kind == LK_OPTION_WHOLE ? *(const int64_t *)target
                                                      : 0;
    if (whole != 0)
        printf(" (%lld)", (long long)(option->unit ? whole / option->unit : whole));
    else if (option->kind == LK_OPTION_REAL && *(const double *)target != 0)
        printf(" (%g)", *(const double *)target);
    else if (option->kind == LK_OPTION_CHOICE) {
        for (int i = *(const int *)target; i >= 0; i--)
            lk_next_choice(&choices, word, sizeof word);
        printf(" (%s)", word);
    }
}

/* "  -o, --output FOLDER   where crops go" */
static void print_option(const lk_option *option, const void *defaults)
{
    char name[128];
    const char *value = option->value ? option->value : option->choices;
    int used = option->letter ? snprintf(name, sizeof name, "  -%c, ", option->letter) : snprintf(name, sizeof name, "      ");
    used += snprintf(name + used, sizeof name - (size_t)used, "--%s%s%s", option->name, takes_value(option) ? " " : "",
                     takes_value(option) ? value : "");
    fputs(name, stdout);
    if (used > NAME_COLUMN - 2) {
        putchar('\n');
        used = 0;
    }
    for (const char *line = option->help; *line;) {
        size_t length = strcspn(line, "\n");
        printf("%*s%.*s", NAME_COLUMN - used, "", (int)length, line);
        line += length + (line[length] == '\n');
        used = 0;
        if (*line)
            putchar('\n');
    }
    if (defaults)
        print_default(option, defaults);
    putchar('\n');
}

static void print_usage(const lk_command *command, const char *usage)
{
    const char *before = "usage:";
    while (*usage) {
        size_t length = strcspn(usage, "\n");
        printf("%-6s likeness %s %.*s\n", before, command->name, (int)length, usage);
        usage += length + (usage[length] == '\n');
        before = "";
    }
}

static void print_help(const lk_command *command)
{
    print_usage(command, command->usage);
    printf("\n%s\n", command->about);
    bool headed = false;
    for (const lk_option *option = command->options; option && option->help; option++) {
        if (option->kind == LK_OPTION_HEADING)
            printf("\n%s\n", option->help);
        else if (!headed)
            putchar('\n');
        headed = true;
        if (option->kind != LK_OPTION_HEADING)
            print_option(option, command->defaults);
    }
}

static void print_subcommands(const lk_command *command)
{
    print_usage(command, "SUBCOMMAND ...");
    printf("\n%s\n\n", command->about);
    for (const lk_command *const *sub = command->subcommands; *sub; sub++)
        printf("  %-15s %s\n", (*sub)->name, (*sub)->summary);
}

/* ---- parsing ---- */

typedef struct parser {
    const lk_command *command;
    void *values;
    int argc;
    char **argv;
    int at;
    int count;      /* arguments so far; they stand at argv[1] and on */
    bool ended;     /* something was printed, and that was all */
    uint64_t given; /* bit i: row i of the table was there */
} parser;

static lk_status no_option(const parser *p, const char *word)
{
    return lk_fail(LK_USAGE, "%s: there is no option %.80s; likeness %s --help lists them", p->command->name, word,
                   p->command->name);
}

/* The row of a word that begins with -; *value is what follows = or the letter, else NULL. */
static const lk_option *find_option(const lk_command *command, const char *word, const char **value)
{
    const char *name = word + 2;
    size_t length = strcspn(name, "=");
    *value = NULL;
    for (const lk_option *option = command->options; option && option->help; option++) {
        if (option->kind == LK_OPTION_HEADING)
            continue;
        if (word[1] == '-' && strlen(option->name) == length && strncmp(option->name, name, length) == 0) {
            *value = name[length] == '=' ? name + length + 1 : NULL;
            return option;
        }
        if (word[1] != '-' && option->letter == word[1]) {
            *value = word[2] ? word + 2 : NULL;
            return option;
        }
    }
    return NULL;
}

static lk_status take_option(parser *p, const char *word)
{
    const lk_command *command = p->command;
    const char *value;
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help(command);
        p->ended = true;
        return LK_OK;
    }
    const lk_option *option = find_option(command, word, &value);
    if (!option)
        return no_option(p, word);
    p->given |= 1ull << (option - command->options);
    if (!takes_value(option) && value)
        return lk_fail(LK_USAGE, "%s: --%s takes no value, but '%.80s' follows", command->name, option->name, value);
    if (takes_value(option) && !value) {
        if (p->at == p->argc)
            return lk_fail(LK_USAGE, "%s: %s needs a value, %s; likeness %s --help says more", command->name, word,
                           option->value ? option->value : option->choices, command->name);
        value = p->argv[p->at++];
    }
    if (option->kind != LK_OPTION_PRINT)
        return store(command, option, value, p->values);
    option->print();
    p->ended = true;
    return LK_OK;
}

static lk_status take_argument(parser *p, char *word)
{
    const lk_command *command = p->command;
    char choices[256];
    if (p->count == command->most)
        return lk_fail(LK_USAGE, "%s: takes %s, not also '%.80s'; likeness %s --help says more", command->name, command->takes,
                       word, command->name);
    if (command->choices && find_choice(command->choices, word) < 0) {
        say_choices(command->choices, choices, sizeof choices);
        return lk_fail(LK_USAGE, "%s: takes %s, not '%.80s'", command->name, choices, word);
    }
    p->argv[++p->count] = word;
    return LK_OK;
}

static const char *path_of(const parser *p, const lk_option *option)
{
    return option->kind == LK_OPTION_PATH ? *(const char *const *)((const char *)p->values + option->offset) : NULL;
}

static lk_status keep_all(const parser *p, const lk_option *option, const char *output)
{
    const lk_command *command = p->command;
    for (int i = 1; i <= p->count && !command->choices; i++)
        LK_TRY(lk_keep_input(command->name, option->name, output, p->argv[i]));
    for (const lk_option *other = command->options; other->help; other++) {
        const char *input = path_of(p, other);
        if (input && !other->writes && !(other->choices && find_choice(other->choices, input) >= 0))
            LK_TRY(lk_keep_input(command->name, option->name, output, input));
    }
    return LK_OK;
}

static lk_status check_outputs(const parser *p)
{
    char name[WORD_SIZE], output[LK_PATH_SIZE];
    for (const lk_option *option = p->command->options; option && option->help; option++) {
        const char *path = path_of(p, option), *names = option->writes;
        if (!path || !names)
            continue;
        if (*names == '\0' || *names == '.') {
            LK_TRY(keep_all(p, option, path));
            LK_TRY(lk_check_output(p->command->name, option->name, path, names));
            continue;
        }
        while (lk_next_choice(&names, name, sizeof name)) {
            LK_TRY(lk_path_join(output, path, name));
            LK_TRY(keep_all(p, option, output));
        }
    }
    return LK_OK;
}

static lk_status check_whole(const parser *p)
{
    const lk_command *command = p->command;
    if (p->count < command->least)
        return lk_fail(LK_USAGE, "%s: needs %s; likeness %s --help says more", command->name, command->takes, command->name);
    for (int i = 0; command->options && command->options[i].help; i++) {
        const lk_option *option = &command->options[i];
        if (option->required && !(p->given >> i & 1))
            return lk_fail(LK_USAGE, "%s: needs --%s %s; likeness %s --help says more", command->name, option->name,
                           option->value, command->name);
    }
    return check_outputs(p);
}

static lk_status parse(parser *p)
{
    bool options = true;
    while (p->at < p->argc && !p->ended) {
        char *word = p->argv[p->at++];
        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (options && word[0] == '-' && word[1] != '\0')
            LK_TRY(take_option(p, word));
        else
            LK_TRY(take_argument(p, word));
    }
    return p->ended ? LK_OK : check_whole(p);
}

/* ---- running ---- */

static lk_status run_subcommand(const lk_command *command, int argc, char **argv)
{
    if (argc < 2)
        return lk_fail(LK_USAGE, "%s: needs a subcommand; likeness %s --help lists them", command->name, command->name);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_subcommands(command);
        return LK_OK;
    }
    for (const lk_command *const *sub = command->subcommands; *sub; sub++)
        if (strcmp((*sub)->name + strlen(command->name) + 1, argv[1]) == 0)
            return lk_command_run(*sub, argc - 1, argv + 1);
    return lk_fail(LK_USAGE, "%s: there is no subcommand '%.80s'; likeness %s --help lists them", command->name, argv[1],
                   command->name);
}

lk_status lk_command_run(const lk_command *command, int argc, char **argv)
{
    if (command->subcommands)
        return run_subcommand(command, argc, argv);
    parser p = {.command = command, .values = calloc(1, command->size + 1), .argc = argc, .argv = argv, .at = 1};
    if (!p.values)
        return lk_fail(LK_INTERNAL, "%s: out of memory", command->name);
    if (command->defaults)
        memcpy(p.values, command->defaults, command->size);
    lk_status status = parse(&p);
    if (status == LK_OK && !p.ended)
        status = command->run(p.values, argv + 1, p.count);
    free(p.values);
    return status;
}
