/* The command line. Each command is one lk_command: what it is called, its help, and a table of its options, of which each row
 * says the option's name, value, range, meaning and where the value goes. Parsing, the one line about a wrong command line
 * (LK_USAGE), --help and the shell's completion (likeness completion) all come from that table.
 *
 *     typedef struct options {
 *         const char *folder;
 *         int size;
 *     } options;
 *
 *     static const lk_option table[] = {
 *         {LK_OPTION_PATH, "output", "FOLDER", "where pictures go", LK_TARGET(options, folder), .letter = 'o', .required = true},
 *         {LK_OPTION_INT, "size", "S", "edge of a picture", LK_TARGET(options, size), .low = 16, .high = 2048},
 *         {0}};
 *
 *     static lk_status run(void *values, char **arguments, int count) { const options *o = values; ... }
 *
 *     const lk_command lk_command_paint = {
 *         .name = "paint", .summary = "paint faces", .usage = "FACE... -o FOLDER [OPTIONS]", .about = "Paints each FACE.",
 *         .options = table, .size = sizeof(options), .defaults = &(options){.size = 128},
 *         .takes = "faces", .least = 1, .most = LK_ANY_NUMBER, .run = run};
 *
 * As in getopt: --name VALUE, --name=VALUE, -o VALUE, -oVALUE, options and arguments in any order, all after -- are arguments.
 * Names are not abbreviated, or a script would break when an option is added. --help and -h are in every command by themselves.
 */
#ifndef LK_LAUNCH_COMMAND_OPTIONS_H
#define LK_LAUNCH_COMMAND_OPTIONS_H

#include "base/device/device.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum lk_option_kind {
    LK_OPTION_HEADING, /* no option: `help` stands above the options that follow */
    LK_OPTION_FLAG,    /* bool: true where the option stands */
    LK_OPTION_TEXT,    /* const char * */
    LK_OPTION_PATH,    /* const char *; `choices`, if any, may stand in its place */
    LK_OPTION_KEY,     /* const char *: a key of the configuration, which the command looks up */
    LK_OPTION_SET,     /* lk_set_list: KEY=VALUE over the configuration, may be repeated */
    LK_OPTION_INT,     /* int, a whole number from low to high */
    LK_OPTION_WHOLE,   /* int64_t, the same; stored times `unit` if there is one */
    LK_OPTION_REAL,    /* double from low to high */
    LK_OPTION_CHOICE,  /* an enum: the place of the word in `choices`, from 0 */
    LK_OPTION_PARSED,  /* what `parse` makes of it in the whole struct */
    LK_OPTION_PRINT    /* calls `print`, and that was all */
} lk_option_kind;

enum { LK_MOST_SETS = 64 };
/* For lk_config_load; the texts are argv's. */
typedef struct lk_set_list {
    const char *items[LK_MOST_SETS];
    int count;
} lk_set_list;

typedef struct lk_option {
    lk_option_kind kind;
    const char *name, *value; /* --name VALUE; value NULL: none, or the choices */
    const char *help;         /* NULL ends the table. The default of a number (but 0) or choice is added by itself */
    size_t offset, bytes;     /* LK_TARGET: the member of the command's struct */
    char letter;              /* a short name; 0: none */
    bool required;
    double low, high;
    int64_t unit;
    const char *choices; /* words with | between */
    /* Of a path: where it is a file that is written, how its name must end, ".png", or "" for any; names with | between where it
     * is a folder in which they are. None of them may be an argument or another path of the line. */
    const char *writes;
    lk_status (*parse)(const char *command, const char *text, void *values);
    void (*print)(void);
} lk_option;

#define LK_TARGET(type, member) .offset = offsetof(type, member), .bytes = sizeof(((type *)0)->member)

/* The row of --device, an lk_device_choice, for who uses a trained model: the CPU unless it says otherwise, so that a training on
 * the same GPU is not disturbed. */
#define LK_DEVICE_OPTION(type, member)                                                                                           \
    {                                                                                                                            \
        LK_OPTION_CHOICE, "device", NULL, "where to compute; auto: on a GPU if there is one", LK_TARGET(type, member),           \
            .choices = "auto|cpu|cuda"                                                                                           \
    }

/* The row of --set KEY=VALUE. */
#define LK_SET_OPTION(type, member)                                                                                              \
    {                                                                                                                            \
        LK_OPTION_SET, "set", "KEY=VALUE", "one key of the configuration, e.g. --set loss.lambda=1 (may be repeated)",           \
            LK_TARGET(type, member)                                                                                              \
    }

enum { LK_ANY_NUMBER = 1 << 30 };

typedef struct lk_command {
    const char *name;    /* "train"; both words of a subcommand: "sweep plan" */
    const char *summary; /* in one line */
    const char *usage;   /* what follows the name, a line for each way to use it */
    const char *about;   /* paragraphs of the help, with their line breaks but the last */
    const lk_option *options;
    size_t size;          /* of the command's struct of values; 0: there is none */
    const void *defaults; /* it before parsing; NULL: zeros */
    const char *takes;    /* what the arguments are: "one configuration file" */
    int least, most;      /* how many of them */
    const char *choices;  /* each is one of these words with | between; NULL: paths */
    /* Does the work and prints results on standard output. `arguments` are what is no option. */
    lk_status (*run)(void *values, char **arguments, int count);
    const struct lk_command *const *subcommands; /* ends in NULL; then name, summary and about alone are used */
} lk_command;

/* Parses and runs. argv[0] is the command's name; argv is put in another order. LK_USAGE: the sentence names command, option and
 * what would be right. */
lk_status lk_command_run(const lk_command *command, int argc, char **argv);

/* LK_USAGE where `output`, the value of --OPTION or a file in it, is there and is `input`, which the command reads. The parser
 * asks for what the line names, a command for what it finds in folders. */
lk_status lk_keep_input(const char *command, const char *option, const char *output, const char *input);
/* The same for a command that reads all files in and below `folder`. */
lk_status lk_keep_folder(const char *command, const char *option, const char *output, const char *folder);

/* LK_USAGE where the file `path`, the value of --OPTION, cannot be written, which would else be told at the end of perhaps hours:
 * it is a folder or a device, is to be in a folder that is not there, or does not end in `suffix`. The parser asks for what the
 * table says is written. */
lk_status lk_check_output(const char *command, const char *option, const char *path, const char *suffix);

/* A number among the arguments, called `name`, as a LK_OPTION_REAL is read. */
lk_status lk_parse_real(const char *command, const char *name, const char *text, double low, double high, double *out);

/* The words of `choices`, one after the other: *at begins as `choices`; false at the end. out[size]. */
bool lk_next_choice(const char **at, char *out, size_t size);

#endif
