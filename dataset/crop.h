/* The crop: where the eyes are in every picture the encoder sees, rendered or photographed.
 *
 * An aligned picture of S x S pixels has the centres of the two eyes (mean of dlib landmarks 36-41 and 42-47) at
 * (LK_EYE_LEFT_X * S, LK_EYE_Y * S) and ((1 - LK_EYE_LEFT_X) * S, LK_EYE_Y * S), x to the right, y down, pixel centres at
 * half-integers. The client's camera and the photo alignment (patent paragraph 79) both keep to it.
 */
#ifndef LK_DATASET_CROP_H
#define LK_DATASET_CROP_H

#define LK_EYE_LEFT_X 0.375
#define LK_EYE_Y 0.49

#endif
