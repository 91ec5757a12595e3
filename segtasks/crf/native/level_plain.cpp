// The inner loops for any machine, and the choice among the sets there are.
#include "level.h"

namespace segtasks {

Kernels plain_kernels(int row) { return gathered_for(row); }

Kernels kernels_for(int classes, [[maybe_unused]] bool plain) {
  const int row = classes <= 2 ? 2 : classes <= 4 ? 4 : (classes + 7) / 8 * 8;
#if defined(__x86_64__)
  if (!plain && __builtin_cpu_supports("avx2")) return avx2_kernels(row);
#endif
  return plain_kernels(row);
}

}  // namespace segtasks
