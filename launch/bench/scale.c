#include "launch/bench/scale.h"

#include <math.h>
#include <stdbool.h>

/* The encoder's layers in forward order: VGG19, three residual blocks, the heads. */
enum { CONVOLUTIONS = 16, RESIDUALS = 6, LAYERS = CONVOLUTIONS + RESIDUALS + 1 };
static const struct {
    int channels;
    bool pool;
} vgg19[CONVOLUTIONS] = {{64, false},  {64, true},   {128, false}, {128, true},  {256, false}, {256, false},
                         {256, false}, {256, true},  {512, false}, {512, false}, {512, false}, {512, true},
                         {512, false}, {512, false}, {512, false}, {512, true}};

typedef struct layer {
    double gradients, work; /* work: multiplications of its backward, relative to the other layers' */
} layer;

static layer convolution(double in, double out, double edge)
{
    return (layer){9 * in * out + out, 9 * in * out * edge * edge};
}

static void shape(const lk_scale_plan *plan, layer layers[LAYERS])
{
    double channels = 3, edge = plan->size;
    int n = 0;
    for (int i = 0; i < CONVOLUTIONS; i++) {
        double out = floor(vgg19[i].channels * plan->width);
        layers[n++] = convolution(channels, out, edge);
        channels = out;
        edge = vgg19[i].pool ? edge / 2 : edge;
    }
    for (int i = 0; i < RESIDUALS; i++)
        layers[n++] = convolution(channels, channels, edge);
    double flat = channels * edge * edge;
    layers[n] = (layer){(flat + 1) * plan->outputs, flat * plan->outputs};
}

double lk_scale_gradient_count(const lk_scale_plan *plan)
{
    layer layers[LAYERS];
    double sum = 0;
    shape(plan, layers);
    for (int i = 0; i < LAYERS; i++)
        sum += layers[i].gradients;
    return sum;
}

/* ---- the exchange ---- */

double lk_scale_ring(double bytes, int n, double latency, double bandwidth)
{
    return n < 2 ? 0 : 2 * (n - 1) * latency + 2.0 * (n - 1) / n * bytes / bandwidth;
}

typedef struct network {
    int gpus, nodes;
    double latency, bandwidth; /* of the slowest hop, s and bytes/s */
    double tree_latency;
} network;

static network network_of(const lk_scale_plan *plan, int gpus, double gbit)
{
    int node = gpus < plan->node ? gpus : plan->node;
    network net = {.gpus = gpus, .nodes = (gpus + plan->node - 1) / plan->node};
    double near = 1e9 * plan->near_gb, far = 1e9 / 8 * gbit * plan->adapters * plan->used;
    net.latency = 1e-6 * plan->near_us;
    net.bandwidth = near;
    if (net.nodes > 1) {
        net.latency = 1e-6 * plan->far_us;
        net.bandwidth = far < near ? far : near;
    }
    net.tree_latency = 2e-6 * (log2(net.nodes) * plan->far_us + (node - 1) * plan->near_us);
    return net;
}

static double sum_seconds(const network *net, double bytes)
{
    double ring = lk_scale_ring(bytes, net->gpus, net->latency, net->bandwidth);
    double tree = net->tree_latency + 2 * bytes / net->bandwidth;
    return net->gpus < 2 ? 0 : ring < tree ? ring : tree;
}

/* Seconds from the start of backward until the last bucket is summed. */
static double exchange_seconds(const lk_scale_plan *plan, const network *net, double backward)
{
    layer layers[LAYERS];
    double all = 0, done = 0, filled = 0, ready = 0, end = 0;
    double room = plan->bucket_mb * 1024 * 1024 / sizeof(float);
    shape(plan, layers);
    for (int i = 0; i < LAYERS; i++)
        all += layers[i].work;
    for (int i = LAYERS - 1; i >= 0; i--) {
        if (filled > 0 && filled + layers[i].gradients > room) {
            end = fmax(end, ready) + sum_seconds(net, filled * plan->bytes);
            filled = 0;
        }
        done += layers[i].work;
        filled += layers[i].gradients;
        ready = backward * done / all;
    }
    return fmax(end, ready) + sum_seconds(net, filled * plan->bytes);
}

/* ---- the step ---- */

/* The mean of the greatest of n normal numbers, in standard deviations, is at most this. */
static double slowest_of(int n)
{
    return n < 2 ? 0 : sqrt(2 * log(n));
}

static double step_seconds(const lk_scale_plan *plan, int gpus, double gbit, double *exposed)
{
    network net = network_of(plan, gpus, gbit);
    double forward = 1e-3 * plan->forward_ms, backward = 1e-3 * plan->backward_ms, update = 1e-3 * plan->update_ms;
    *exposed = net.gpus < 2 ? 0 : fmax(0, exchange_seconds(plan, &net, backward) - backward);
    int of_node = gpus < plan->node ? gpus : plan->node;
    double loading = plan->loader > 0 ? (double)plan->batch * of_node / plan->loader : 0;
    double step = fmax(forward + backward + *exposed, loading) + update;
    step += slowest_of(gpus) * plan->jitter * (forward + backward + update);
    step += gpus > 1 ? ceil(log2(gpus)) * 1e-6 * plan->agree_us : 0;
    return plan->checkpoint_s > 0 ? step * (1 + 1e-3 * plan->checkpoint_ms / plan->checkpoint_s) : step;
}

lk_status lk_scale_predict(const lk_scale_plan *plan, int gpus, double gbit, lk_scale_step *out)
{
    if (gpus < 1 || plan->node < 1 || plan->batch < 1 || !(gbit > 0) || !(plan->near_gb > 0) || plan->adapters < 1 ||
        !(plan->used > 0) || !(plan->forward_ms + plan->backward_ms > 0))
        return lk_fail(LK_USAGE, "bench scale: GPUs, batch, times and rates must be above 0");
    double exposed, unused;
    double alone = step_seconds(plan, 1, gbit, &unused);
    double step = step_seconds(plan, gpus, gbit, &exposed);
    *out = (lk_scale_step){.step_ms = 1e3 * step,
                           .exposed_ms = 1e3 * exposed,
                           .samples_per_s = (double)plan->batch * gpus / step,
                           .efficiency = alone / step};
    return LK_OK;
}
