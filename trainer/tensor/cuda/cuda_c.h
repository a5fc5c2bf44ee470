/* What the sources of our CUDA kernels are written in: the part of C that both NVRTC, which takes C++ for the GPU, and a C11
 * compiler take. So tests run the same lines on the CPU, where tests/unit/cuda_on_cpu.h stands for what is defined here.
 *
 * A kernel takes one argument, a struct of jobs.h:
 *
 *     LK_KERNEL(scale, lk_flat_job)
 *     {
 *         LK_EACH(i, job.count)
 *             ((float *)job.out)[i] *= job.factor;
 *     }
 *
 * Products and sums are not fused (module.c compiles with --fmad=false), so that the digits are those that the tests saw. Sums
 * over many numbers are taken in an order that depends on the sizes alone: each thread its own, the threads of a block in a
 * tree, the blocks one after the other. No atomics: a run repeats itself digit for digit.
 */
#ifdef __CUDACC_RTC__
#define LK_KERNEL(name, job_type) extern "C" __global__ void __launch_bounds__(LK_CUDA_THREADS) name(const job_type job)
#define LK_DEVICE static __device__ inline
#define LK_ALIGNED(bytes) __align__(bytes)

/* What is loaded and stored at once. */
typedef uint4 lk_bytes16;
typedef uint2 lk_bytes8;
typedef unsigned lk_bytes4;
typedef unsigned short lk_bytes2;
typedef unsigned char lk_bytes1;

/* bfloat16: the upper half of a float32. */
LK_DEVICE float lk_widen(unsigned short bits)
{
    return __uint_as_float((unsigned)bits << 16);
}
/* To nearest even, by the GPU's own instruction. */
LK_DEVICE unsigned short lk_narrow(float value)
{
    unsigned short bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    return bits;
}
#endif

/* *to = *from by one load and one store of lk_bytes16 or a smaller one; both addresses are multiples of its size. A struct's
 * members would be moved one by one. */
#define LK_MOVE(bytes, to, from) (*(bytes *)(to) = *(const bytes *)(from))

/* i from this thread's place in steps of all threads, for grids of one dimension. */
#define LK_EACH(i, count)                                                                                                        \
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < (count); i += (long long)gridDim.x * blockDim.x)
