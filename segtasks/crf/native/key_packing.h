// How a vertex's d coordinates fit into few 64-bit words, exactly: as digits of mixed radix.
//
// A digit's range is that of its coordinate over the window, so in nearly all cases one word does.
// Adding keys adds coordinates, as no digit ever overflows.
#pragma once

#include <cmath>
#include <stdexcept>

#include "kernels.h"
#include "vertex_table.h"

namespace segtasks {

constexpr int MOST_WORDS = 8;

class KeyPacking {
 public:
  // features: (d, pixels). Throws std::domain_error if one is not finite or too large.
  KeyPacking(const float* features, int d, int64_t pixels) : d_(d) {
    double low[MOST_DIMENSIONS], high[MOST_DIMENSIONS];
    for (int i = 0; i < d; i++) {
      scale_[i] = static_cast<float>(1.0 / std::sqrt((i + 2.0) * (i + 1.0)) * std_per_cell(d));
      bounds(features + i * pixels, pixels, &low[i], &high[i]);
      low[i] *= scale_[i], high[i] *= scale_[i];
    }
    set_digits(low, high);
  }

  int words() const { return word_[d_ - 1] + 1; }
  const float* scale() const { return scale_; }

  // The part of one coordinate in a key. Coordinate d is implied by the others: 0.
  template <int WORDS>
  void add(int axis, int64_t steps, Key<WORDS>* key) const {
    if (axis < d_) key->word[word_[axis]] += static_cast<uint64_t>(steps) * place_[axis];
  }

 private:
  // Standard deviation of splat, blur and slice together (Adams et al., §4.1), in lattice units.
  static float std_per_cell(int d) {
    return static_cast<float>(std::sqrt(2.0 / 3.0) * (d + 1));
  }

  static void bounds(const float* values, int64_t count, double* low, double* high) {
    float least = 0, most = 0;  // zero is always among them: see Lattice
    bool ordered = true;
    for (int64_t i = 0; i < count; i++) {
      least = values[i] < least ? values[i] : least;
      most = values[i] > most ? values[i] : most;
      ordered &= values[i] == values[i];
    }
    if (!ordered) throw std::domain_error("feature is not a number");
    *low = least, *high = most;
  }

  void set_digits(const double* low, const double* high) {
    // Whole numbers up to here leave a float enough digits for the place within a simplex.
    constexpr double farthest = 1 << 20;
    double place = 1, sum_low = 0, sum_high = 0;
    int word = 0;
    for (int j = d_; j > 0; j--) sum_low += low[j - 1], sum_high += high[j - 1];
    for (int axis = 0; axis < d_; axis++) {
      // Coordinate `axis` is the sum of all later ones less `axis` times the one before.
      if (axis > 0) sum_low -= low[axis - 1], sum_high -= high[axis - 1];
      const double before_low = axis ? axis * low[axis - 1] : 0;
      const double before_high = axis ? axis * high[axis - 1] : 0;
      const double least = sum_low - before_high, most = sum_high - before_low;
      if (!(-farthest < least && most < farthest)) throw std::domain_error("feature is too large");
      const double range = std::ceil(most - least) + 4.0 * (d_ + 1);  // and neighbours
      if (place * range > 0x1p63) place = 1, word++;
      word_[axis] = word;
      place_[axis] = static_cast<uint64_t>(place);
      place *= range;
    }
  }

  int d_;
  float scale_[MOST_DIMENSIONS];
  int word_[MOST_DIMENSIONS];
  uint64_t place_[MOST_DIMENSIONS];
};

}  // namespace segtasks
