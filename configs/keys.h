/* The table of all configuration keys, and what can be done with one of them. Inside of configs/ only; others use config.h.
 *
 * A row: path in lk_config and in the file, type, default as YAML (NULL: must be given), least and greatest value, choices,
 * what a resumed run may do with it, meaning. Choices, '|' between them: of CHOICE, in the order of its C enum; of LIST, the
 * words allowed in it; of INT, a word that stands for 0.
 */
#ifndef LK_CONFIGS_KEYS_H
#define LK_CONFIGS_KEYS_H

#include "configs/config.h"
#include "configs/yaml.h"

#include <locale.h>
#include <stddef.h>

/* Above this a whole number is not exact in the JSON files of a run. */
#define LK_KEY_WHOLE 9007199254740992.0

#define LK_KEY_TABLE(X)                                                                                                          \
    X(run.dir, TEXT, NULL, 0, 0, "", ANY, "folder of the run: checkpoints, metrics, samples")                                    \
    X(run.seed, INT64, "1", 0, LK_KEY_WHOLE, "", SAME, "first weights, order of samples")                                        \
    X(run.signals, LIST, "[USR1, USR2, TERM, HUP]", 0, 0, "USR1|USR2|TERM|HUP|INT|XCPU", ANY, "on these, save and exit 75")      \
    X(data.train, SHARED, NULL, 0, 0, "", SAME, "folders of shards to learn from, or {path, share} of each")                     \
    X(data.val, LIST, NULL, 0, 0, "", SAME, "folders of shards to validate on")                                                  \
    X(data.threads, INT, "2", 1, 64, "", ANY, "reading threads of a rank")                                                       \
    X(data.prefetch, INT, "4", 1, 256, "", ANY, "batches read ahead")                                                            \
    X(data.block, INT, "1", 1, 65536, "", SAME, "neighbouring samples that are read and shuffled as one; 1: each by itself")     \
    X(data.augment.flip, DOUBLE, "0", 0, 1, "", SAME, "share of the faces that are mirrored")                                    \
    X(data.augment.colour, DOUBLE, "0", 0, 1, "", SAME, "strength: exposure, white balance, contrast, saturation")               \
    X(data.augment.blur, DOUBLE, "0", 0, 1, "", SAME, "strength: out of focus, half of the faces")                               \
    X(data.augment.noise, DOUBLE, "0", 0, 1, "", SAME, "strength: grain, half of the faces")                                     \
    X(data.augment.jpeg, DOUBLE, "0", 0, 1, "", SAME, "share of the faces that are compressed")                                  \
    X(data.augment.occlude, DOUBLE, "0", 0, 1, "", SAME, "share of the faces that a patch covers in part")                       \
    X(data.augment.crop, DOUBLE, "0", 0, 1, "", SAME, "strength: shift, scale and roll of the crop")                             \
    X(data.augment.warp, DOUBLE, "0", 0, 1, "", SAME, "strength: places of the face move by themselves")                         \
    X(model.size, INT, "64", 32, 512, "", SAME, "side of the pictures in pixels, a power of two")                                \
    X(model.init, TEXT, "none", 0, 0, "", SAME, "first weights: none, a .safetensors file or a checkpoint")                      \
    X(model.encoder.width, DOUBLE, "0.25", 0.015625, 4, "", SAME, "factor on VGG19's channels, in 64ths")                        \
    X(model.encoder.norm, CHOICE, "none", 0, 0, "none|group", SAME, "normalisation after each convolution")                      \
    X(model.decoder.width, DOUBLE, "0.25", 0.015625, 4, "", SAME, "factor on the decoder's channels, in 64ths")                  \
    X(model.decoder.weights, TEXT, "none", 0, 0, "", SAME, "encoder stage: a run, a checkpoint or a .safetensors file")          \
    X(loss.lambda, DOUBLE, "4", 0, 1e6, "", SAME, "weight of F2 in F = F1 + lambda F2")                                          \
    X(optimizer.name, CHOICE, "adamw", 0, 0, "sgd|adamw", SAME, "how weights follow gradients")                                  \
    X(optimizer.lr, DOUBLE, "4e-4", 0, 100, "", SAME, "learning rate after the warm-up")                                         \
    X(optimizer.momentum, DOUBLE, "0.9", 0, 0.9999, "", SAME, "momentum of sgd, beta1 of adamw")                                 \
    X(optimizer.beta2, DOUBLE, "0.999", 0, 0.999999, "", SAME, "adamw: decay of the second moment")                              \
    X(optimizer.eps, DOUBLE, "1e-8", 1e-20, 1, "", SAME, "adamw: added to the root of the second moment")                        \
    X(optimizer.weight_decay, DOUBLE, "0", 0, 1, "", SAME, "sgd: L2; adamw: decoupled")                                          \
    X(optimizer.clip_norm, DOUBLE, "0", 0, 1e9, "", SAME, "greatest global norm of the gradient; 0: no clipping")                \
    X(optimizer.warmup_steps, INT, "200", 0, 1e9, "", SAME, "steps over which the rate rises from 0")                            \
    X(optimizer.schedule, CHOICE, "cosine", 0, 0, "constant|step|cosine", SAME, "course of the rate after the warm-up")          \
    X(optimizer.step_epochs, INT, "50", 1, 1e6, "", SAME, "schedule step: every so many epochs ...")                             \
    X(optimizer.step_gamma, DOUBLE, "0.9", 1e-6, 1, "", SAME, "... the rate is multiplied by this")                              \
    X(optimizer.final_lr, DOUBLE, "0", 0, 1, "", SAME, "schedule cosine: ends at this share of lr")                              \
    X(optimizer.continuous_head_lr, DOUBLE, "0.1", 0, 100, "", SAME, "factor on lr for the continuous head")                     \
    X(optimizer.continuous_head_bias_from_data, BOOL, "true", 0, 0, "", SAME, "its bias starts at the logit of the mean label")  \
    X(train.stage, CHOICE, "encoder", 0, 0, "decoder|encoder", SAME, "what is trained; the decoder comes first")                 \
    X(train.global_batch, INT, "32", 1, 1048576, "", SAME, "samples of a step over all ranks")                                   \
    X(train.micro_batch, INT, "16", 1, 65536, "auto", DIGITS, "samples of a rank and pass; auto: as many as memory allows")      \
    X(train.epochs, INT, "0", 0, 1e9, "", LENGTH, "passes over the data; 0: steps counts")                                       \
    X(train.steps, INT64, "0", 0, LK_KEY_WHOLE, "", LENGTH, "steps; 0: epochs counts")                                           \
    X(train.max_minutes, DOUBLE, "0", 0, 1e9, "", ANY, "then save and exit 75; 0: no limit")                                     \
    X(train.precision, CHOICE, "bf16", 0, 0, "f32|bf16", SAME, "what is computed in; weights are kept in f32")                   \
    X(train.device, CHOICE, "auto", 0, 0, "auto|cpu|cuda", DIGITS, "where; auto: cuda if there is one")                          \
    X(train.tf32, BOOL, "true", 0, 0, "", DIGITS, "cuda, f32: products with 10 bits behind the point, as PyTorch's")             \
    X(train.cudnn_benchmark, BOOL, "false", 0, 0, "", DIGITS,                                                                    \
      "cuda: the fastest convolutions by trial; digits vary from run to run")                                                    \
    X(train.cudnn_fuse, BOOL, "false", 0, 0, "", DIGITS, "cuda: bias and ReLU within cuDNN's convolutions; digits may vary")     \
    X(train.threads, INT, "auto", 1, 4096, "auto", DIGITS, "computing threads of a rank; auto: its share of the cores")          \
    X(train.kernels, CHOICE, "auto", 0, 0, "auto|ours|torch", DIGITS,                                                            \
      "convolutions, norms; auto: ours, or what a run began with")                                                               \
    X(train.shuffle, BOOL, "true", 0, 0, "", SAME, "false: samples in the order of the shards")                                  \
    X(train.reproducible, BOOL, "false", 0, 0, "", SAME, "the same digits on 1, 2, 4 ... ranks")                                 \
    X(train.converge.patience, INT, "5", 0, 1e6, "", ANY, "validations without a better F before the end; 0: never")             \
    X(train.converge.min_delta, DOUBLE, "1e-4", 0, 1e6, "", ANY, "what counts as better")                                        \
    X(train.nonfinite, CHOICE, "stop", 0, 0, "stop|skip", ANY, "a loss, gradient or validation that is not finite")              \
    X(train.max_skips, INT, "10", 1, 1e9, "", ANY, "nonfinite skip: stop after so many")                                         \
    X(validate.every_epochs, INT, "1", 0, 1e6, "", ANY, "epochs between validations; 0: at the end only")                        \
    X(validate.samples, INT, "16", 0, 1024, "", ANY, "faces in the sample pictures; 0: none")                                    \
    X(checkpoint.every_steps, INT64, "200", 0, LK_KEY_WHOLE, "", ANY, "steps between checkpoints; 0: not by steps")              \
    X(checkpoint.every_minutes, DOUBLE, "0", 0, 1e9, "", ANY, "minutes between checkpoints; 0: not by time")                     \
    X(checkpoint.keep, INT, "3", 1, 1e6, "", ANY, "newest checkpoints that stay")                                                \
    X(checkpoint.keep_every, INT64, "0", 0, LK_KEY_WHOLE, "", ANY, "steps between checkpoints that stay for good; 0: none")      \
    X(collectives.bucket_mb, DOUBLE, "25", 0.001, 4096, "", DIGITS, "megabytes of gradients exchanged at a time")                \
    X(collectives.reducer, CHOICE, "auto", 0, 0, "auto|nccl", ANY, "nccl: sums on one GPU too, to measure what that costs")      \
    X(collectives.dtype, CHOICE, "f32", 0, 0, "f32|bf16", SAME, "what gradients travel as between ranks")                        \
    X(stall.warn_s, DOUBLE, "30", 0.1, 1e6, "", ANY, "seconds without progress before a warning names the ranks")                \
    X(stall.abort_s, DOUBLE, "300", 0.2, 1e7, "", ANY, "seconds without progress before the job ends with 75")                   \
    X(stall.interface, TEXT, "any", 0, 0, "", ANY, "network interface by which ranks reach rank 0, such as ib0")

