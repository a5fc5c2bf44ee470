/* Losses (patent CN109902767B): F = F1 + lambda F2.
 *
 * F1 = mean over the global batch of the sum over groups of -sum pd' ln pd (cross-entropy of the discrete parameters);
 * F2 = mean over the global batch of ||D(p^) - D(p')||_2, the norm of each sample's picture difference, not squared.
 * The decoder's own loss is L1: the mean absolute difference of pixel values.
 *
 * The functions return sums over samples in float64 and gradients already multiplied by `share`, 1 / the global batch, so
 * that gradients of micro-batches and ranks are simply added.
 */
#ifndef LK_TRAINER_MODEL_LOSS_H
#define LK_TRAINER_MODEL_LOSS_H

#include "dataset/schema.h"
#include "trainer/tensor/tensor.h"

/* logits [n,choices] on the host, labels [n,groups]; dlogits [n,choices] may be NULL. Returns the sum over samples. */
double lk_discrete_loss(const lk_schema *schema, int n, const double *logits, const uint8_t *labels, double share,
                        double *dlogits);

/* Sum over samples of ||y - target||_2; *dy (NULL: not wanted) is the gradient with respect to y, zero where the difference
 * is zero. */
double lk_pixel_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy);

/* Sum over samples of the mean absolute difference; *dy as above. */
double lk_l1_loss(const lk_tensor *y, const lk_tensor *target, double share, lk_tensor **dy);

#endif
