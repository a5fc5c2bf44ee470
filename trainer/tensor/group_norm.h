/* Internal to trainer/tensor/: group norm in the CPU's table of kernels (device_kernels.h). */
#ifndef LK_TRAINER_TENSOR_GROUP_NORM_H
#define LK_TRAINER_TENSOR_GROUP_NORM_H

#include "trainer/tensor/device_kernels.h"

lk_status lk_group_norm_cpu(lk_device *d, const lk_group_norm_shape *shape, const void *x, const void *scale, const void *shift,
                            void *y, double *mean, double *rstd);
lk_status lk_group_norm_backward_cpu(lk_device *d, const lk_group_norm_shape *shape, const void *dy, const void *x,
                                     const void *scale, const double *mean, const double *rstd, void *dx, void *dscale,
                                     void *dshift);

#endif