typedef enum lk_key_type {
    LK_KEY_INT,
    LK_KEY_INT64,
    LK_KEY_DOUBLE,
    LK_KEY_BOOL,
    LK_KEY_CHOICE, /* an enum of config.h */
    LK_KEY_TEXT,   /* char[LK_CONFIG_TEXT] */
    LK_KEY_LIST,   /* lk_paths */
    LK_KEY_SHARED  /* lk_shared_paths */
} lk_key_type;

typedef enum lk_key_resume {
    LK_RESUME_SAME,   /* a resumed run must keep the value */
    LK_RESUME_ANY,    /* may change: the losses stay what they would have been */
    LK_RESUME_DIGITS, /* may change, since only rounding depends on it, unless the run is reproducible */
    LK_RESUME_LENGTH  /* may change unless the schedule is spread over the length of the run (cosine) */
} lk_key_resume;

typedef struct lk_key {
    const char *path;
    lk_key_type type;
    size_t offset; /* in lk_config */
    const char *default_text;
    double min, max;
    const char *choices;
    lk_key_resume on_resume;
    const char *meaning;
} lk_key;

#define LK_KEY_PLUS_ONE(...) +1
enum { LK_KEY_COUNT = LK_KEY_TABLE(LK_KEY_PLUS_ONE) };

