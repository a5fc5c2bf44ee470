/* likeness completion (commands.h): a script for the shell, written from the tables of all commands. */
#include "configs/config.h"
#include "launch/command/commands.h"

#include <stdio.h>
#include <string.h>

static const char BEGIN[] =
    "# Completion of likeness in bash, written by `likeness completion bash`.\n"
    "_likeness() {\n"
    "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}\n"
    "  local words= files= nospace=\n"
    "  COMPREPLY=()\n"
    "  # bash takes --view=varied for three words.\n"
    "  if [ \"$word\" = = ]; then\n"
    "    word=\n"
    "  elif [ \"$before\" = = ]; then\n"
    "    before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "  fi\n";

/* Where `files` is set and no word fits, bash goes on to the names of files by itself. */
static const char END[] = "  [ -z \"$words\" ] || mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                          "  [ -z \"$nospace\" ] || compopt -o nospace 2>/dev/null\n"
                          "  [ -n \"$files\" ] || compopt +o default 2>/dev/null\n"
                          "}\n"
                          "complete -o default -F _likeness likeness\n";

/* words='central all one' */
static void print_choices(const char *choices)
{
    char word[64];
    const char *before = "words='";
    for (; lk_next_choice(&choices, word, sizeof word); before = " ")
        printf("%s%s", before, word);
    fputs("' ", stdout);
}

/* A case of the word before: what may follow this option. Nothing for a number or text that only the user knows. */
static void print_value(const lk_command *command, const lk_option *option)
{
    if (option->kind == LK_OPTION_HEADING || option->kind == LK_OPTION_FLAG || option->kind == LK_OPTION_PRINT)
        return;
    printf("  '%s --%s'", command->name, option->name);
    if (option->letter)
        printf(" | '%s -%c'", command->name, option->letter);
    fputs(") ", stdout);
    if (option->kind == LK_OPTION_PATH)
        fputs("files=yes ", stdout);
    if (option->choices)
        print_choices(option->choices);
    if (option->kind == LK_OPTION_KEY)
        fputs("words=$keys ", stdout);
    if (option->kind == LK_OPTION_SET)
        fputs("words=${keys// /= }= nospace=yes ", stdout);
    puts(";;");
}

/* Cases of the word itself: an option, or an argument. */
static void print_words(const lk_command *command)
{
    printf("    '%s -'*) words='--help", command->name);
    for (const lk_option *option = command->options; option && option->help; option++)
        if (option->name)
            printf(" --%s", option->name);
    printf("' ;;\n    '%s '*) ", command->name);
    if (command->choices)
        print_choices(command->choices);
    else
        fputs("files=yes ", stdout);
    puts(";;");
}

static void print_values(const lk_command *command)
{
    for (const lk_option *option = command->options; option && option->help; option++)
        print_value(command, option);
}

/* Calls `print` for every command that has options and arguments of its own. */
static void each_command(void (*print)(const lk_command *command))
{
    for (const lk_command *const *command = lk_commands; *command; command++) {
        if (!(*command)->subcommands)
            print(*command);
        for (const lk_command *const *sub = (*command)->subcommands; sub && *sub; sub++)
            print(*sub);
    }
}

/* The second word of `likeness sweep plan` belongs to the command; its place has the subcommands. */
static void print_subcommands(const lk_command *command)
{
    printf("  if [ \"$command\" = %s ] && [ \"$COMP_CWORD\" -gt 2 ]; then command=\"%s ${COMP_WORDS[2]}\"; fi\n", command->name,
           command->name);
    printf("  [ \"$command\" != %s ] || words='--help", command->name);
    for (const lk_command *const *sub = command->subcommands; *sub; sub++)
        printf(" %s", (*sub)->name + strlen(command->name) + 1);
    puts("'");
}

static lk_status run(void *values, char **arguments, int count)
{
    (void)values, (void)arguments, (void)count;
    fputs(BEGIN, stdout);
    fputs("  local keys='", stdout);
    for (int i = 0; lk_config_key(i); i++)
        printf("%s%s", i ? " " : "", lk_config_key(i));
    puts("'");
    for (const lk_command *const *command = lk_commands; *command; command++)
        if ((*command)->subcommands)
            print_subcommands(*command);
    puts("  [ \"$COMP_CWORD\" -gt 1 ] || command=\n"
         "  case \"$command $before\" in");
    fputs("  ' '*) words='--help --version", stdout);
    for (const lk_command *const *command = lk_commands; *command; command++)
        printf(" %s", (*command)->name);
    puts("' ;;");
    each_command(print_values);
    puts("  *)\n    case \"$command $word\" in");
    each_command(print_words);
    puts("    esac ;;\n  esac");
    fputs(END, stdout);
    return LK_OK;
}

const lk_command lk_command_completion = {
    .name = "completion",
    .summary = "a script that completes commands and options in the shell",
    .usage = "bash",
    .about = "Prints the script. make install puts it where bash finds it; without an installation:\n"
             "source <(build/likeness completion bash)",
    .takes = "the name of a shell, which is bash",
    .least = 1,
    .most = 1,
    .choices = "bash",
    .run = run};
