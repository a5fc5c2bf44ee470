/* CUDA C on the CPU: what trainer/tensor/cuda/cuda_c.h defines for a GPU, and a launch that runs a kernel's threads one at a
 * time, as fibers (ucontext) that change places at __syncthreads(). It shows what a kernel computes and where it reads and writes
 * (AddressSanitizer sees each access), not how fast it is, nor what a GPU makes of races: but a thread that takes what another
 * has not yet written takes something else when the threads run in the opposite order, and a barrier that not all threads of a
 * block reach is refused. Include before kernels.cu. */
#ifndef LK_TESTS_UNIT_CUDA_ON_CPU_H
#define LK_TESTS_UNIT_CUDA_ON_CPU_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#if !defined(__SANITIZE_ADDRESS__) && defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#endif

/* ---- the language ---- */

#define __shared__ static
#define LK_DEVICE static inline
#define LK_ALIGNED(bytes) __attribute__((aligned(bytes)))
#define LK_KERNEL(name, job_type) CUDA_KERNEL(name, job_type)
#define CUDA_KERNEL(name, job_type)                                                                                              \
    static void name##_body(const job_type job);                                                                                 \
    static void name(const void *job)                                                                                            \
    {                                                                                                                            \
        name##_body(*(const job_type *)job);                                                                                     \
    }                                                                                                                            \
    static void name##_body(const job_type job)

#define CUDA_BYTES(size)                                                                                                         \
    typedef struct lk_bytes##size {                                                                                              \
        unsigned char v[size];                                                                                                   \
    } __attribute__((aligned(size), may_alias)) lk_bytes##size
CUDA_BYTES(16);
CUDA_BYTES(8);
CUDA_BYTES(4);
CUDA_BYTES(2);
CUDA_BYTES(1);

static inline float lk_widen(unsigned short bits)
{
    unsigned wide = (unsigned)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}
/* cvt.rn.bf16.f32 of the PTX manual: to nearest even, every NaN is 0x7fff. */
static inline unsigned short lk_narrow(float value)
{
    unsigned bits;
    memcpy(&bits, &value, sizeof bits);
    return value != value ? 0x7fff : (unsigned short)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

/* ---- threads ---- */

typedef struct cuda_dim {
    unsigned x, y, z;
} cuda_dim;
static cuda_dim threadIdx, blockIdx, blockDim, gridDim;

enum { CUDA_MOST_THREADS = 256, CUDA_STACK = 64 << 10 };

typedef enum fiber_state { FIBER_READY, FIBER_AT_BARRIER, FIBER_DONE } fiber_state;
typedef struct fiber {
    ucontext_t context;
    fiber_state state;
    void *fake_stack; /* AddressSanitizer's */
    void *tsan;
} fiber;

static struct {
    fiber fibers[CUDA_MOST_THREADS];
    char *stacks;
    int running;
    ucontext_t scheduler;
    void *fake_stack, *tsan;
    const void *bottom; /* of the scheduler's stack */
    size_t size;
    void (*kernel)(const void *job);
    const void *job;
    bool backwards; /* the last thread and block first */
} cuda;

static void to_fiber(int i)
{
    fiber *f = &cuda.fibers[i];
    cuda.running = i;
    threadIdx.x = (unsigned)i % blockDim.x;
    threadIdx.y = (unsigned)i / blockDim.x;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(&cuda.fake_stack, cuda.stacks + (size_t)i * CUDA_STACK, CUDA_STACK);
#endif
#ifdef __SANITIZE_THREAD__
    cuda.tsan = __tsan_get_current_fiber();
    f->tsan = f->tsan ? f->tsan : __tsan_create_fiber(0);
    __tsan_switch_to_fiber(f->tsan, 0);
#endif
    swapcontext(&cuda.scheduler, &f->context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(cuda.fake_stack, NULL, NULL);
#endif
}

static void to_scheduler(fiber_state state)
{
    fiber *f = &cuda.fibers[cuda.running];
    f->state = state;
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(state == FIBER_DONE ? NULL : &f->fake_stack, cuda.bottom, cuda.size);
#endif
#ifdef __SANITIZE_THREAD__
    __tsan_switch_to_fiber(cuda.tsan, 0);
#endif
    swapcontext(&f->context, &cuda.scheduler);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(f->fake_stack, &cuda.bottom, &cuda.size);
#endif
}

static inline void __syncthreads(void)
{
    to_scheduler(FIBER_AT_BARRIER);
}

static void fiber_main(void)
{
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(NULL, &cuda.bottom, &cuda.size);
#endif
    cuda.kernel(cuda.job);
    to_scheduler(FIBER_DONE);
}

static void make_fiber(int i)
{
    ucontext_t *context = &cuda.fibers[i].context;
    getcontext(context);
    context->uc_stack.ss_sp = cuda.stacks + (size_t)i * CUDA_STACK;
    context->uc_stack.ss_size = CUDA_STACK;
    context->uc_link = NULL;
    makecontext(context, fiber_main, 0);
}

/* False: some threads of the block ended while others wait for them. */
static bool run_block(int threads)
{
    for (int i = 0; i < threads; i++)
        make_fiber(i);
    for (;;) {
        int waiting = 0;
        for (int k = 0; k < threads; k++) {
            int i = cuda.backwards ? threads - 1 - k : k;
            to_fiber(i);
            waiting += cuda.fibers[i].state == FIBER_AT_BARRIER;
        }
        if (waiting == 0)
            return true;
        if (waiting < threads)
            return false;
    }
}

/* True: done. Blocks one after the other. */
static bool cuda_run(void (*kernel)(const void *job), const void *job, cuda_dim grid, cuda_dim block)
{
    int threads = (int)(block.x * block.y);
    unsigned blocks = grid.x * grid.y * grid.z;
    if (threads < 1 || threads > CUDA_MOST_THREADS || block.z != 1 || blocks < 1 || grid.y > 65535 || grid.z > 65535)
        return false; /* no GPU would */
    if (!cuda.stacks && !(cuda.stacks = malloc((size_t)CUDA_MOST_THREADS * CUDA_STACK)))
        return false;
    cuda.kernel = kernel;
    cuda.job = job;
    gridDim = grid;
    blockDim = block;
    for (unsigned k = 0; k < blocks; k++) {
        unsigned b = cuda.backwards ? blocks - 1 - k : k;
        blockIdx = (cuda_dim){b % grid.x, b / grid.x % grid.y, b / grid.x / grid.y};
        if (!run_block(threads)) {
            fprintf(stderr, "a barrier that only a part of the block's threads reached\n");
            return false;
        }
    }
    return true;
}

#endif
