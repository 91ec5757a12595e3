// Blurring along one axis of the lattice.
//
// Along an axis the vertices form chains: next[v] is the number of the one after v, 0 at its end.
// Each vertex gives to the one after it and takes from it, so one number per vertex and axis will
// do: half of what two neighbours take, which are much of a sparse lattice's memory. (In place,
// chain by chain, it takes less still, but jumps about: half as fast.)
#pragma once

#include <cstdint>
#include <cstring>

namespace {

// to = from + (from[one before] + from[one after]) / 2, of `width` values at each vertex.
template <class Value>
inline void blur_chains(const uint32_t* next, int64_t vertices, int64_t width, const Value* from,
                        Value* to) {
  std::memset(static_cast<void*>(to), 0, static_cast<size_t>(vertices * width) * sizeof(Value));
  for (int64_t v = 1; v < vertices; v++) {
    const int64_t after = next[v];
    for (int64_t c = 0; c < width; c++) {
      const Value old = from[v * width + c];
      to[v * width + c] += old + from[after * width + c] * 0.5f;
      to[after * width + c] += old * 0.5f;
    }
  }
  // Where chains end, they gave to vertex 0, which is none.
  std::memset(static_cast<void*>(to), 0, static_cast<size_t>(width) * sizeof(Value));
}

}  // namespace
