/* The sources of the kernels as they stand in the program, so that a user needs neither them nor a compiler. */
#ifndef LK_TRAINER_TENSOR_CUDA_SOURCES_H
#define LK_TRAINER_TENSOR_CUDA_SOURCES_H

typedef struct lk_cuda_source {
    const char *name; /* as #include says it */
    const char *text;
} lk_cuda_source;

/* The first is kernels.cu, which includes the others; past the last one of NULL. */
extern const lk_cuda_source lk_cuda_sources[];

#endif
