// A block of numbers whose contents start undefined; std::vector would write them all first.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace segtasks {

template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) : data_(allocated(size)), size_(size) {}
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  int64_t size() const { return size_; }
  void zero() { std::memset(static_cast<void*>(data_), 0, bytes(size_)); }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

 private:
  static size_t bytes(int64_t size) { return static_cast<size_t>(size) * sizeof(T); }

  static T* allocated(int64_t size) {
    constexpr size_t line = 64, huge_page = size_t{1} << 21;
    const size_t align = bytes(size) < huge_page ? line : huge_page;
    // Not above half of all addresses, where rounding up would wrap.
    if (size < 0 || static_cast<uint64_t>(size) > (uint64_t{1} << 62) / sizeof(T))
      throw std::bad_alloc();
    const size_t whole = (bytes(size) + line) / line * line;
    void* memory = nullptr;
    if (posix_memalign(&memory, align, whole) != 0) throw std::bad_alloc();
#if defined(__linux__)
    // Gathers go all over the lattice: with small pages most of them would miss the TLB.
    if (align == huge_page) madvise(memory, whole, MADV_HUGEPAGE);
#endif
    return static_cast<T*>(memory);
  }

  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace segtasks
