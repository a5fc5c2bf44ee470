#include "launch/command/bench_scale.h"

#include <stdio.h>

/* What is assumed stands above the numbers, all of it. */
static void print_assumptions(const lk_scale_values *v)
{
    const lk_scale_plan *p = &v->plan;
    double gradients = lk_scale_gradient_count(p);
    printf(
        "scale        a model, nothing was run; each number is an option (likeness bench --help)\n"
        "             of one GPU, measured: %d samples, forward %g ms, backward %g ms, update %g ms\n"
        "             exchanged: %.1f million gradients of %d bytes, in buckets of %g MB, beside backward\n"
        "             assumed within a node of %d: %g GB/s, %g us a hop\n"
        "             assumed between nodes: %d adapters a node, of whose rate %g %% is used, %g us a hop\n"
        "             assumed besides: %g us a round of agreement, steps that vary by %g %%, checkpoints of %g ms every %g s\n",
        p->batch, p->forward_ms, p->backward_ms, p->update_ms, 1e-6 * gradients, p->bytes, p->bucket_mb, p->node, p->near_gb,
        p->near_us, p->adapters, 100 * p->used, p->far_us, p->agree_us, 100 * p->jitter, p->checkpoint_ms, p->checkpoint_s);
    if (p->loader > 0)
        printf("             assumed of loading: %g samples/s a node\n", p->loader);
    else
        printf("             assumed of loading: as fast as it must be\n");
}

lk_status lk_scale_print(const lk_scale_values *v)
{
    const double rates[2] = {v->gbit, v->faster};
    print_assumptions(v);
    printf("             %6s %7s", "GPUs", "nodes");
    for (int r = 0; r < 2; r++)
        printf("   %7g Gbit/s: ms  exposed  samples/s  efficiency", rates[r]);
    putchar('\n');
    for (int gpus = 1; gpus <= v->gpus; gpus *= 2) {
        printf("             %6d %7d", gpus, (gpus + v->plan.node - 1) / v->plan.node);
        for (int r = 0; r < 2; r++) {
            lk_scale_step s;
            LK_TRY(lk_scale_predict(&v->plan, gpus, rates[r], &s));
            printf("   %18.2f %8.2f %10.0f %9.1f %%", s.step_ms, s.exposed_ms, s.samples_per_s, 100 * s.efficiency);
        }
        putchar('\n');
    }
    return LK_OK;
}

lk_status lk_scale_json(const lk_scale_values *v, json_t **out)
{
    const double rates[2] = {v->gbit, v->faster};
    *out = json_array();
    for (int gpus = 1; gpus <= v->gpus; gpus *= 2)
        for (int r = 0; r < 2; r++) {
            lk_scale_step s;
            LK_TRY(lk_scale_predict(&v->plan, gpus, rates[r], &s));
            json_array_append_new(*out, json_pack("{s:i, s:f, s:f, s:f, s:f, s:f}", "gpus", gpus, "gbit", rates[r], "step_ms",
                                                  s.step_ms, "comm_exposed_ms", s.exposed_ms, "samples_per_s", s.samples_per_s,
                                                  "efficiency", s.efficiency));
        }
    return LK_OK;
}
