#include "field.h"

#include <stdexcept>
#include <vector>

#include "term.h"

namespace segtasks {
namespace {

// The Potts weight of a matrix w * (1 - identity), w >= 0; -1 if it is another one.
float potts_weight(const float* matrix, int classes) {
  const float weight = matrix[1];
  for (int row = 0; row < classes; row++)
    for (int col = 0; col < classes; col++)
      if (matrix[row * classes + col] != (row == col ? 0 : weight)) return -1;
  return weight;
}

}  // namespace
}  // namespace segtasks

struct segtasks_field {
  segtasks_field(int64_t pixels, int classes, const float* x, const float* y, bool plain)
      : pixels_(pixels),
        classes_(classes),
        kernels_(segtasks::kernels_for(classes, plain)),
        blocks_(segtasks::ordered_blocks(pixels, x, y)),
        energy_(int64_t{segtasks::BLOCK} * kernels_.row),
        scratch_(int64_t{segtasks::BLOCK} * kernels_.row),
        whole_(int64_t{segtasks::BLOCK} * kernels_.row) {}

  void add(const float* features, int d, const float* compatibility) {
    segtasks::Lattice lattice(features, d, pixels_, blocks_, kernels_);
    const float potts = segtasks::potts_weight(compatibility, classes_);
    // A Potts message is w * (sum over classes - own class); the sum is the same for every class,
    // so softmax does not see it, and what is left is one factor.
    lattice.normalise(potts >= 0 ? potts : 1.0f);
    terms_.emplace_back(std::move(lattice), columns(compatibility, potts));
  }

  void start(const float* unary) {
    for (auto& term : terms_) term.begin(kernels_.row);
    pass(unary, false, nullptr);
    blur();
  }

  void step(const float* unary) {
    for (auto& term : terms_) term.clear_spare();
    pass(unary, true, nullptr);
    blur();
  }

  void finish(const float* unary, float* marginals) {
    for (auto& term : terms_) term.end();
    pass(unary, true, marginals);
  }

 private:
  void pass(const float* unary, bool sliced, float* marginals) {
    for (size_t b = 0; b < blocks_.size(); b++) {
      const auto block = static_cast<int64_t>(b);
      load(unary, blocks_[b]);
      if (sliced)
        for (auto& term : terms_)
          term.slice(kernels_, block, classes_, energy_.data(), scratch_.data());
      kernels_.softmax(kernels_.row, energy_.data());
      if (marginals)
        store(marginals, blocks_[b]);
      else
        for (auto& term : terms_) term.splat(kernels_, block, energy_.data());
    }
  }

  void blur() {
    for (auto& term : terms_) term.blur(kernels_);
  }

  segtasks::Buffer<float> columns(const float* matrix, float potts) const {
    if (potts >= 0) return {};
    auto padded = segtasks::Buffer<float>::zeros(int64_t{classes_} * kernels_.row);
    for (int row = 0; row < classes_; row++)
      for (int col = 0; col < classes_; col++)
        padded[col * kernels_.row + row] = matrix[row * classes_ + col];
    return padded;
  }

  void load(const float* unary, const segtasks::Block& block) {
    if (block.count == segtasks::BLOCK)
      return kernels_.load(unary + block.first, pixels_, classes_, kernels_.row, energy_.data());
    for (int k = 0; k < classes_; k++)
      for (int p = 0; p < segtasks::BLOCK; p++)
        whole_[k * segtasks::BLOCK + p] =
            p < block.count ? unary[k * pixels_ + block.first + p] : 0.0f;
    kernels_.load(whole_.data(), segtasks::BLOCK, classes_, kernels_.row, energy_.data());
  }

  void store(float* marginals, const segtasks::Block& block) {
    if (block.count == segtasks::BLOCK)
      return kernels_.store(energy_.data(), kernels_.row, classes_, pixels_,
                            marginals + block.first);
    kernels_.store(energy_.data(), kernels_.row, classes_, segtasks::BLOCK, whole_.data());
    for (int k = 0; k < classes_; k++)
      for (int p = 0; p < block.count; p++)
        marginals[k * pixels_ + block.first + p] = whole_[k * segtasks::BLOCK + p];
  }

  int64_t pixels_;
  int classes_;
  segtasks::Kernels kernels_;
  std::vector<segtasks::Block> blocks_;
  std::vector<segtasks::Term> terms_;
  segtasks::Buffer<float> energy_, scratch_, whole_;
};

namespace {

// No exception may leave for C.
template <class Call>
int status_of(Call call) noexcept {
  try {
    call();
    return SEGTASKS_OK;
  } catch (const std::bad_alloc&) {
    return SEGTASKS_NO_MEMORY;
  } catch (const std::domain_error&) {
    return SEGTASKS_BAD_FEATURES;
  } catch (const std::length_error&) {
    return SEGTASKS_TOO_LARGE;
  }
}

}  // namespace

int segtasks_field_new(int64_t pixels, int classes, const float* x, const float* y,
                       int plain, segtasks_field** made) {
  return status_of([&] { *made = new segtasks_field(pixels, classes, x, y, plain != 0); });
}

void segtasks_field_free(segtasks_field* field) { delete field; }

int segtasks_field_add(segtasks_field* field, const float* features, int dimensions,
                       const float* compatibility) {
  return status_of([&] { field->add(features, dimensions, compatibility); });
}

int segtasks_field_start(segtasks_field* field, const float* unary) {
  return status_of([&] { field->start(unary); });
}

void segtasks_field_step(segtasks_field* field, const float* unary) { field->step(unary); }

void segtasks_field_finish(segtasks_field* field, const float* unary, float* marginals) {
  field->finish(unary, marginals);
}
