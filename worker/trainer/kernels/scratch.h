#pragma once

#include <cstdint>
#include <memory>
#include <new>

namespace mixln::worker::trainer::kernels {

// Memory of a thread that is kept from task to task, aligned to cache lines.
template <typename T>
class Scratch {
 public:
  // Room for `count` elements with anything in them; what was there before is gone when more is asked for.
  T* Room(int64_t count) {
    if (count > count_) {
      memory_.reset(static_cast<T*>(::operator new(static_cast<size_t>(count) * sizeof(T), kAlignment)));
      count_ = count;
    }
    return memory_.get();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  struct Delete {
    void operator()(T* memory) const { ::operator delete(memory, kAlignment); }
  };
  std::unique_ptr<T, Delete> memory_;
  int64_t count_ = 0;
};

}  // namespace mixln::worker::trainer::kernels
