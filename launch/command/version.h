/* likeness --version. */
#ifndef LK_LAUNCH_COMMAND_VERSION_H
#define LK_LAUNCH_COMMAND_VERSION_H

/* The program, the libraries it runs with, and what this machine can compute with, on standard output. The line about CUDA is
 * what train.device auto takes, tried in full, which lasts seconds where there is a GPU: "CUDA: cuda:0 NVIDIA H100",
 * "CUDA: none (why)". */
void lk_print_version(void);

#endif