extern const lk_key lk_keys[LK_KEY_COUNT];

/* Index in lk_keys, -1 if there is none of that path. */
int lk_key_find(const char *path);
/* Whether keys stand below `path`, as below "model.encoder". */
bool lk_key_is_section(const char *path);
/* The known key or section that looks most like `path`; NULL if nothing comes near. Caller frees. */
char *lk_key_nearest(const char *path);

/* Numbers are read and written in the C locale only while this is in force: other locales write 0,5. */
typedef struct lk_plain_numbers {
    locale_t plain, users;
} lk_plain_numbers;
lk_status lk_plain_numbers_begin(lk_plain_numbers *numbers);
void lk_plain_numbers_end(lk_plain_numbers *numbers);

/* Reads the node's value into its member of `config`. The error is "'x' is not ...; allowed: ...", without a place. */
lk_status lk_key_assign(const lk_key *key, const lk_yaml_node *node, lk_config *config);
/* Reads a value out of YAML text; `origin` names it in errors of YAML itself. */
lk_status lk_key_assign_text(const lk_key *key, const char *text, const char *origin, lk_config *config);

bool lk_key_equal(const lk_key *key, const lk_config *a, const lk_config *b);

enum { LK_KEY_VALUE = 512 };
/* A scalar's value as text that reads back to the same value; of LIST and SHARED, item `index`. */
const char *lk_key_format(const lk_key *key, const lk_config *config, int index, char out[LK_KEY_VALUE]);
/* The share of item `index` of SHARED; 0: none, or another type. */
double lk_key_share(const lk_key *key, const lk_config *config, int index);
/* How many lk_key_format can give: 1 but for LIST and SHARED. */
int lk_key_items(const lk_key *key, const lk_config *config);

#endif
