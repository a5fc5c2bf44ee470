#include "trainer/tensor/cuda/compile.h"

#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SOURCES = 32, MAX_ARCHS = 64 };

/* Beside the target. Products and sums stay apart, as on the CPU where the tests ran them. */
static const char *const options[] = {"--std=c++17", "--fmad=false"};
enum { OPTIONS = sizeof options / sizeof *options };

static lk_status fail(int code, const char *call)
{
    return lk_fail(LK_INTERNAL, "NVRTC: %s failed with code %d; make deps CUDA=1 installs the version that belongs here", call,
                   code);
}

lk_status lk_cuda_target_choose(const lk_nvrtc *nvrtc, int capability, lk_cuda_target *out)
{
    int code, major, minor, count, archs[MAX_ARCHS], best = 0;
    if (capability < LK_CUDA_OLDEST)
        return lk_fail(LK_BAD_CONFIG,
                       "the GPU's compute capability is %d.%d, and likeness needs %d.%d or higher; take another GPU or the CPU "
                       "(train.device: cpu)",
                       capability / 10, capability % 10, LK_CUDA_OLDEST / 10, LK_CUDA_OLDEST % 10);
    if ((code = nvrtc->version(&major, &minor)) != 0)
        return fail(code, "nvrtcVersion");
    if ((code = nvrtc->arch_count(&count)) != 0 || count > MAX_ARCHS || (code = nvrtc->archs(archs)) != 0)
        return fail(code, "nvrtcGetSupportedArchs");
    for (int i = 0; i < count; i++)
        if (archs[i] <= capability && archs[i] > best)
            best = archs[i];
    if (best < LK_CUDA_OLDEST)
        return lk_fail(LK_INTERNAL,
                       "NVRTC %d.%d cannot compile for compute capability %d.%d; make deps CUDA=1 installs one that can", major,
                       minor, capability / 10, capability % 10);
    *out = (lk_cuda_target){.capability = capability, .nvrtc = 1000 * major + minor, .ptx = best != capability};
    snprintf(out->name, sizeof out->name, "%s_%d", out->ptx ? "compute" : "sm", best);
    return LK_OK;
}

/* The first line of the compiler's log that tells of an error. */
static lk_status fail_log(const lk_nvrtc *nvrtc, void *program, const lk_cuda_target *target)
{
    size_t size = 0;
    char *log = nvrtc->log_size(program, &size) == 0 ? calloc(size + 1, 1) : NULL;
    const char *first = "";
    if (log && nvrtc->log(program, log) == 0) {
        first = strstr(log, "error");
        while (first && first > log && first[-1] != '\n')
            first--;
        first = first ? first : log;
    }
    int length = (int)strcspn(first, "\n");
    lk_status status = lk_fail(LK_INTERNAL, "our CUDA kernels do not compile for %s with NVRTC %d.%d: %.*s", target->name,
                               target->nvrtc / 1000, target->nvrtc % 1000, length, first);
    free(log);
    return status;
}

static lk_status take_image(const lk_nvrtc *nvrtc, void *program, bool ptx, void **image, size_t *size)
{
    int code = ptx ? nvrtc->ptx_size(program, size) : nvrtc->cubin_size(program, size);
    if (code != 0 || *size == 0)
        return fail(code, ptx ? "nvrtcGetPTXSize" : "nvrtcGetCUBINSize");
    if (!(*image = malloc(*size)))
        return lk_fail(LK_INTERNAL, "out of memory for %zu bytes of CUDA kernels", *size);
    code = ptx ? nvrtc->ptx(program, *image) : nvrtc->cubin(program, *image);
    if (code == 0)
        return LK_OK;
    free(*image);
    *image = NULL;
    return fail(code, ptx ? "nvrtcGetPTX" : "nvrtcGetCUBIN");
}

lk_status lk_cuda_compile(const lk_nvrtc *nvrtc, const lk_cuda_target *target, const lk_cuda_source *sources, void **image,
                          size_t *size)
{
    const char *texts[MAX_SOURCES], *names[MAX_SOURCES], *all_options[OPTIONS + 1];
    char architecture[LK_CUDA_TARGET_SIZE + 24];
    int headers = 0;
    for (int i = 1; sources[i].name && headers < MAX_SOURCES; i++, headers++) {
        texts[headers] = sources[i].text;
        names[headers] = sources[i].name;
    }
    snprintf(architecture, sizeof architecture, "--gpu-architecture=%s", target->name);
    all_options[0] = architecture;
    memcpy(all_options + 1, options, sizeof options);

    *image = NULL;
    void *program = NULL;
    int code = nvrtc->create(&program, sources[0].text, sources[0].name, headers, texts, names);
    if (code != 0)
        return fail(code, "nvrtcCreateProgram");
    lk_status status = nvrtc->compile(program, OPTIONS + 1, all_options) == 0
                           ? take_image(nvrtc, program, target->ptx, image, size)
                           : fail_log(nvrtc, program, target);
    nvrtc->destroy(&program);
    return status;
}

void lk_cuda_image_name(const lk_cuda_target *target, const lk_cuda_source *sources, char out[LK_CUDA_IMAGE_NAME])
{
    lk_piece pieces[2 * MAX_SOURCES + OPTIONS];
    int count = 0;
    for (int i = 0; i < OPTIONS; i++)
        pieces[count++] = (lk_piece){options[i], strlen(options[i]) + 1};
    for (int i = 0; sources[i].name && i < MAX_SOURCES; i++) {
        pieces[count++] = (lk_piece){sources[i].name, strlen(sources[i].name) + 1};
        pieces[count++] = (lk_piece){sources[i].text, strlen(sources[i].text) + 1};
    }
    char hex[LK_HEX_SIZE];
    lk_hash_hex(lk_hash_pieces(pieces, count), hex);
    snprintf(out, LK_CUDA_IMAGE_NAME, "kernels-%s-nvrtc%d.%d-%s", target->name, target->nvrtc / 1000, target->nvrtc % 1000, hex);
}
