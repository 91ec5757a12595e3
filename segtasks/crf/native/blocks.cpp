#include "blocks.h"

#include <algorithm>
#include <cmath>

namespace segtasks {

std::vector<Block> ordered_blocks(int64_t pixels, const float* x, const float* y) {
  std::vector<Block> blocks;
  blocks.reserve(static_cast<size_t>((pixels + BLOCK - 1) / BLOCK));
  for (int64_t first = 0; first < pixels; first += BLOCK)
    blocks.push_back({first, static_cast<int>(std::min<int64_t>(BLOCK, pixels - first))});
  if (!x) return blocks;
  const auto before = [x, y](const Block& a, const Block& b) {
    const float rows[] = {std::floor(y[a.first]), std::floor(y[b.first])};
    if (rows[0] != rows[1]) return rows[0] < rows[1];
    const float cols[] = {std::floor(x[a.first]), std::floor(x[b.first])};
    return cols[0] != cols[1] ? cols[0] < cols[1] : a.first < b.first;
  };
  std::sort(blocks.begin(), blocks.end(), before);
  return blocks;
}

}  // namespace segtasks
