#include "worker/trainer/memory/caching_allocator.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>

namespace mixln::worker::trainer::memory {
namespace {

constexpr size_t kMegabyte = size_t{1} << 20;

TEST(CachingAllocator, AlignsToCacheLines) {
  CachingAllocator allocator;
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{1000}, kMegabyte, 5 * kMegabyte + 3}) {
    const c10::DataPtr data = allocator.allocate(bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(data.get()) % 64, 0U) << bytes;
    std::memset(data.get(), 1, bytes);
  }
}

TEST(CachingAllocator, GivesALargeBlockOutAgain) {
  CachingAllocator allocator;
  const void* first = nullptr;
  {
    const c10::DataPtr data = allocator.allocate(3 * kMegabyte);
    first = data.get();
    EXPECT_EQ(allocator.kept_bytes(), 0U);
  }
  EXPECT_GE(allocator.kept_bytes(), 3 * kMegabyte);
  const c10::DataPtr again = allocator.allocate(3 * kMegabyte - 5);
  EXPECT_EQ(again.get(), first);
  EXPECT_EQ(allocator.kept_bytes(), 0U);
}

TEST(CachingAllocator, DoesNotWasteABlockOnASmallWish) {
  CachingAllocator allocator;
  { const c10::DataPtr data = allocator.allocate(64 * kMegabyte); }
  const c10::DataPtr small = allocator.allocate(8 * kMegabyte);
  EXPECT_GE(allocator.kept_bytes(), 64 * kMegabyte);
}

// Tensors are often whole huge pages long.
TEST(CachingAllocator, ItsOwnWordsTakeNoPageOfTheirOwn) {
  CachingAllocator allocator;
  { const c10::DataPtr data = allocator.allocate(4 * kMegabyte); }
  EXPECT_LE(allocator.kept_bytes(), 4 * kMegabyte + kMegabyte / 8);
}

TEST(CachingAllocator, KeepsNoSmallBlocks) {
  CachingAllocator allocator;
  { const c10::DataPtr data = allocator.allocate(1000); }
  EXPECT_EQ(allocator.kept_bytes(), 0U);
}

}  // namespace
}  // namespace mixln::worker::trainer::memory
