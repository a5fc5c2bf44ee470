#include "trainer/device.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lk_status agree(lk_process_group *group, lk_status status)
{
    return group ? lk_group_agree(group, status) : status;
}

/* Whether any rank says so. */
static bool any(lk_process_group *group, bool mine)
{
    int64_t one = mine;
    if (group)
        lk_group_max_i64(group, &one, 1);
    return one != 0;
}

static lk_status open_own(const lk_process_group *group, lk_device **out)
{
    int count = 0;
    *out = NULL;
    LK_TRY(lk_tensor_find_cuda());
    LK_TRY(lk_device_count(LK_DEVICE_CUDA, &count));
    return lk_device_open(LK_DEVICE_CUDA, group ? group->local_rank % count : 0, out);
}

/* A GPU has one rank: NCCL refuses two, and they would halve its memory and speed. */
static lk_status require_own(lk_process_group *group, const lk_device *device)
{
    if (!group || group->size == 1)
        return LK_OK;
    unsigned char *all = calloc((size_t)group->size, LK_DEVICE_IDENTITY);
    if (!all)
        lk_group_abort(group, lk_exit_code(lk_fail(LK_INTERNAL, "out of memory")));
    lk_group_gather(group, lk_device_identity(device), LK_DEVICE_IDENTITY, all);
    int first = 0, second = 0;
    for (int b = 1; b < group->size && second == 0; b++)
        for (int a = 0; a < b && second == 0; a++)
            if (memcmp(all + (size_t)a * LK_DEVICE_IDENTITY, all + (size_t)b * LK_DEVICE_IDENTITY, LK_DEVICE_IDENTITY) == 0) {
                first = a;
                second = b;
            }
    free(all);
    if (second > 0)
        return lk_fail(LK_BAD_CONFIG, "there are more ranks than GPUs: ranks %d and %d have the same one (%s)", first, second,
                       lk_device_name(device));
    return LK_OK;
}

/* The CPU after all; the sentence of the last failure is why. */
static lk_status fall_back(bool mine, char told[LK_DEVICE_TOLD])
{
    snprintf(told, LK_DEVICE_TOLD, "cpu (%s)", mine ? lk_error_text() : "another rank has no GPU of its own");
    return LK_OK;
}

lk_status lk_choose_device(lk_device_choice choice, lk_process_group *group, const lk_cuda_settings *settings,
                           char told[LK_DEVICE_TOLD])
{
    lk_device *device = NULL;
    snprintf(told, LK_DEVICE_TOLD, "cpu");
    if (choice == LK_ON_CPU)
        return LK_OK;
    lk_status status = open_own(group, &device);
    if (any(group, status != LK_OK)) {
        bool mine = status != LK_OK;
        lk_device_close(device);
        return choice == LK_ON_AUTO
                   ? fall_back(mine, told)
                   : agree(group, mine ? lk_fail_in(status, group ? "train.device cuda" : "--device cuda") : LK_OK);
    }
    status = require_own(group, device);
    if (status != LK_OK) { /* of all ranks alike */
        lk_device_close(device);
        if (choice == LK_ON_AUTO)
            return fall_back(true, told);
        return lk_fail_in(status, group ? "train.device cuda" : "--device cuda");
    }
    snprintf(told, LK_DEVICE_TOLD, "%s", lk_device_name(device));
    status = lk_tensor_use_cuda(device, settings);
    if (choice == LK_ON_CUDA)
        return agree(group, status);
    bool mine = status != LK_OK;
    if (any(group, mine)) {
        fall_back(mine, told);
        if (!mine)
            lk_tensor_leave_cuda();
    }
    return LK_OK;
}

lk_status lk_choose_device_alone(lk_device_choice choice)
{
    static const lk_cuda_settings exact = {.deterministic = true};
    char told[LK_DEVICE_TOLD];
    if (!lk_tensor_on_host())
        return LK_OK;
    LK_TRY(lk_choose_device(choice, NULL, &exact, told));
    if (choice != LK_ON_CPU)
        lk_info("computes on %s", told);
    return LK_OK;
}
