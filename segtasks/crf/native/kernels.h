// The inner loops, once per instruction set: what they are called with, and which to call.
//
// A block is BLOCK pixels, row after row of `row` floats: the classes, padded to whole vectors.
// Pixel p of it lies in a simplex of the lattice with corners = d + 1 vertices; vertex[p * corners
// + j] is the number of its j-th vertex, weight[...] what it has to do with it.
#pragma once

#include <cstdint>

namespace segtasks {

constexpr int BLOCK = 64;
constexpr int MOST_DIMENSIONS = 16;
constexpr int MOST_CORNERS = MOST_DIMENSIONS + 1;

// Where each pixel of a block lies, for `Kernels::simplex`.
struct Simplices {
  float weight[BLOCK * MOST_CORNERS];       // barycentric, [pixel][colour of the vertex]
  uint8_t order[BLOCK * MOST_CORNERS];      // [pixel][k]: the axis with the k-th largest difference
  int32_t origin[MOST_CORNERS][BLOCK];      // the vertex of colour 0, [axis][pixel]
};

struct Kernels {
  // Weighted sums of vertices' values, added to a block.
  using Slice = void (*)(const uint32_t* vertex, const float* weight, int corners,
                         const float* values, int row, float* block);
  // The transpose: a block's values, added to vertices.
  using Splat = void (*)(const uint32_t* vertex, const float* weight, int corners,
                         const float* block, int row, float* values);
  // One axis: see chains.h.
  using Blur = void (*)(const uint32_t* next, int64_t vertices, int row, const float* from,
                        float* to);
  // block[p] -= matrix @ messages[p]; the matrix column after column, padded as blocks are.
  using Mix = void (*)(const float* matrix, int classes, int row, const float* messages,
                       float* block);
  // block = -unary of its pixels: BLOCK in each row of `unary`, whose rows are `stride` apart;
  // -infinity where classes are padded.
  using Load = void (*)(const float* unary, int64_t stride, int classes, int row, float* block);
  // The way back: rows of a block to columns of `marginals`.
  using Store = void (*)(const float* block, int row, int classes, int64_t stride,
                         float* marginals);
  // Softmax of each pixel's row, in place.
  using Softmax = void (*)(int row, float* block);
  // Simplices of BLOCK points of d features, feature[i][p], each scaled by scale[i].
  using Simplex = void (*)(const float* const* feature, int d, const float* scale, Simplices& found);

  int row;  // floats per pixel and per vertex
  Slice (*slice)(int corners);
  Splat (*splat)(int corners);
  Blur blur;
  Load load;
  Store store;
  Mix mix;
  Softmax softmax;
  Simplex (*simplex)(int d);
};

// The fastest this machine can run, for so many classes; or those every machine can.
Kernels kernels_for(int classes, bool plain);

Kernels plain_kernels(int row);
Kernels avx2_kernels(int row);  // exists on x86-64 alone

}  // namespace segtasks
