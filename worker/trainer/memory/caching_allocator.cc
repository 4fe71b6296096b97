#include "worker/trainer/memory/caching_allocator.h"

#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace mixln::worker::trainer::memory {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kKeep = size_t{64} << 10;     // smaller blocks go back to malloc, which is good at them
constexpr size_t kHugePage = size_t{2} << 20;  // of x86
constexpr size_t kLargeUnit = size_t{64} << 10;
constexpr size_t kWaste = 8;  // a kept block may be larger by one part in so many

size_t RoundUp(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

void* FromSystem(size_t bytes) {
  void* memory = nullptr;
  if (posix_memalign(&memory, bytes >= kHugePage ? kHugePage : kAlignment, bytes) != 0)
    throw std::bad_alloc();
  // A wish: without it, small pages do. They do for the rest as well: most tensors are a few whole huge pages
  // long, and the header before the data would take one more.
  if (bytes >= kHugePage) madvise(memory, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
  return memory;
}

}  // namespace

// Lies right before the data.
struct alignas(kAlignment) CachingAllocator::Header {
  CachingAllocator* owner;
  size_t bytes;  // of the block, with the header
};

c10::DataPtr CachingAllocator::allocate(size_t bytes) {
  const size_t wanted = bytes + sizeof(Header);
  const size_t size = RoundUp(wanted, wanted >= kHugePage ? kLargeUnit : kAlignment);
  Header* block = nullptr;
  if (size >= kKeep) {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.lower_bound(size);
    if (found != kept_.end() && found->first <= size + size / kWaste) {
      block = found->second;
      kept_.erase(found);
    }
  }
  if (block == nullptr) block = new (FromSystem(size)) Header{this, size};
  // oneDNN asks for memory whose context is the pointer itself.
  void* data = block + 1;
  return {data, data, &Free, c10::Device(c10::DeviceType::CPU)};
}

c10::DeleterFnPtr CachingAllocator::raw_deleter() const {
  return &Free;
}

void CachingAllocator::copy_data(void* to, const void* from, size_t bytes) const {
  std::memcpy(to, from, bytes);
}

size_t CachingAllocator::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [size, block] : kept_) bytes += size;
  return bytes;
}

void CachingAllocator::Free(void* data) {
  if (data == nullptr) return;
  Header* block = static_cast<Header*>(data) - 1;
  if (block->bytes >= kKeep) {
    block->owner->Keep(block);
  } else {
    std::free(block);
  }
}

void CachingAllocator::Keep(Header* block) {
  const std::lock_guard lock(mutex_);
  kept_.emplace(block->bytes, block);
}

void UseCachingAllocator() {
  static auto* const allocator = new CachingAllocator;  // tensors may outlive everything else
  c10::SetCPUAllocator(allocator, /*priority=*/100);
}

}  // namespace mixln::worker::trainer::memory
