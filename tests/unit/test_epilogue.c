/* What follows a convolution in one pass, behind the blocks of whole models: gradients are those of libtorch's operators but for
 * rounding. The kernels are a GPU's, run on the CPU (cuda_standin.h); all else is the CPU's. cuDNN's fused convolution is
 * a stand-in, which libtorch's dispatcher calls under its name, as its schema has it. */
#include "base/random.h"
#include "trainer/model/decoder.h"
#include "trainer/model/encoder.h"
#include "trainer/tensor/device_kernels_cuda.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/check.h"
#include "tests/unit/cuda_standin.h"

enum { SIZE = 32, BATCH = 2, CONTINUOUS = 5, CHOICES = 4, INPUTS = CONTINUOUS + CHOICES };

static lk_device_kernels with_epilogue; /* the CPU's table and, of the GPU's, what follows a convolution */

static lk_tensor *random_tensor(int dims, const int64_t *sizes, uint64_t stream)
{
    size_t count = 1;
    for (int i = 0; i < dims; i++)
        count *= (size_t)sizes[i];
    lk_random random = lk_random_make(7, stream);
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = lk_random_normal(&random);
    lk_tensor *t = lk_tensor_from_floats(values, LK_DTYPE_F32, dims, sizes);
    free(values);
    return t;
}

static double relative(const float *a, const float *b, size_t count)
{
    double error = 0, norm = 0;
    for (size_t i = 0; i < count; i++) {
        error += pow((double)a[i] - (double)b[i], 2);
        norm += pow((double)b[i], 2);
    }
    return sqrt(error / norm);
}

/* Biases, which begin as zeros, like all else. */
static void shake_biases(lk_weights *weights)
{
    for (int i = 0; i < weights->count; i++) {
        lk_weight *w = &weights->items[i];
        if (w->dims != 1 || w->statistic)
            continue;
        lk_tensor *change = random_tensor(1, w->sizes, 100 + (uint64_t)i);
        lk_scale_(change, 0.1);
        lk_add_(w->value, change);
        lk_tensor_free(&change);
    }
    lk_weights_refresh(weights);
}

/* How many blocks of the last pass_encoder have a ReLU right behind a convolution, and no pool. */
static int bare_relus;

static void count_bare_relus(const lk_encoder *e)
{
    bare_relus = 0;
    for (int i = 0; i < LK_VGG_BLOCKS; i++)
        bare_relus += e->features[i].norm == LK_NORM_NONE && e->features[i].relu && !e->features[i].pool;
    for (int i = 0; i < LK_RESIDUAL_BLOCKS; i++)
        for (int k = 0; k < 2; k++)
            bare_relus += e->residual[i][k].norm == LK_NORM_NONE && e->residual[i][k].relu;
}

/* One pass of an encoder, in a number format; returns how many blocks had an epilogue. */
static int pass_encoder(lk_norm norm, lk_dtype compute, const lk_device_kernels *kernels, float **gradients, size_t *total)
{
    lk_encoder e;
    lk_encoder_shape shape = {.size = SIZE, .width = 0.25, .norm = norm, .continuous_count = CONTINUOUS, .choice_count = CHOICES};
    int blocks = 0;
    lk_tensor_set_kernels(kernels);
    assert_ok(lk_encoder_create(&shape, LK_DTYPE_F32, compute, &e));
    assert_ok(lk_encoder_initialize(&e, 11));
    shake_biases(&e.weights);
    *total = e.weights.total;
    *gradients = calloc(*total, sizeof **gradients);
    assert_ok(lk_weights_bind_gradients(&e.weights, *gradients, 1));
    lk_tensor *wide = random_tensor(4, (int64_t[]){BATCH, 3, SIZE, SIZE}, 1), *x = lk_tensor_cast(wide, compute);
    lk_tensor *continuous = NULL, *logits = NULL;
    lk_encoder_forward(&e, x, true, &continuous, &logits);
    for (int i = 0; i < LK_VGG_BLOCKS; i++) {
        const lk_block *b = &e.features[i];
        blocks += b->has_epilogue;
        if (b->has_epilogue && b->pool && norm == LK_NORM_NONE)
            assert_true(!b->y && !b->indices && b->epilogue.choice && !b->epilogue.y); /* one byte a number is all that is kept */
    }
    count_bare_relus(&e);
    lk_weights_begin(&e.weights, false, NULL, NULL);
    lk_encoder_backward(&e, random_tensor(2, (int64_t[]){BATCH, CONTINUOUS}, 2),
                        random_tensor(2, (int64_t[]){BATCH, CHOICES}, 3));
    assert_ok(lk_weights_end(&e.weights, lk_tensor_check()));
    lk_tensor_free(&wide);
    lk_tensor_free(&x);
    lk_tensor_free(&continuous);
    lk_tensor_free(&logits);
    lk_encoder_free(&e);
    return blocks;
}

