#include "launch/command/version.h"

#include "base/version.h"
#include "collectives/group.h"
#include "dataset/shard.h"
#include "trainer/device.h"

#include <cpuid.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* The tile unit, and the kernel keeps its registers: bits 17 and 18 of XCR0. */
static bool has_amx(void)
{
    unsigned a, b, c, d;
    uint32_t low = 0, high = 0;
    enum { OSXSAVE = 1 << 27, AMX_TILE = 1 << 24, TILE_STATE = 3 << 17 };
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & AMX_TILE))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILE_STATE) == TILE_STATE;
}

static void print_cpu(void)
{
    const struct {
        const char *name;
        bool there;
    } features[] = {{"avx2", __builtin_cpu_supports("avx2")},
                    {"fma", __builtin_cpu_supports("fma")},
                    {"avx512f", __builtin_cpu_supports("avx512f")},
                    {"avx512_bf16", __builtin_cpu_supports("avx512bf16")},
                    {"amx", has_amx()}};
    fputs("CPU:", stdout);
    for (int there = 1; there >= 0; there--)
        for (size_t i = 0; i < sizeof features / sizeof *features; i++)
            if (features[i].there == there)
                printf(" %s%s", there ? "" : "no ", features[i].name);
    putchar('\n');
}

/* As a training of one rank with train.device auto would have it. */
static void print_cuda(void)
{
    static const lk_cuda_settings plain = {.deterministic = true};
    char told[LK_DEVICE_TOLD];
    lk_choose_device(LK_ON_AUTO, NULL, &plain, told);
    if (lk_tensor_on_host())
        printf("CUDA: none%s\n", told + strcspn(told, " ")); /* why */
    else
        printf("CUDA: %s\n", told);
}

void lk_print_version(void)
{
    char mpi[256], tensors[64], shards[64];
    lk_group_library(mpi, sizeof mpi);
    lk_tensor_library(tensors, sizeof tensors);
    lk_shard_library(shards, sizeof shards);
    printf("%s\n%s\n%s\n%s\n", lk_program(), tensors, mpi, shards);
    print_cpu();
    print_cuda();
}
