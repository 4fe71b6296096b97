#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace mixln::worker::trainer::fsdp {

// Flat buffers that are lent for a while and used again: gathered parameters, gradients on their way.
class BufferPool {
 public:
  // `elements` of a type, with anything in them.
  at::Tensor Take(int64_t elements, at::ScalarType type);
  // Back again; `buffer` is let go of.
  void Give(at::Tensor& buffer);

 private:
  std::vector<at::Tensor> free_;
};

}  // namespace mixln::worker::trainer::fsdp
