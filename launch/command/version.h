/* likeness --version. */
#ifndef LK_LAUNCH_COMMAND_VERSION_H
#define LK_LAUNCH_COMMAND_VERSION_H

/* The program, the libraries it runs with, and what this machine can compute with, on standard output. */
void lk_print_version(void);

#endif
