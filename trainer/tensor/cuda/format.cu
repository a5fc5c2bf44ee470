/* The kernels of one number format; kernels.cu includes this once for each with
 *
 *     NAME(f)   the kernel's name for this format
 *     ELEMENT   what memory holds     LANES   how many of them a thread takes at once
 *     WIDEN(v), NARROW(v)   between ELEMENT and float, in which all is computed
 *     VECTOR, BYTES   what moves LANES elements, LANES bytes at once
 *
 * LANES that fill 16 bytes want memory that begins at multiples of 16 bytes and rows of whole packs; those of one take all. */
typedef struct NAME(pack) {
    ELEMENT v[LANES];
} LK_ALIGNED(sizeof(ELEMENT) * LANES) NAME(pack);
#define PACK NAME(pack)

LK_DEVICE PACK NAME(load)(const ELEMENT *from)
{
    PACK pack;
    LK_MOVE(VECTOR, &pack, from);
    return pack;
}
LK_DEVICE void NAME(store)(ELEMENT *to, PACK pack)
{
    LK_MOVE(VECTOR, to, &pack);
}

#include "trainer/tensor/cuda/flat.cu"
#include "trainer/tensor/cuda/bias_relu.cu"
#include "trainer/tensor/cuda/group_norm.cu"
#include "trainer/tensor/cuda/pictures.cu"

#undef PACK
#undef NAME
#undef ELEMENT
#undef LANES
#undef VECTOR
#undef BYTES
#undef WIDEN
#undef NARROW
