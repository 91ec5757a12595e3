// Between arrays of classes (K, pixels) and blocks of pixels (BLOCK, row), four by four; two
// classes are but interleaved.
#pragma once

#include "kernels.h"
#include "vectors.h"

namespace {

inline void transpose(Floats4 (&rows)[4]) {
  const Floats4 low01 = SEGTASKS_SHUFFLE2(rows[0], rows[1], 0, 4, 1, 5);
  const Floats4 high01 = SEGTASKS_SHUFFLE2(rows[0], rows[1], 2, 6, 3, 7);
  const Floats4 low23 = SEGTASKS_SHUFFLE2(rows[2], rows[3], 0, 4, 1, 5);
  const Floats4 high23 = SEGTASKS_SHUFFLE2(rows[2], rows[3], 2, 6, 3, 7);
  rows[0] = SEGTASKS_SHUFFLE2(low01, low23, 0, 1, 4, 5);
  rows[1] = SEGTASKS_SHUFFLE2(low01, low23, 2, 3, 6, 7);
  rows[2] = SEGTASKS_SHUFFLE2(high01, high23, 0, 1, 4, 5);
  rows[3] = SEGTASKS_SHUFFLE2(high01, high23, 2, 3, 6, 7);
}

void load_pairs(const float* unary, int64_t stride, int, int, float* block) {
  for (int p = 0; p < segtasks::BLOCK; p++) {
    block[2 * p] = -unary[p];
    block[2 * p + 1] = -unary[stride + p];
  }
}

void store_pairs(const float* block, int, int, int64_t stride, float* marginals) {
  for (int p = 0; p < segtasks::BLOCK; p++) {
    marginals[p] = block[2 * p];
    marginals[stride + p] = block[2 * p + 1];
  }
}

void load(const float* unary, int64_t stride, int classes, int row, float* block) {
  constexpr float never = -__builtin_inff();
  for (int k = 0; k < row; k += 4) {
    for (int p = 0; p < segtasks::BLOCK; p += 4) {
      Floats4 square[4];
      for (int i = 0; i < 4; i++) {
        if (k + i < classes) {
          __builtin_memcpy(&square[i], unary + (k + i) * stride + p, sizeof square[i]);
          square[i] = -square[i];
        } else {
          square[i] = Floats4{} + never;
        }
      }
      transpose(square);
      for (int i = 0; i < 4; i++)
        __builtin_memcpy(block + (p + i) * row + k, &square[i], sizeof square[i]);
    }
  }
}

void store(const float* block, int row, int classes, int64_t stride, float* marginals) {
  for (int k = 0; k < classes; k += 4) {
    for (int p = 0; p < segtasks::BLOCK; p += 4) {
      Floats4 square[4];
      for (int i = 0; i < 4; i++)
        __builtin_memcpy(&square[i], block + (p + i) * row + k, sizeof square[i]);
      transpose(square);
      for (int i = 0; i < 4 && k + i < classes; i++)
        __builtin_memcpy(marginals + (k + i) * stride + p, &square[i], sizeof square[i]);
    }
  }
}

}  // namespace
