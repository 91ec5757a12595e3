// The permutohedral lattice of one kernel over all pixels of a window: built once, used for every
// iteration and class.
//
// Adams, Baek & Davis 2010, https://graphics.stanford.edu/papers/permutohedral.
#pragma once

#include <vector>

#include "blocks.h"
#include "buffer.h"
#include "kernels.h"

namespace segtasks {

class Lattice {
 public:
  // features: (d, pixels), finite, in standard deviations.
  // Throws std::domain_error for features beyond what floats can place.
  Lattice(const float* features, int d, int64_t pixels, const std::vector<Block>& blocks,
          const Kernels& kernels);

  int corners() const { return corners_; }
  int64_t vertices() const { return vertices_; }
  const uint32_t* vertex(int64_t block) const { return vertex_.data() + block * corners_ * BLOCK; }
  const float* weight(int64_t block) const { return weight_.data() + block * corners_ * BLOCK; }
  const uint32_t* next(int axis) const { return next_.data() + axis * vertices_; }  // see chains.h

  // Fold into the weights what makes the filter D^-1/2 K D^-1/2, D the row sums of K, times factor.
  void normalise(float factor);

 private:
  template <int WORDS>
  void build(const float* features, int64_t pixels, const std::vector<Block>& blocks,
             const Kernels& kernels, const class KeyPacking& packing);

  int corners_;              // d + 1, also the number of axes
  int64_t vertices_ = 0;     // with vertex 0, which is none
  Buffer<uint32_t> vertex_;  // [block][pixel][corner]
  Buffer<float> weight_;     // the same
  Buffer<uint32_t> next_;    // [axis][vertex]
};

}  // namespace segtasks
