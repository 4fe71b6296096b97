#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/trainer/gemm/element.h"
#include "worker/trainer/kernels/bf16.h"

// Operands as they are stored and as they are multiplied: float and Bf16 as themselves, WidenedBf16 as float.
namespace mixln::worker::trainer::gemm {

// What elements of a type are multiplied as, and the depth of one call: its operands fit into the second
// cache, which is smaller where there is no bf16.
template <typename T>
struct Multiplied {
  using Element = T;
  static constexpr int64_t kDepth = 2048;
};
template <>
struct Multiplied<float> {
  using Element = float;
  static constexpr int64_t kDepth = 512;
};
template <>
struct Multiplied<kernels::WidenedBf16> : Multiplied<float> {};

// Elements of a word, in which packed operands are counted (kernels/pack.h).
template <typename Element>
inline constexpr auto kElementsOfWord = static_cast<int64_t>(sizeof(uint32_t) / sizeof(Element));

// Words from one row of a packed left operand to the next: rows a cache line apart beyond a power of two do
// not displace each other.
inline int64_t RowWords(int64_t words) {
  return (words + 15) / 16 * 16 + 16;
}

inline int64_t Pieces(int64_t whole, int64_t part) {
  return (whole + part - 1) / part;
}

// Calls `work` with an element of what is stored as one type and multiplied as another.
template <typename Work>
void WithOperand(at::ScalarType stored, at::ScalarType multiplied, Work work) {
  if (stored == multiplied) {
    WithElement(stored, work);
  } else {
    work(kernels::WidenedBf16{});
  }
}

}  // namespace mixln::worker::trainer::gemm
