/* bfloat16: the upper half of a float32. In a header, so that loops over them become loops of vectors. */
#ifndef LK_BASE_BFLOAT_H
#define LK_BASE_BFLOAT_H

#include <stdint.h>
#include <string.h>

static inline float lk_bfloat_to_float(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* To nearest even; a NaN stays one, of the same sign and quiet. Written as a choice of two values, which vector loops can
 * make. */
static inline uint16_t lk_float_to_bfloat(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    uint32_t quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

#endif
