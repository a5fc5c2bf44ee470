/* Configuration: YAML files into one validated struct, with --set a.b=c on top.
 *
 * Every key is one row of the table in configs/keys.h: its path, type, default, range or choices, and what it means. The
 * loader, --set, the resolved config.yaml of a run folder, the comparison on resume and the printed help all come from it.
 * An unknown key, a wrong type, a value out of range, keys that contradict each other are LK_BAD_CONFIG with file, line, key
 * and what is allowed. To add a key: a member here and a row there. docs/configuration.md is the manual for users.
 */
#ifndef LK_CONFIGS_CONFIG_H
#define LK_CONFIGS_CONFIG_H

#include "base/device/device.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* bytes of a text with its NUL, entries of a list */
enum { LK_CONFIG_TEXT = 512, LK_CONFIG_PATHS = 16 };

typedef enum lk_norm { LK_NORM_NONE, LK_NORM_GROUP, LK_NORM_BATCH } lk_norm; /* batch: of the decoder's blocks, not a choice */
typedef enum lk_optimizer_kind { LK_SGD, LK_ADAMW } lk_optimizer_kind;
typedef enum lk_schedule { LK_CONSTANT, LK_STEP, LK_COSINE } lk_schedule;
typedef enum lk_stage { LK_STAGE_DECODER, LK_STAGE_ENCODER } lk_stage;
typedef enum lk_precision { LK_F32, LK_BF16 } lk_precision;
typedef enum lk_kernel_source { LK_KERNELS_AUTO, LK_KERNELS_OURS, LK_KERNELS_TORCH } lk_kernel_source;
/* What sums gradients over ranks; auto: NCCL on GPUs, MPI on CPUs, nothing on one rank. */
typedef enum lk_reducer_choice { LK_REDUCER_AUTO, LK_REDUCER_NCCL } lk_reducer_choice;
typedef enum lk_nonfinite { LK_NONFINITE_STOP, LK_NONFINITE_SKIP } lk_nonfinite;

typedef struct lk_paths {
    int count;
    char items[LK_CONFIG_PATHS][LK_CONFIG_TEXT];
} lk_paths;

/* Data sets, each with its share of what is drawn, or none with one. */
typedef struct lk_shared_paths {
    lk_paths paths;
    double shares[LK_CONFIG_PATHS]; /* relative to each other; 0: not given */
} lk_shared_paths;

typedef struct lk_config {
    struct {
        char dir[LK_CONFIG_TEXT];
        int64_t seed;
        lk_paths signals; /* names without SIG, from USR1 USR2 TERM HUP INT XCPU: on these, save and exit 75 */
    } run;
    struct {
        lk_shared_paths train;
        lk_paths val; /* one or more folders */
        int threads;
        int prefetch;
        int block; /* dataset/sampler.h */
        struct {
            double flip, colour, blur, noise, jpeg, occlude, crop, warp; /* dataset/augment.h */
        } augment;
    } data;
    struct {
        int size;
        char init[LK_CONFIG_TEXT]; /* "none", a .safetensors file or a checkpoint folder */
        struct {
            double width;
            lk_norm norm;
        } encoder;
        struct {
            double width;
            char weights[LK_CONFIG_TEXT]; /* encoder stage: a run, a checkpoint or a .safetensors file; else "none" will do */
        } decoder;
    } model;
    struct {
        double lambda;
    } loss;
    struct {
        lk_optimizer_kind name;
        double lr;
        double momentum; /* sgd; adamw: beta1 */
        double beta2, eps, weight_decay;
        double clip_norm; /* global norm; 0: no clipping */
        int warmup_steps;
        lk_schedule schedule;
        int step_epochs;                     /* schedule step: every so many epochs ... */
        double step_gamma;                   /* ... the rate is multiplied by this */
        double final_lr;                     /* schedule cosine: ends at this share of lr */
        double continuous_head_lr;           /* factor on lr for the continuous head, which saturates at 1 */
        bool continuous_head_bias_from_data; /* start its bias at the logit of the training mean */
    } optimizer;
    struct {
        lk_stage stage;
        int global_batch;
        int micro_batch;    /* per rank and pass; 0: auto */
        int epochs;         /* 0: use steps; exactly one of the two is given */
        int64_t steps;      /* 0: use epochs */
        double max_minutes; /* then save and exit 75; 0: no limit */
        lk_precision precision;
        lk_device_choice device;
        bool tf32, cudnn_benchmark, cudnn_fuse; /* cuda */
        int threads;                            /* 0: auto, the rank's share of the cores */
        lk_kernel_source kernels;
        bool shuffle;
        bool reproducible;
        struct {
            int patience; /* validations without a better F; 0: never stop early */
            double min_delta;
        } converge;
        lk_nonfinite nonfinite;
        int max_skips; /* nonfinite: skip gives up after so many */
    } train;
    struct {
        int every_epochs;
        int samples; /* faces in the sample pictures; 0: none */
    } validate;
    struct {
        int64_t every_steps;  /* 0: not by steps */
        double every_minutes; /* 0: not by time */
        int keep;             /* the newest so many stay */
        int64_t keep_every;   /* one every so many steps stays for good; 0: none */
    } checkpoint;
    struct {
        double bucket_mb;
        lk_reducer_choice reducer;
        lk_precision dtype; /* what gradients travel as between ranks */
    } collectives;
    struct {
        double warn_s, abort_s;
        char interface[LK_CONFIG_TEXT];
    } stall;
    /* No key, since a run does not depend on it: where this start finds copies of its shards (dataset/stage.h); NULL: it reads
     * the originals. */
    const char *staged;
} lk_config;

/* Reads `path`, applies each "a.b=c" of `sets` in order (c is read as YAML: [a, b] is a list), validates. */
lk_status lk_config_load(const char *path, const char *const *sets, int set_count, lk_config **out);
/* The same from text, e.g. out of a checkpoint; `origin` names it in errors. */
lk_status lk_config_parse(const char *text, const char *origin, lk_config **out);
void lk_config_free(lk_config *config);

/* The configuration in full, defaults included, as YAML that lk_config_load reads back to the same values. Caller frees. */
lk_status lk_config_to_yaml(const lk_config *config, char **text);

/* For resuming: LK_BAD_CONFIG with one sentence that lists every key that differs, with both values, unless the table says
 * that it may change. Nothing is said about keys that may. */
lk_status lk_config_compare(const lk_config *saved, const lk_config *now);

/* For tables of runs: the path of key `index` ("loss.lambda"), NULL past the last; and its value as text, the items of a list
 * with ", " between, cut to `size` bytes with the NUL. */
const char *lk_config_key(int index);
void lk_config_value(const lk_config *config, int index, char *out, size_t size);

/* One line per key on standard output: path, type, default, allowed, meaning; for `likeness train --help-config` and the docs. */
void lk_config_print_keys(void);

#endif
