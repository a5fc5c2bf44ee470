/* likeness: one program with git-like commands (commands.h). Only this file exits, and only here is an error printed. */
#include "base/file.h"
#include "base/leftover.h"
#include "base/log.h"
#include "launch/command/commands.h"
#include "launch/command/version.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libtorch's OpenMP threads spin for milliseconds before they sleep. Where ranks, loaders and other jobs share cores, each step
 * then waits many times for a thread that another one's spinning keeps off its core: ten times slower was measured. A short spin
 * costs nothing on a quiet machine. OpenMP reads the variable while it is loaded, before any constructor of this program, hence
 * .preinit_array. A user's own choice stands. */
static void shorten_spinning(void)
{
    if (!getenv("OMP_WAIT_POLICY"))
        setenv("GOMP_SPINCOUNT", "5000", 0);
}
__attribute__((section(".preinit_array"), used)) static void (*const before_libraries)(void) = shorten_spinning;

static void print_help(FILE *out)
{
    fputs("usage: likeness COMMAND [OPTIONS]     (likeness COMMAND --help says more)\n"
          "       likeness --version\n\n",
          out);
    for (const lk_command *const *command = lk_commands; *command; command++)
        fprintf(out, "  %-10s %s\n", (*command)->name, (*command)->summary);
    fputs("\nExit codes: 0 done, 64 usage, 65 bad data, 70 internal, 75 stopped and saved (run again), 78 bad configuration.\n",
          out);
}

/* What was printed is a result, too: it is kept in memory until now, and may not fit on the disk. */
static lk_status finish_output(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return LK_OK;
    return lk_fail_io("write", "standard output", errno ? errno : EIO, 0);
}

static int finish(lk_status status)
{
    if (status == LK_OK)
        status = finish_output();
    if (status == LK_REQUEUE)
        lk_info("%s", lk_error_text());
    else if (status != LK_OK && lk_error_text()[0])
        lk_log_error("%s", lk_error_text());
    return lk_exit_code(status);
}

int main(int argc, char **argv)
{
    /* Activations are tens of megabytes that come and go every step: keep them instead of giving them back to the kernel
     * (7 to 14 % of a training step). */
    mallopt(M_MMAP_MAX, 0);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_TOP_PAD, 64 << 20);

    lk_leftover_install();
    if (argc < 2) {
        print_help(stderr);
        return lk_exit_code(LK_USAGE);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return finish(LK_OK);
    }
    if (strcmp(argv[1], "--version") == 0) {
        lk_print_version();
        return finish(LK_OK);
    }
    for (const lk_command *const *command = lk_commands; *command; command++) {
        if (strcmp(argv[1], (*command)->name) == 0)
            return finish(lk_command_run(*command, argc - 1, argv + 1));
    }
    fprintf(stderr, "likeness: error: there is no command '%s'; likeness --help lists them\n", argv[1]);
    return lk_exit_code(LK_USAGE);
}
