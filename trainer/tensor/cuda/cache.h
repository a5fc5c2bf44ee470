/* Compiled kernels in the user's cache folder, $XDG_CACHE_HOME/likeness or ~/.cache/likeness, so that a GPU's are compiled once.
 * Files are written atomically and carry a hash; ranks that start together may each write the same. Removing the folder costs
 * the next start a few seconds. */
#ifndef LK_TRAINER_TENSOR_CUDA_CACHE_H
#define LK_TRAINER_TENSOR_CUDA_CACHE_H

#include "base/error.h"
#include "base/file.h"

#include <stdbool.h>
#include <stddef.h>

/* Where the image of that name is kept; false: there is no cache folder, and nothing is kept. */
bool lk_cuda_cache_path(const char *name, char out[LK_PATH_SIZE]);

/* False: it is not there, or damaged (a warning). The caller frees *image. */
bool lk_cuda_cache_read(const char *path, void **image, size_t *size);

/* Makes the folder, too. LK_IO: why it cannot be kept, which does no harm. */
lk_status lk_cuda_cache_write(const char *path, const void *image, size_t size);

#endif
