#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "worker/trainer/fsdp/collectives.h"

namespace mixln::worker::trainer::fsdp {

// Flat buffers that are lent for a while and used again: gathered parameters, gradients on their way. They
// come from the collectives that they are for.
class BufferPool {
 public:
  explicit BufferPool(Collectives& ranks) : ranks_(ranks) {}

  // `elements` of a type, with anything in them.
  at::Tensor Take(int64_t elements, at::ScalarType type);
  // Back again; `buffer` is let go of.
  void Give(at::Tensor& buffer);

 private:
  Collectives& ranks_;
  std::vector<at::Tensor> free_;
};

}  // namespace mixln::worker::trainer::fsdp
