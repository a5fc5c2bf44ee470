/* The part of `likeness bench` that runs nothing: the options of its model of many GPUs, and the table. */
#ifndef LK_LAUNCH_COMMAND_BENCH_SCALE_H
#define LK_LAUNCH_COMMAND_BENCH_SCALE_H

#include "launch/bench/scale.h"

#include <jansson.h>

typedef struct lk_scale_values {
    lk_scale_plan plan;
    int gpus;            /* up to so many, in powers of two */
    double gbit, faster; /* the two networks side by side */
} lk_scale_values;

/* The measured parts are those of one H100 with 16 cores (docs/performance.md says where they come from). */
#define LK_SCALE_DEFAULTS                                                                                                        \
    {                                                                                                                            \
        .plan = {.batch = 256,                                                                                                   \
                 .forward_ms = 15.3,                                                                                             \
                 .backward_ms = 13.3,                                                                                            \
                 .update_ms = 0.5,                                                                                               \
                 .size = 128,                                                                                                    \
                 .width = 1,                                                                                                     \
                 .outputs = 60,                                                                                                  \
                 .bytes = 4,                                                                                                     \
                 .bucket_mb = 25,                                                                                                \
                 .node = 8,                                                                                                      \
                 .near_us = 6,                                                                                                   \
                 .near_gb = 370,                                                                                                 \
                 .far_us = 15,                                                                                                   \
                 .adapters = 1,                                                                                                  \
                 .used = 0.9,                                                                                                    \
                 .agree_us = 20,                                                                                                 \
                 .jitter = 0.01,                                                                                                 \
                 .checkpoint_ms = 30,                                                                                            \
                 .checkpoint_s = 1200},                                                                                          \
        .gpus = 512, .gbit = 200, .faster = 400                                                                                  \
    }

/* Rows of the option table; TYPE has a member `scale` of lk_scale_values. */
#define LK_SCALE_OPTION(kind, type, name, value, help, member, least, most)                                                      \
    {                                                                                                                            \
        kind, name, value, help, LK_TARGET(type, scale.member), .low = least, .high = most                                       \
    }
#define LK_SCALE_OPTIONS(T)                                                                                                      \
    {LK_OPTION_HEADING, .help = "Of scale:"}, LK_SCALE_OPTION(LK_OPTION_INT, T, "gpus", "N", "up to so many", gpus, 1, 65536),   \
        LK_SCALE_OPTION(LK_OPTION_INT, T, "batch", "N", "samples of a GPU and step", plan.batch, 1, 65536),                      \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "forward-ms", "X", "of it on one GPU, with upload", plan.forward_ms, 0, 1e6),         \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "backward-ms", "X", "of the encoder", plan.backward_ms, 0, 1e6),                      \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "update-ms", "X", "norm and optimizer", plan.update_ms, 0, 1e6),                      \
        LK_SCALE_OPTION(LK_OPTION_INT, T, "size", "S", "pixels", plan.size, 32, 512),                                            \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "width", "X", "of the encoder", plan.width, 0.015625, 4),                             \
        LK_SCALE_OPTION(LK_OPTION_INT, T, "outputs", "N", "parameters and choices of the schema", plan.outputs, 1, 100000),      \
        LK_SCALE_OPTION(LK_OPTION_INT, T, "bytes", "N", "of a gradient on its way; bf16: 2", plan.bytes, 1, 8),                  \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "bucket-mb", "X", "collectives.bucket_mb", plan.bucket_mb, 0.001, 4096),              \
        LK_SCALE_OPTION(LK_OPTION_INT, T, "node", "N", "GPUs of a node", plan.node, 1, 1024),                                    \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "near-us", "X", "latency of a hop within a node", plan.near_us, 0, 1e6),              \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "near-gb", "X", "GB/s of a sum within a node", plan.near_gb, 1e-3, 1e6),              \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "far-us", "X", "latency of a hop between nodes", plan.far_us, 0, 1e6),                \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "gbit", "X", "rate of an adapter, Gbit/s ...", gbit, 1e-3, 1e5),                      \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "faster", "X", "... and another beside it", faster, 1e-3, 1e5),                       \
        LK_SCALE_OPTION(LK_OPTION_INT, T, "adapters", "N", "of a node", plan.adapters, 1, 64),                                   \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "used", "X", "share of the rate that data get", plan.used, 0.01, 1),                  \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "agree-us", "X", "a round of the agreement on a step", plan.agree_us, 0, 1e6),        \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "jitter", "X", "deviation of a GPU's step, a share of it", plan.jitter, 0, 1),        \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "loader", "X", "samples/s of a node; 0: no limit", plan.loader, 0, 1e9),              \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "checkpoint-ms", "X", "a checkpoint holds up so long", plan.checkpoint_ms, 0, 1e6),   \
        LK_SCALE_OPTION(LK_OPTION_REAL, T, "checkpoint-s", "X", "... every so many s; 0: never", plan.checkpoint_s, 0, 1e9)

lk_status lk_scale_print(const lk_scale_values *values);
/* An array of a row for each number of GPUs; NULL with the sentence. */
lk_status lk_scale_json(const lk_scale_values *values, json_t **out);

#endif
