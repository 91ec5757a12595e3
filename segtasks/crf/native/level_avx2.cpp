// The inner loops for x86-64 machines since about 2013: eight lanes instead of four.
#if defined(__x86_64__)

// Standard headers before the pragma: their inline functions are shared by all files.
#include <cstdint>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC target("avx2")
#endif
#include "level.h"

namespace segtasks {

Kernels avx2_kernels(int row) { return gathered_for(row); }

}  // namespace segtasks

#if defined(__clang__)
#pragma clang attribute pop
#endif

#endif