static void check_encoder(lk_norm norm)
{
    float *exact, *plain, *ours;
    size_t total;
    assert_int_equal(pass_encoder(norm, LK_DTYPE_F32, &lk_device_kernels_cpu, &exact, &total), 0);
    assert_int_equal(pass_encoder(norm, LK_DTYPE_F32, &with_epilogue, &ours, &total), LK_VGG_BLOCKS);
    double error = relative(ours, exact, total);
    print_message("float32: relative error of the gradient %.1e\n", error);
    assert_true(error < 1e-4);
    free(ours);
    pass_encoder(norm, LK_DTYPE_BF16, &lk_device_kernels_cpu, &plain, &total);
    assert_true(pass_encoder(norm, LK_DTYPE_BF16, &with_epilogue, &ours, &total) > LK_VGG_BLOCKS / 2);
    double error_plain = relative(plain, exact, total);
    error = relative(ours, exact, total);
    print_message("bfloat16, off float32: %.3f, with libtorch's operators %.3f\n", error, error_plain);
    /* The convolution's output is rounded once more, before its bias, as it is by libtorch on a GPU. */
    assert_true(error < 1.5 * error_plain);
    free(exact);
    free(plain);
    free(ours);
}

static void an_encoder_without_norm(void **state)
{
    (void)state;
    check_encoder(LK_NORM_NONE);
}

static void an_encoder_with_group_norm(void **state)
{
    (void)state;
    check_encoder(LK_NORM_GROUP);
}

/* The decoder that is trained, with batch norm, or its folded form, frozen, whose ReLU follows the bias. */
static void pass_decoder(bool folded, const lk_device_kernels *kernels, float **gradients, size_t *total,
                         float dp[BATCH * INPUTS])
{
    lk_decoder trained, frozen;
    lk_decoder_shape shape = {.size = SIZE, .width = 0.25, .inputs = INPUTS};
    lk_tensor_set_kernels(kernels);
    assert_ok(lk_decoder_create(&shape, LK_DTYPE_F32, LK_DTYPE_F32, &trained));
    assert_ok(lk_decoder_initialize(&trained, 3));
    shake_biases(&trained.weights);
    assert_ok(lk_decoder_fold(&trained, LK_DTYPE_F32, &frozen));
    lk_decoder *d = folded ? &frozen : &trained;
    frozen.weights.frozen = true;
    *total = trained.weights.total;
    *gradients = calloc(*total, sizeof **gradients);
    assert_ok(lk_weights_bind_gradients(&trained.weights, *gradients, 1));
    int64_t faces = folded ? 2 * BATCH : BATCH; /* of which backward will see the first */
    lk_tensor *p = random_tensor(2, (int64_t[]){faces, INPUTS}, 4), *y = lk_decoder_forward(d, p, true);
    if (folded)
        lk_decoder_keep_first(d, BATCH);
    int blocks = 0;
    for (int i = 0; i < d->block_count; i++)
        blocks += d->blocks[i].has_epilogue;
    assert_int_equal(blocks, kernels == &with_epilogue ? d->block_count - 1 : 0); /* all but the last, of three channels */
    lk_weights_begin(&trained.weights, false, NULL, NULL);
    lk_tensor *dx = lk_decoder_backward(d, random_tensor(4, (int64_t[]){BATCH, 3, SIZE, SIZE}, 5));
    lk_tensor_to_floats(dx, dp); /* while it is trained, its input needs no gradient */
    if (!folded)
        assert_ok(lk_weights_end(&trained.weights, lk_tensor_check()));
    assert_ok(lk_tensor_check());
    lk_tensor_free(&p);
    lk_tensor_free(&y);
    lk_tensor_free(&dx);
    lk_decoder_free(&trained);
    lk_decoder_free(&frozen);
}

