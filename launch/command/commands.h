/* The commands of the program: each takes its own argc and argv (argv[0] is the command's name), parses them with
 * getopt_long, prints results on standard output, and returns a status that main() turns into one line and an exit code.
 */
#ifndef LK_LAUNCH_COMMAND_COMMANDS_H
#define LK_LAUNCH_COMMAND_COMMANDS_H

#include "base/error.h"

/* name, function, one line of help */
#define LK_COMMAND_TABLE(X)                                                                                                      \
    X("render", lk_command_render, "draw faces from parameters: one picture, or shards of random faces")                         \
    X("pack", lk_command_pack, "turn archives, folders and photos with parameters into shards")                                  \
    X("align", lk_command_align, "cut faces out of photos, eyes at their places")                                                \
    X("inspect", lk_command_inspect, "say what is in shards or checkpoints, and check them")                                     \
    X("train", lk_command_train, "train the decoder or the encoder from a configuration")                                        \
    X("export", lk_command_export, "the weights of a checkpoint or a run as one file, e.g. for PyTorch")                         \
    X("evaluate", lk_command_evaluate, "judge a trained run on a data set, with pictures")                                       \
    X("report", lk_command_report, "one HTML page about runs: curves, pictures, which lambda is best")                           \
    X("sweep", lk_command_sweep, "several runs that differ in a few keys: plan, status")                                         \
    X("config", lk_command_config, "check a configuration and print it in full")                                                 \
    X("bench", lk_command_bench, "measure the training step, the loader and the exchange of gradients")

#define LK_DECLARE_COMMAND(name, function, help) lk_status function(int argc, char **argv);
LK_COMMAND_TABLE(LK_DECLARE_COMMAND)
#undef LK_DECLARE_COMMAND

#endif
