/* Losses (patent CN109902767B): F = F1 + lambda F2.
 *
 * F1 = mean over the global batch of the sum over groups of -sum pd' ln pd (cross-entropy of the discrete parameters);
 * F2 = mean over the global batch of ||D(p^) - D(p')||_2, the norm of each sample's picture difference, not squared.
 * The decoder's own loss is L1: the mean absolute difference of pixel values.
 *
 * Each adds the sum over its samples, in float64, to a number of lk_sums, and gives gradients that are already multiplied by
 * `share`, 1 / the global batch, so that gradients of micro-batches and ranks are simply added. Tensors are F32 or F64; nothing
 * is waited for. dy and dlogits may be NULL: not wanted. With a NULL tensor among the arguments nothing is added and the gradient
 * is NULL.
 */
#ifndef LK_TRAINER_TENSOR_LOSS_H
#define LK_TRAINER_TENSOR_LOSS_H

#include "trainer/tensor/tensor.h"

/* logits [n,columns], labels [n,groups] (U8): *dlogits is the gradient with respect to the logits. */
void lk_discrete_loss(const lk_choices *choices, const lk_tensor *logits, const lk_tensor *labels, double share,
                      lk_tensor **dlogits, double *sum);

/* ||y - target||_2 of each sample; *dy is the gradient with respect to y, zero where the difference is zero. */
void lk_pixel_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy, double *sum);

/* The mean absolute difference of each sample; *dy as above. */
void lk_l1_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy, double *sum);

#endif
