// Memory of tensors. A training step takes and gives back the same large blocks again and again; from the
// system each of them would come as fresh pages, which cost more time than many a kernel. So blocks are kept
// for the next one of about their size, and large ones lie on huge pages where the system allows it.
#pragma once

#include <c10/core/Allocator.h>

#include <map>
#include <mutex>

namespace mixln::worker::trainer::memory {

class CachingAllocator : public c10::Allocator {
 public:
  // Aligned to 64 bytes. Throws std::bad_alloc.
  c10::DataPtr allocate(size_t bytes) override;
  c10::DeleterFnPtr raw_deleter() const override;
  void copy_data(void* to, const void* from, size_t bytes) const override;

  // Of the blocks that are kept for later.
  size_t kept_bytes() const;

 private:
  struct Header;
  static void Free(void* data);
  void Keep(Header* block);

  mutable std::mutex mutex_;
  std::multimap<size_t, Header*> kept_;  // by size
};

// Lets all tensors on CPUs made from now on use the one of the process. Before the first tensor.
void UseCachingAllocator();

}  // namespace mixln::worker::trainer::memory