static void a_decoder_trained_and_folded(void **state)
{
    (void)state;
    for (int folded = 0; folded < 2; folded++) {
        float *exact, *ours, dp_exact[BATCH * INPUTS], dp[BATCH * INPUTS];
        size_t total;
        pass_decoder(folded, &lk_device_kernels_cpu, &exact, &total, dp_exact);
        pass_decoder(folded, &with_epilogue, &ours, &total, dp);
        double error = folded ? relative(dp, dp_exact, BATCH * INPUTS) : relative(ours, exact, total);
        print_message("%s: relative error of the gradient %.1e\n", folded ? "folded" : "trained", error);
        assert_true(error < 1e-4);
        free(exact);
        free(ours);
    }
}

/* ---- cuDNN's fused convolution ---- */

/* The prototypes of libtorch's header, which tests do not see: an operator of C takes its arguments as words on a stack, and
 * leaves its result there. */
int aoti_torch_library_init_impl(const char *space, const char *device, const char *file, uint32_t line, void **library);
int aoti_torch_library_impl(void *library, const char *name, void (*run)(uint64_t *stack, uint64_t arguments, uint64_t results));
int torch_list_size(void *list, size_t *size);
int torch_list_get_item(void *list, size_t index, uint64_t *item);
int torch_delete_list(void *list);

/* libtorch keeps the schemas of its operators as text, and reads them when it is loaded. */
static void its_arguments_are_those_of_the_schema(void **state)
{
    (void)state;
    static const char schema[] = "cudnn_convolution_relu(Tensor self, Tensor weight, Tensor? bias, SymInt[] stride, "
                                 "SymInt[] padding, SymInt[] dilation, SymInt groups) -> Tensor";
    Dl_info library;
    struct stat about;
    assert_true(dladdr(dlsym(RTLD_DEFAULT, "torch_call_dispatcher"), &library) != 0);
    int fd = open(library.dli_fname, O_RDONLY);
    assert_true(fd >= 0 && fstat(fd, &about) == 0);
    void *bytes = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    assert_true(bytes != MAP_FAILED);
    assert_non_null(memmem(bytes, (size_t)about.st_size, schema, sizeof schema));
    munmap(bytes, (size_t)about.st_size);
    close(fd);
}

/* Before the stand-in is there. */
static void without_cudnn_it_fails_in_one_line(void **state)
{
    (void)state;
    const lk_convolution_shape shape = {.stride = 1, .padding = 1};
    lk_tensor *x = random_tensor(4, (int64_t[]){1, 8, 4, 4}, 1), *w = random_tensor(4, (int64_t[]){8, 8, 3, 3}, 2);
    assert_null(lk_cudnn_convolution_relu(x, w, NULL, &shape));
    assert_fails(lk_tensor_check(), LK_INTERNAL,
                 "train.cudnn_fuse: libtorch: aten::cudnn_convolution_relu failed: Could not run");
    assert_null(strchr(lk_error_text(), '?')); /* what a line feed would have become */
    assert_ok(lk_tensor_check());
    lk_tensor_free(&x);
    lk_tensor_free(&w);
}

static struct {
    int calls, others; /* calls with another shape than 3x3 blocks have */
} fused;

static void take_pair(uint64_t word, uint64_t wanted)
{
    void *list = (void *)(uintptr_t)word;
    size_t size = 0;
    uint64_t items[2] = {0};
    bool good = torch_list_size(list, &size) == 0 && size == 2;
    for (size_t i = 0; good && i < 2; i++)
        good = torch_list_get_item(list, i, &items[i]) == 0 && items[i] == wanted;
    fused.others += !good;
    torch_delete_list(list);
}

