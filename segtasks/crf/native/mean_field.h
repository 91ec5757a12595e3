// The inner loops of mean field on the lattice (Kraehenbuehl & Koltun 2011, Algorithm 1), in
// vectors. Each is compiled for the usual numbers of corners and classes, and once for any.
#pragma once

#include "chains.h"
#include "kernels.h"
#include "vectors.h"

namespace {

// CORNERS and CHUNKS (vectors per row) are 0 where they are only known at run time.
template <int LANES, int CHUNKS, int CORNERS>
struct Filter {
  using Floats = typename Lanes<LANES>::Floats;

  static void slice(const uint32_t* vertex, const float* weight, int corners, const float* values,
                    int row, float* block) {
    const int n = CORNERS ? CORNERS : corners;
    const int64_t chunks = CHUNKS ? CHUNKS : row / LANES;
    const Floats* rows = reinterpret_cast<const Floats*>(values);
    Floats* to = reinterpret_cast<Floats*>(block);
    for (int p = 0; p < segtasks::BLOCK; p++, vertex += n, weight += n, to += chunks) {
      for (int c = 0; c < chunks; c++) {
        Floats sum = to[c];
        for (int j = 0; j < n; j++) sum += rows[vertex[j] * chunks + c] * weight[j];
        to[c] = sum;
      }
    }
  }

  static void splat(const uint32_t* vertex, const float* weight, int corners, const float* block,
                    int row, float* values) {
    const int n = CORNERS ? CORNERS : corners;
    const int64_t chunks = CHUNKS ? CHUNKS : row / LANES;
    Floats* rows = reinterpret_cast<Floats*>(values);
    const Floats* from = reinterpret_cast<const Floats*>(block);
    for (int p = 0; p < segtasks::BLOCK; p++, vertex += n, weight += n, from += chunks)
      for (int j = 0; j < n; j++)
        for (int c = 0; c < chunks; c++) rows[vertex[j] * chunks + c] += from[c] * weight[j];
  }
};

template <int LANES, int CHUNKS>
struct Rows {
  using Floats = typename Lanes<LANES>::Floats;

  static void blur(const uint32_t* next, int64_t vertices, int row, const float* from, float* to) {
    const int64_t chunks = CHUNKS ? CHUNKS : row / LANES;
    blur_chains(next, vertices, chunks, reinterpret_cast<const Floats*>(from),
                reinterpret_cast<Floats*>(to));
  }

  static void mix(const float* matrix, int classes, int row, const float* messages, float* block) {
    const int64_t chunks = CHUNKS ? CHUNKS : row / LANES;
    const Floats* column = reinterpret_cast<const Floats*>(matrix);
    Floats* energy = reinterpret_cast<Floats*>(block);
    for (int p = 0; p < segtasks::BLOCK; p++, messages += row, energy += chunks)
      for (int k = 0; k < classes; k++)
        for (int c = 0; c < chunks; c++) energy[c] -= column[k * chunks + c] * messages[k];
  }

  static void softmax(int row, float* block) {
    const int64_t chunks = CHUNKS ? CHUNKS : row / LANES;
    Floats* q = reinterpret_cast<Floats*>(block);
    for (int p = 0; p < segtasks::BLOCK; p++, q += chunks) {
      Floats highest = q[0], sum = {};
      for (int c = 1; c < chunks; c++) highest = larger(highest, q[c]);
      highest = spread_max(highest);
      for (int c = 0; c < chunks; c++) sum += q[c] = exp_of_negative<LANES>(q[c] - highest);
      const Floats scale = 1.0f / spread_sum(sum);
      for (int c = 0; c < chunks; c++) q[c] *= scale;
    }
  }

  static segtasks::Kernels::Slice slice(int corners) {
    switch (corners) {
      case 3: return Filter<LANES, CHUNKS, 3>::slice;
      case 6: return Filter<LANES, CHUNKS, 6>::slice;
      case 7: return Filter<LANES, CHUNKS, 7>::slice;
      default: return Filter<LANES, CHUNKS, 0>::slice;
    }
  }

  static segtasks::Kernels::Splat splat(int corners) {
    switch (corners) {
      case 3: return Filter<LANES, CHUNKS, 3>::splat;
      case 6: return Filter<LANES, CHUNKS, 6>::splat;
      case 7: return Filter<LANES, CHUNKS, 7>::splat;
      default: return Filter<LANES, CHUNKS, 0>::splat;
    }
  }
};

}  // namespace
