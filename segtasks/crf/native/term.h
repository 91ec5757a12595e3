// One pairwise term of the energy: a lattice, and a value per vertex and class on it.
//
// Between two passes over the pixels nothing is kept of them: Q is sliced out of one set of values,
// and splatted into the other at once.
#pragma once

#include <utility>

#include "lattice.h"

namespace segtasks {

class Term {
 public:
  Term(Lattice lattice, Buffer<float> matrix)
      : lattice_(std::move(lattice)), matrix_(std::move(matrix)) {}

  // Make room for the values: after all lattices are built, which takes memory of its own.
  void begin(int row) {
    values_ = Buffer<float>::zeros(lattice_.vertices() * row);
    spare_ = Buffer<float>::zeros(lattice_.vertices() * row);
  }

  // The last pass only slices.
  void end() { spare_ = Buffer<float>(); }

  // From now on the values are those splatted last.
  void blur(const Kernels& kernels) {
    values_.swap(spare_);
    for (int axis = 0; axis < lattice_.corners(); axis++, values_.swap(spare_))
      kernels.blur(lattice_.next(axis), lattice_.vertices(), kernels.row, values_.data(),
                   spare_.data());
  }

  void clear_spare() { spare_.zero(); }

  void slice(const Kernels& kernels, int64_t block, int classes, float* energy, float* scratch) {
    const auto slice = kernels.slice(lattice_.corners());
    const uint32_t* vertex = lattice_.vertex(block);
    const float* weight = lattice_.weight(block);
    if (!matrix_.size())
      return slice(vertex, weight, lattice_.corners(), values_.data(), kernels.row, energy);
    std::memset(scratch, 0, sizeof(float) * static_cast<size_t>(BLOCK * kernels.row));
    slice(vertex, weight, lattice_.corners(), values_.data(), kernels.row, scratch);
    kernels.mix(matrix_.data(), classes, kernels.row, scratch, energy);
  }

  void splat(const Kernels& kernels, int64_t block, const float* q) {
    kernels.splat(lattice_.corners())(lattice_.vertex(block), lattice_.weight(block),
                                      lattice_.corners(), q, kernels.row, spare_.data());
  }

 private:
  Lattice lattice_;
  Buffer<float> matrix_;  // empty: Potts, its weight folded into the lattice's
  Buffer<float> values_;
  Buffer<float> spare_;  // what is blurred into, and what the next pass splats into
};

}  // namespace segtasks
