// The pixels in blocks of 64 neighbours in a row, ordered so that blocks near each other in the
// image follow each other: the part of the lattice they share then stays in the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

namespace segtasks {

struct Block {
  int64_t first;  // pixel
  int count;      // 1..BLOCK; less than BLOCK in the last one alone
};

// Blocks of so many pixels, sorted by squares of one standard deviation in the features x and y;
// without features in their own order.
std::vector<Block> ordered_blocks(int64_t pixels, const float* x, const float* y);

}  // namespace segtasks
