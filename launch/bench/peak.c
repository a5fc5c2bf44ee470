#include "launch/bench/peak.h"

#include "trainer/kernels/peak.h"
#include "trainer/tensor/fused.h"

lk_status lk_bench_peak(int threads, lk_peaks *out)
{
    LK_TRY(lk_tensor_start(threads));
    lk_team team = lk_fused_team();
    *out = (lk_peaks){threads, lk_peak_gflops(&team, LK_PEAK_F32), lk_peak_gflops(&team, LK_PEAK_BF16)};
    return lk_tensor_check();
}
