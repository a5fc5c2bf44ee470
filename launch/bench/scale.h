/* What a training step would take on many GPUs: a model made of parts that can be measured on few, for `likeness bench scale`.
 * It is arithmetic and nothing is run.
 *
 *     step = max(forward + backward and the exchange beside it, loading) + update + waiting for the slowest + agreement
 *            + checkpoints
 *
 * The exchange: the gradients of the encoder become ready along backward, each when its share of backward's arithmetic is done;
 * they fill buckets (collectives/buckets.h), which are summed one after the other, beside backward. A sum over n GPUs takes the
 * shorter of
 *
 *     ring    2 (n-1) a + 2 (n-1)/n bytes / b                     (Patarasuk and Yuan 2009; each byte passes each link twice)
 *     tree    2 (log2(nodes) a_far + (GPUs of a node - 1) a_near) + 2 bytes / b     (as NCCL has both)
 *
 * where a is the latency of the slowest hop and b the bandwidth of the narrowest: within a node that of its links (near), over
 * several that of the node's adapters together (far), or near if that is less.
 */
#ifndef LK_LAUNCH_BENCH_SCALE_H
#define LK_LAUNCH_BENCH_SCALE_H

#include "base/error.h"

#include <stddef.h>

typedef struct lk_scale_plan {
    /* Of one GPU, measured: */
    int batch; /* its samples of a step */
    double forward_ms, backward_ms, update_ms;
    /* What is exchanged: */
    int size; /* pictures; with width, the shape of the encoder: how many gradients there are, and when they are ready */
    double width;
    int outputs;      /* of the two heads together */
    int bytes;        /* of a gradient: 4, in bfloat16 2 */
    double bucket_mb; /* 2^20 bytes of float32, as collectives.bucket_mb */
    /* Networks: */
    int node;                /* GPUs of a node */
    double near_us, near_gb; /* latency of a hop within a node; bandwidth, 10^9 bytes/s, as a sum of large buckets sees it */
    double far_us;           /* latency of a hop between nodes */
    int adapters;            /* of a node, each with the rate asked about */
    double used;             /* the share of that rate that data get */
    /* All else: */
    double agree_us;      /* one round of the exchange of losses and stops, of which there are log2(ranks) */
    double jitter;        /* standard deviation of a GPU's step, as a share of it */
    double loader;        /* samples/s of a node; 0: no limit */
    double checkpoint_ms; /* training is held up so long ... */
    double checkpoint_s;  /* ... every so many seconds; 0: never */
} lk_scale_plan;

typedef struct lk_scale_step {
    double step_ms, exposed_ms; /* exposed: of the exchange, what backward does not hide */
    double samples_per_s;       /* of all GPUs */
    double efficiency;          /* of a GPU, against one alone */
} lk_scale_step;

/* Seconds for the sum of `bytes` over n GPUs in a ring of equal hops: `latency` s, `bandwidth` bytes/s. 0 for n = 1. */
double lk_scale_ring(double bytes, int n, double latency, double bandwidth);

/* How many gradients the plan's encoder has. */
double lk_scale_gradient_count(const lk_scale_plan *plan);

/* One step on `gpus` GPUs, nodes filled one after the other, with adapters of `gbit` Gbit/s. LK_USAGE: the plan is none. */
lk_status lk_scale_predict(const lk_scale_plan *plan, int gpus, double gbit, lk_scale_step *out);

#endif
