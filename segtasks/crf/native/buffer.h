// A block of numbers whose contents start undefined; std::vector would write them all first.
//
// Large ones come from the kernel and go back to it at once: through malloc, what the building of
// one lattice leaves free would stay beside the next one.
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
  explicit Buffer(int64_t size) : size_(size) { allocate(); }
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { release(); }

  static Buffer zeros(int64_t size) {
    Buffer made(size);
    if (!made.is_mapped()) made.zero();  // the kernel's pages are
    return made;
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  int64_t size() const { return size_; }
  void zero() { std::memset(static_cast<void*>(data_), 0, bytes()); }
  void swap(Buffer& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }

 private:
  size_t bytes() const { return static_cast<size_t>(size_) * sizeof(T); }

  void allocate() {
    constexpr size_t line = 64;
    // Below half of all addresses, where no rounding wraps.
    if (size_ < 0 || static_cast<uint64_t>(size_) > (uint64_t{1} << 62) / sizeof(T))
      throw std::bad_alloc();
    void* memory = nullptr;
    if (is_mapped())
      memory = mapped();
    else if (posix_memalign(&memory, line, bytes() + line) != 0)
      memory = nullptr;
    if (!memory) throw std::bad_alloc();
    data_ = static_cast<T*>(memory);
  }

#if defined(__linux__)
  bool is_mapped() const { return bytes() >= size_t{1} << 21; }
  void* mapped() const {
    void* memory =
        mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    // Gathers go all over the lattice: with small pages most of them would miss the TLB.
    madvise(memory, bytes(), MADV_HUGEPAGE);
    return memory;
  }
  void release() {
    if (data_ && is_mapped())
      munmap(data_, bytes());
    else
      std::free(data_);
  }
#else
  bool is_mapped() const { return false; }
  void* mapped() const { return nullptr; }
  void release() { std::free(data_); }
#endif

  T* data_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace segtasks
