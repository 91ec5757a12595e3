// Small vectors of floats, and the two functions softmax needs of them.
//
// GCC's vector extension is plain C++ to every target: four SSE lanes, eight AVX lanes, NEON or
// scalars come of the same lines. No function here multiplies and adds in one rounding (setup.py
// says -ffp-contract=off) and every sum has a fixed order: the marginals are the same bits on every
// machine.
//
// Everything has internal linkage: each file that includes this is compiled for another
// instruction set, and the linker must not pick one copy for all.
#pragma once

#include <cstdint>

#if defined(__clang__)
#define SEGTASKS_SHUFFLE2(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SEGTASKS_SHUFFLE2(a, b, ...) __builtin_shuffle(a, b, decltype((a) < (b)){__VA_ARGS__})
#endif
#define SEGTASKS_SHUFFLE(vector, ...) SEGTASKS_SHUFFLE2(vector, vector, __VA_ARGS__)

namespace {

template <int LANES>
struct Lanes;
template <>
struct Lanes<2> {
  using Floats = float __attribute__((vector_size(8)));
  using Ints = int32_t __attribute__((vector_size(8)));
};
template <>
struct Lanes<4> {
  using Floats = float __attribute__((vector_size(16)));
  using Ints = int32_t __attribute__((vector_size(16)));
};
template <>
struct Lanes<8> {
  using Floats = float __attribute__((vector_size(32)));
  using Ints = int32_t __attribute__((vector_size(32)));
};
using Floats2 = Lanes<2>::Floats;
using Floats4 = Lanes<4>::Floats;
using Floats8 = Lanes<8>::Floats;

template <class Floats>
inline Floats larger(Floats a, Floats b) {
  return a > b ? a : b;
}

// The highest of the lanes, in all lanes.
inline Floats2 spread_max(Floats2 v) { return larger(v, SEGTASKS_SHUFFLE(v, 1, 0)); }
inline Floats4 spread_max(Floats4 v) {
  v = larger(v, SEGTASKS_SHUFFLE(v, 2, 3, 0, 1));
  return larger(v, SEGTASKS_SHUFFLE(v, 1, 0, 3, 2));
}
inline Floats8 spread_max(Floats8 v) {
  v = larger(v, SEGTASKS_SHUFFLE(v, 4, 5, 6, 7, 0, 1, 2, 3));
  v = larger(v, SEGTASKS_SHUFFLE(v, 2, 3, 0, 1, 6, 7, 4, 5));
  return larger(v, SEGTASKS_SHUFFLE(v, 1, 0, 3, 2, 5, 4, 7, 6));
}

// The sum of the lanes, in all lanes.
inline Floats2 spread_sum(Floats2 v) { return v + SEGTASKS_SHUFFLE(v, 1, 0); }
inline Floats4 spread_sum(Floats4 v) {
  v += SEGTASKS_SHUFFLE(v, 2, 3, 0, 1);
  return v + SEGTASKS_SHUFFLE(v, 1, 0, 3, 2);
}
inline Floats8 spread_sum(Floats8 v) {
  v += SEGTASKS_SHUFFLE(v, 4, 5, 6, 7, 0, 1, 2, 3);
  v += SEGTASKS_SHUFFLE(v, 2, 3, 0, 1, 6, 7, 4, 5);
  return v + SEGTASKS_SHUFFLE(v, 1, 0, 3, 2, 5, 4, 7, 6);
}

// exp(x) for x <= 0: relative error below 2e-7 down to -87, 0 beyond (where floats end).
//
// exp(x) = 2^n exp(r), n = round(x / ln 2), |r| <= ln 2 / 2; the polynomial is that of Cephes' expf
// (Moshier 1992). ln 2 is subtracted in two parts, the first of few bits, so that r is exact.
template <int LANES>
inline typename Lanes<LANES>::Floats exp_of_negative(typename Lanes<LANES>::Floats x) {
  using Floats = typename Lanes<LANES>::Floats;
  using Ints = typename Lanes<LANES>::Ints;
  constexpr float lowest = -87.0f;
  const Floats least = Floats{} + lowest;
  const Ints vanishes = x < least;
  x = larger(x, least);
  // Adding 1.5 * 2^23 rounds to a whole number and leaves it in the low bits.
  constexpr float rounder = 12582912.0f;
  const Floats shifted = x * 1.44269504088896341f + rounder;
  const Floats n = shifted - rounder;
  const Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * (r * r) + r) + 1.0f;
  const Ints scaled = reinterpret_cast<Ints>(p) + (reinterpret_cast<Ints>(shifted) << 23);
  return reinterpret_cast<Floats>(scaled & ~vanishes);
}

}  // namespace
