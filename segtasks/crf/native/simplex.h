// In which simplex of the permutohedral lattice a point lies, and where in it.
//
// Adams, Baek & Davis 2010, Fast High-Dimensional Filtering Using the Permutohedral Lattice,
// https://graphics.stanford.edu/papers/permutohedral: §3.1 (elevation), Algorithm 1 (rounding and
// ranks), Proposition 5.2 (barycentric coordinates). The order of the floating point operations is
// pydensecrf's, so that no point falls on the other side of a face.
#pragma once

#include "kernels.h"
#include "vectors.h"

namespace {

constexpr int GROUP = 8;  // points at a time
using Group = Lanes<GROUP>::Floats;
using GroupInts = Lanes<GROUP>::Ints;

// y = E x: from d features to the plane of d + 1 coordinates that sum to 0.
inline void elevate(const Group* scaled, int d, Group* y) {
  Group sum = {};
  for (int j = d; j > 0; j--) {
    y[j] = sum - scaled[j - 1] * static_cast<float>(j);
    sum += scaled[j - 1];
  }
  y[0] = sum;
}

// Nearest vertices of colour 0, coordinate by coordinate, and by how many cells they leave the plane.
inline GroupInts round_to_colour_0(const Group* y, int corners, GroupInts* cell) {
  constexpr float rounder = 12582912.0f;  // 1.5 * 2^23, see vectors.h
  constexpr int32_t rounder_bits = 0x4b400000;
  const float per_cell = 1.0f / static_cast<float>(corners);
  GroupInts excess = {};
  for (int i = 0; i < corners; i++) {
    cell[i] = reinterpret_cast<GroupInts>(y[i] * per_cell + rounder) - rounder_bits;
    excess += cell[i];
  }
  return excess;
}

// rank[i]: how many coordinates lie further above their vertex than coordinate i.
inline void rank_differences(const Group* difference, int corners, GroupInts* rank) {
  for (int i = 0; i < corners; i++) rank[i] = GroupInts{};
  for (int i = 0; i < corners; i++) {
    for (int j = i + 1; j < corners; j++) {
      const GroupInts less = difference[i] < difference[j];  // -1 where true
      rank[i] -= less;
      rank[j] += less + 1;
    }
  }
}

// One group of points; CORNERS is d + 1, or 0 where it is only known at run time.
template <int CORNERS>
inline void locate(const Group* scaled, int d, int first, segtasks::Simplices& found) {
  const int corners = CORNERS ? CORNERS : d + 1;
  Group y[segtasks::MOST_CORNERS], difference[segtasks::MOST_CORNERS];
  GroupInts cell[segtasks::MOST_CORNERS], rank[segtasks::MOST_CORNERS];
  elevate(scaled, corners - 1, y);
  const GroupInts excess = round_to_colour_0(y, corners, cell);
  for (int i = 0; i < corners; i++)
    difference[i] = y[i] - __builtin_convertvector(cell[i] * corners, Group);
  rank_differences(difference, corners, rank);
  const float per_cell = 1.0f / static_cast<float>(corners);
  float above[segtasks::MOST_CORNERS][GROUP];
  int32_t place[segtasks::MOST_CORNERS][GROUP];
  for (int i = 0; i < corners; i++) {
    // Back into the plane: the most extreme coordinates go to the next vertex.
    rank[i] += excess;
    const GroupInts below = rank[i] < 0, beyond = rank[i] >= corners;  // -1 where true
    rank[i] += (beyond - below) * corners;
    cell[i] += beyond - below;
    const GroupInts vertex = cell[i] * corners;
    const Group part = (y[i] - __builtin_convertvector(vertex, Group)) * per_cell;
    const GroupInts from_top = (corners - 1) - rank[i];
    __builtin_memcpy(above[i], &part, sizeof part);
    __builtin_memcpy(place[i], &from_top, sizeof from_top);
    __builtin_memcpy(&found.origin[i][first], &vertex, sizeof vertex);
  }
  for (int p = 0; p < GROUP; p++) {
    float descending[segtasks::MOST_CORNERS] = {};
    uint8_t* order = found.order + (first + p) * corners;
    for (int i = 0; i < corners; i++) {
      descending[place[i][p]] = above[i][p];
      order[place[i][p]] = static_cast<uint8_t>(i);
    }
    float* weight = found.weight + (first + p) * corners;
    weight[0] = descending[0] + (1.0f - descending[corners - 1]);
    for (int k = 1; k < corners; k++) weight[k] = descending[k] - descending[k - 1];
  }
}

template <int CORNERS>
void simplices(const float* const* feature, int d, const float* scale, segtasks::Simplices& found) {
  for (int first = 0; first < segtasks::BLOCK; first += GROUP) {
    Group scaled[segtasks::MOST_DIMENSIONS];
    for (int i = 0; i < d; i++) {
      __builtin_memcpy(&scaled[i], feature[i] + first, sizeof(Group));
      scaled[i] *= scale[i];
    }
    locate<CORNERS>(scaled, d, first, found);
  }
}

}  // namespace
