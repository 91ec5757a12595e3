// From a vertex's coordinates to its number: a hash table with open addressing.
//
// Vertices are numbered 1, 2, ... in the order in which they are first met, so that those of pixels
// near each other lie near each other in memory. 0 is no vertex.
#pragma once

#include <cstdint>
#include <stdexcept>

#include "buffer.h"

namespace segtasks {

// All coordinates, packed without loss: see LatticeKeys. Sums of keys are keys of sums.
template <int WORDS>
struct Key {
  uint64_t word[WORDS];

  Key& operator+=(const Key& other) {
    for (int i = 0; i < WORDS; i++) word[i] += other.word[i];
    return *this;
  }
  bool operator==(const Key& other) const {
    bool same = true;
    for (int i = 0; i < WORDS; i++) same &= word[i] == other.word[i];
    return same;
  }
  uint64_t hash() const {
    // Multiplicative hashing (Knuth, TAOCP 6.4): the high bits are the good ones.
    uint64_t sum = 0;
    for (int i = 0; i < WORDS; i++) sum = (sum ^ word[i]) * 0x9e3779b97f4a7c15u;
    return sum;
  }
};

template <int WORDS>
class VertexTable {
 public:
  explicit VertexTable(int64_t expected) {
    while ((int64_t{1} << bits_) < SLOTS_PER_VERTEX * expected) bits_++;
    slots_ = Buffer<uint32_t>::zeros(int64_t{1} << bits_);
    keys_ = Buffer<Key<WORDS>>(slots_.size() / SLOTS_PER_VERTEX + 1);
  }

  // One more than the highest number.
  int64_t end() const { return end_; }
  const Key<WORDS>& key(int64_t vertex) const { return keys_[vertex]; }
  void prefetch(const Key<WORDS>& key) const { __builtin_prefetch(&slots_[slot(key)]); }

  uint32_t find(const Key<WORDS>& key) const {
    for (int64_t at = slot(key);; at = (at + 1) & mask()) {
      const uint32_t vertex = slots_[at];
      if (vertex == 0 || keys_[vertex] == key) return vertex;
    }
  }

  uint32_t find_or_add(const Key<WORDS>& key) {
    int64_t at = slot(key);
    for (; slots_[at] != 0; at = (at + 1) & mask())
      if (keys_[slots_[at]] == key) return slots_[at];
    if (end_ == keys_.size()) {
      grow();
      return find_or_add(key);
    }
    keys_[end_] = key;
    return slots_[at] = static_cast<uint32_t>(end_++);
  }

 private:
  int64_t slot(const Key<WORDS>& key) const {
    return static_cast<int64_t>(key.hash() >> (64 - bits_));
  }
  int64_t mask() const { return slots_.size() - 1; }

  void grow() {
    if (bits_ >= 32) throw std::length_error("more than 2^30 vertices");
    Buffer<Key<WORDS>> keys(2 * keys_.size());
    std::memcpy(keys.data(), keys_.data(), static_cast<size_t>(end_) * sizeof(Key<WORDS>));
    keys_.swap(keys);
    slots_ = Buffer<uint32_t>();
    slots_ = Buffer<uint32_t>::zeros(int64_t{1} << ++bits_);
    for (int64_t vertex = 1; vertex < end_; vertex++) {
      int64_t at = slot(keys_[vertex]);
      while (slots_[at] != 0) at = (at + 1) & mask();
      slots_[at] = static_cast<uint32_t>(vertex);
    }
  }

  // Sparse, so that the first slot is nearly always the right one: a misprediction costs more than a
  // miss in the cache.
  static constexpr int64_t SLOTS_PER_VERTEX = 4;

  int bits_ = 10;
  int64_t end_ = 1;
  Buffer<uint32_t> slots_;
  Buffer<Key<WORDS>> keys_;
};

}  // namespace segtasks