/* The arguments are ours to free. */
static void convolution_relu(uint64_t *stack, uint64_t arguments, uint64_t results)
{
    lk_tensor *x = (lk_tensor *)(uintptr_t)stack[0], *w = (lk_tensor *)(uintptr_t)stack[1];
    uint64_t *optional = (uint64_t *)(uintptr_t)stack[2];
    lk_tensor *b = optional ? (lk_tensor *)(uintptr_t)*optional : NULL;
    fused.calls++;
    fused.others += arguments != 7 || results != 1 || !b || stack[6] != 1;
    take_pair(stack[3], 1);
    take_pair(stack[4], 1);
    take_pair(stack[5], 1);
    lk_tensor *y = lk_convolution(x, w, b, &(lk_convolution_shape){.stride = 1, .padding = 1});
    lk_relu_(y);
    stack[0] = (uint64_t)(uintptr_t)y;
    lk_tensor_free(&x);
    lk_tensor_free(&w);
    lk_tensor_free(&b);
    void (*delete_value)(uint64_t *) = (void (*)(uint64_t *))dlsym(RTLD_DEFAULT, "torch_delete_stable_ivalue");
    if (delete_value)
        delete_value(optional);
    else
        free(optional);
}

static void cudnn_takes_the_blocks_that_it_suits(void **state)
{
    (void)state;
    void *library;
    float *ours, *whole;
    size_t total;
    assert_int_equal(aoti_torch_library_init_impl("aten", "CPU", __FILE__, __LINE__, &library), 0);
    assert_int_equal(aoti_torch_library_impl(library, "cudnn_convolution_relu", convolution_relu), 0);
    pass_encoder(LK_NORM_NONE, LK_DTYPE_F32, &with_epilogue, &ours, &total);
    assert_int_equal(fused.calls, 0);
    lk_epilogue_use_cudnn(true);
    assert_int_equal(pass_encoder(LK_NORM_NONE, LK_DTYPE_F32, &with_epilogue, &whole, &total), LK_VGG_BLOCKS);
    double error = relative(whole, ours, total);
    print_message("bias and ReLU within the convolution: %.1e apart\n", error);
    assert_true(error < 1e-4);
    assert_true(bare_relus > LK_VGG_BLOCKS / 2);
    assert_int_equal(fused.calls, bare_relus);
    free(ours);
    free(whole);
    pass_encoder(LK_NORM_NONE, LK_DTYPE_BF16, &with_epilogue, &whole, &total);
    assert_true(fused.calls > bare_relus); /* the bias comes in bfloat16, too, or libtorch's convolution had refused it */
    free(whole);
    fused.calls = 0;
    pass_encoder(LK_NORM_GROUP, LK_DTYPE_F32, &with_epilogue, &whole, &total); /* no ReLU before a norm */
    assert_int_equal(fused.calls, 0);
    assert_int_equal(fused.others, 0);
    lk_epilogue_use_cudnn(false);
    free(whole);
}

static int open_all(void **state)
{
    (void)state;
    setenv("XDG_CACHE_HOME", "", 1);
    setenv("HOME", "", 1);
    with_epilogue = lk_device_kernels_cpu;
    with_epilogue.fuses = lk_device_kernels_cuda.fuses;
    with_epilogue.bias_relu = lk_device_kernels_cuda.bias_relu;
    with_epilogue.bias_relu_backward = lk_device_kernels_cuda.bias_relu_backward;
    with_epilogue.bias_relu_pool = lk_device_kernels_cuda.bias_relu_pool;
    with_epilogue.bias_relu_pool_backward = lk_device_kernels_cuda.bias_relu_pool_backward;
    return lk_tensor_start(2) != LK_OK ||
           lk_device_kernels_cuda_open_with(lk_device_host(), &standin_driver, &standin_nvrtc) != LK_OK;
}
static int close_all(void **state)
{
    (void)state;
    lk_device_kernels_cuda_close();
    free(cuda.stacks);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_encoder_without_norm),
                                       cmocka_unit_test(an_encoder_with_group_norm),
                                       cmocka_unit_test(a_decoder_trained_and_folded),
                                       cmocka_unit_test(its_arguments_are_those_of_the_schema),
                                       cmocka_unit_test(without_cudnn_it_fails_in_one_line),
                                       cmocka_unit_test(cudnn_takes_the_blocks_that_it_suits)};
    return cmocka_run_group_tests(tests, open_all, close_all);
}
