// Blurring along one axis of the lattice, in place.
//
// Along an axis the vertices form chains: next[v] is the number of the one after v, 0 at the end;
// bit FOLLOWS says that there is one before. One number per vertex and axis is half of what two
// neighbours take, which is most of a sparse lattice's memory.
#pragma once

#include <cstdint>

namespace {

constexpr uint32_t FOLLOWS = 1u << 31;

// value = value + (one before + one after) / 2, of WIDTH values at each vertex, rows `stride` apart.
template <int WIDTH, class Value>
inline void blur_chains(const uint32_t* next, int64_t vertices, int64_t stride, Value* values) {
  for (int64_t first = 1; first < vertices; first++) {
    if (next[first] & FOLLOWS) continue;
    Value before[WIDTH] = {};
    int64_t at = first;
    do {
      const int64_t after = next[at] & ~FOLLOWS;
      for (int c = 0; c < WIDTH; c++) {
        const Value old = values[at * stride + c];
        values[at * stride + c] = old + (before[c] + values[after * stride + c]) * 0.5f;
        before[c] = old;
      }
      at = after;
    } while (at != 0);
  }
}

}  // namespace
