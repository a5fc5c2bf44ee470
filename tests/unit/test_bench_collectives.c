/* The exchange of gradients as `likeness bench collectives` measures it on a GPU, by NCCL on one rank: on stand-ins for NCCL and
 * the CUDA runtime (tests/stand_in/), so that its times say nothing. The latter is a part of this program, so that dlsym finds it
 * before the runtime that libtorch loads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "launch/bench/collectives.h"
#include "tests/stand_in/cudart.c"
#include "tests/unit/check.h"

#include <dlfcn.h>
#include <limits.h>

enum { MEGABYTE = 1 << 20 };

/* How many lines of the record begin so. */
static int recorded(const char *call)
{
    int count = 0;
    char *text = get_bytes("calls-0", NULL);
    for (char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        count += strncmp(line, call, strlen(call)) == 0;
    }
    free(text);
    return count;
}

static void one_rank_sums_by_nccl_where_it_is_asked_for(void **state)
{
    (void)state;
    lk_process_group group;
    lk_device *device;
    lk_exchange_speed speeds[2];
    int count = 0;
    assert_ok(lk_group_open(&group));
    assert_ok(lk_device_open(LK_DEVICE_CUDA, 0, &device));
    lk_exchange_plan plan = {
        .device = device, .bytes = 4 * MEGABYTE, .repeats = 3, .options = {.bucket_bytes = MEGABYTE, .alone = true}};
    assert_ok(lk_bench_collectives(&group, &plan, speeds, &count));
    assert_int_equal(count, 2);
    for (int i = 0; i < count; i++)
        assert_true(speeds[i].exchange_ms > 0 && speeds[i].together_ms > 0 && speeds[i].reproducible == (i == 1));
    /* 4 buckets of float32, in two of the four series, 3 times and once to warm up; a tree of one rank sends nothing */
    assert_int_equal(recorded("ncclAllReduce 262144 type 7 "), 4 * 2 * 4);
    assert_int_equal(recorded("ncclCommDestroy, 0 under way"), 2);
    plan.options.alone = false;
    assert_ok(lk_bench_collectives(&group, &plan, speeds, &count));
    assert_int_equal(count, 0);
    assert_int_equal(recorded("ncclCommInitRank"), 2);
    lk_device_close(device);
    lk_group_close(&group);
}

int main(void)
{
    char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 32);
    path[length > 0 ? length : 0] = '\0';
    char *name = strrchr(path, '/');
    if (!name)
        return 1;
    snprintf(name, 32, "/stand_in/libnccl.so.2");
    setenv("STAND_IN_RECORD", ".", 1);
    if (!dlopen(path, RTLD_NOW)) { /* which is then found by its name */
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_rank_sums_by_nccl_where_it_is_asked_for)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
