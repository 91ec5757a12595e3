// The inner loops gathered for one instruction set: included by the one file per set.
#pragma once

#include "mean_field.h"
#include "simplex.h"
#include "transpose.h"

namespace {

segtasks::Kernels::Simplex simplex_for(int d) {
  switch (d) {
    case 2: return simplices<3>;
    case 5: return simplices<6>;
    case 6: return simplices<7>;
    default: return simplices<0>;
  }
}

template <int LANES, int CHUNKS>
segtasks::Kernels gathered(int row) {
  using Of = Rows<LANES, CHUNKS>;
  constexpr bool pairs = LANES == 2;
  return {row,     Of::slice,   Of::splat,  Of::blur, pairs ? load_pairs : load,
          pairs ? store_pairs : store, Of::mix, Of::softmax, simplex_for};
}

segtasks::Kernels gathered_for(int row) {
  switch (row) {
    case 2: return gathered<2, 1>(row);
    case 4: return gathered<4, 1>(row);
    case 8: return gathered<8, 1>(row);
    case 16: return gathered<8, 2>(row);
    case 24: return gathered<8, 3>(row);
    default: return gathered<8, 0>(row);
  }
}

}  // namespace
