#include "lattice.h"

#include <cmath>

#include "chains.h"
#include "key_packing.h"
#include "vertex_table.h"

namespace segtasks {
namespace {

// Features of a block, the last pixel repeated where the block is short.
class BlockFeatures {
 public:
  BlockFeatures(const float* features, int d, int64_t pixels)
      : features_(features), d_(d), pixels_(pixels) {}

  const float* const* of(const Block& block) {
    for (int i = 0; i < d_; i++) row_[i] = features_ + i * pixels_ + block.first;
    if (block.count < BLOCK) copy(block);
    return row_;
  }

 private:
  void copy(const Block& block) {
    for (int i = 0; i < d_; i++) {
      for (int p = 0; p < BLOCK; p++)
        copied_[i][p] = row_[i][p < block.count ? p : block.count - 1];
      row_[i] = copied_[i];
    }
  }

  const float* features_;
  int d_;
  int64_t pixels_;
  const float* row_[MOST_DIMENSIONS];
  float copied_[MOST_DIMENSIONS][BLOCK];
};

// Keys of a block's vertices, [pixel][colour].
template <int WORDS>
class BlockKeys {
 public:
  BlockKeys(const KeyPacking& packing, int d) : packing_(packing), d_(d) {
    // From colour k to k + 1 all coordinates rise by 1, but the k-th largest falls by d.
    for (int axis = 0; axis <= d; axis++) {
      step_[axis] = {};
      for (int i = 0; i <= d; i++) packing.add(i, i == axis ? -d : 1, &step_[axis]);
    }
  }

  void find(const Simplices& simplices) {
    const uint8_t* order = simplices.order;
    Key<WORDS>* to = key;
    for (int p = 0; p < BLOCK; p++, order += d_ + 1) {
      Key<WORDS> at = {};
      for (int i = 0; i < d_; i++) packing_.add(i, simplices.origin[i][p], &at);
      for (int colour = 0; colour <= d_; colour++) {
        *to++ = at;
        at += step_[order[colour]];
      }
    }
  }

  Key<WORDS> key[BLOCK * MOST_CORNERS];

 private:
  const KeyPacking& packing_;
  int d_;
  Key<WORDS> step_[MOST_CORNERS];
};

// The chains of all axes, [axis][vertex].
template <int WORDS>
void link(const VertexTable<WORDS>& table, const KeyPacking& packing, int d, uint32_t* next) {
  constexpr int64_t ahead = 16;
  const int64_t end = table.end();
  for (int axis = 0; axis <= d; axis++, next += end) {
    Key<WORDS> step = {};
    for (int i = 0; i <= d; i++) packing.add(i, i == axis ? d : -1, &step);
    const auto neighbour = [&](int64_t vertex) {
      Key<WORDS> key = table.key(vertex);
      return key += step;
    };
    for (int64_t vertex = 1; vertex < end; vertex++) {
      if (vertex + ahead < end) table.prefetch(neighbour(vertex + ahead));
      next[vertex] = table.find(neighbour(vertex));
    }
  }
}

}  // namespace

Lattice::Lattice(const float* features, int d, int64_t pixels, const std::vector<Block>& blocks,
                 const Kernels& kernels)
    : corners_(d + 1),
      vertex_(static_cast<int64_t>(blocks.size()) * BLOCK * corners_),
      weight_(static_cast<int64_t>(blocks.size()) * BLOCK * corners_) {
  const KeyPacking packing(features, d, pixels);
  if (packing.words() == 1)
    build<1>(features, pixels, blocks, kernels, packing);
  else
    build<MOST_WORDS>(features, pixels, blocks, kernels, packing);
}

template <int WORDS>
void Lattice::build(const float* features, int64_t pixels, const std::vector<Block>& blocks,
                    const Kernels& kernels, const KeyPacking& packing) {
  const int d = corners_ - 1;
  const auto simplex = kernels.simplex(d);
  VertexTable<WORDS> table(pixels / 16);
  BlockFeatures block_features(features, d, pixels);
  BlockKeys<WORDS> keys(packing, d);
  Simplices simplices;
  uint32_t* vertex = vertex_.data();
  float* weight = weight_.data();
  for (const Block& block : blocks) {
    simplex(block_features.of(block), d, packing.scale(), simplices);
    keys.find(simplices);
    for (int i = 0; i < BLOCK * corners_; i++) table.prefetch(keys.key[i]);
    for (int i = 0; i < BLOCK * corners_; i++) *vertex++ = table.find_or_add(keys.key[i]);
    for (int i = 0; i < BLOCK * corners_; i++)
      *weight++ = i < block.count * corners_ ? simplices.weight[i] : 0.0f;
  }
  // pydensecrf fills up fours of pixels with ones of feature zero, which weigh nothing; but the
  // vertices around them take part in the blur.
  if (pixels % 4 != 0) {
    const float zeros[BLOCK] = {};
    const float* feature[MOST_DIMENSIONS];
    for (int i = 0; i < d; i++) feature[i] = zeros;
    simplex(feature, d, packing.scale(), simplices);
    keys.find(simplices);
    for (int i = 0; i < corners_; i++) table.find_or_add(keys.key[i]);
  }
  vertices_ = table.end();
  next_ = Buffer<uint32_t>(vertices_ * corners_);
  link(table, packing, d, next_.data());
}

void Lattice::normalise(float factor) {
  auto sums = Buffer<float>::zeros(vertices_);
  Buffer<float> blurred(vertices_);
  for (int64_t i = 0; i < vertex_.size(); i++) sums[vertex_[i]] += weight_[i];
  for (int axis = 0; axis < corners_; axis++, sums.swap(blurred))
    blur_chains(next(axis), vertices_, 1, sums.data(), blurred.data());
  const float root = std::sqrt(factor);
  for (int64_t i = 0; i < vertex_.size(); i += corners_) {
    float sum = 0;
    for (int64_t j = i; j < i + corners_; j++) sum += weight_[j] * sums[vertex_[j]];
    // Pixels that fill up the last block weigh nothing.
    const float scale = sum > 0 ? root / std::sqrt(sum) : 0;
    for (int64_t j = i; j < i + corners_; j++) weight_[j] *= scale;
  }
}

}  // namespace segtasks
