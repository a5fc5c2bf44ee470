#include "collectives/nccl.h"

#include <dlfcn.h>
#include <stdbool.h>

static const char library_name[] = "libnccl.so.2";

lk_status lk_nccl_load(lk_nccl *out)
{
    void *library = dlopen(library_name, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return lk_fail(LK_INTERNAL, "sums over several GPUs need NCCL: %s; make deps CUDA=1 installs it", dlerror());
#define LOOK_UP(member, result, symbol, arguments)                                                                               \
    if (!(*(void **)&out->member = dlsym(library, #symbol)))                                                                     \
        return lk_fail(LK_INTERNAL, "%s has no %s; make deps CUDA=1 installs one that has", library_name, #symbol);
    LK_NCCL_FUNCTIONS(LOOK_UP)
#undef LOOK_UP
    return LK_OK;
}

/* ncclGetLastError tells of the last failure of the process, and "" of none. */
static lk_status fail(const lk_nccl *nccl, void *comm, lk_status status, int code, const char *call)
{
    const char *last = nccl->last_error(comm);
    return lk_fail(status, "NCCL: %s: %s%s%s", call, nccl->error_text(code), last && last[0] ? ": " : "", last ? last : "");
}

lk_status lk_nccl_check_open(const lk_nccl *nccl, int code, const char *call)
{
    if (code == 0)
        return LK_OK;
    bool wrong = code == LK_NCCL_INVALID_ARGUMENT || code == LK_NCCL_INVALID_USAGE;
    return fail(nccl, NULL, wrong ? LK_BAD_CONFIG : LK_INTERNAL, code, call);
}

lk_status lk_nccl_check(const lk_nccl *nccl, void *comm, int code, const char *call)
{
    return code == 0 || code == LK_NCCL_IN_PROGRESS ? LK_OK : fail(nccl, comm, LK_DEVICE_LOST, code, call);
}
