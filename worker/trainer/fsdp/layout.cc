#include "worker/trainer/fsdp/layout.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace mixln::worker::trainer::fsdp {
namespace {

// 64 bytes of bf16; twice that of fp32.
constexpr int64_t kAlignment = 32;

int64_t Aligned(int64_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Layout MakeLayout(const std::vector<ParameterSpec>& parameters) {
  Layout layout;
  int64_t matrices = 0;
  int64_t vectors = 0;
  for (const ParameterSpec& parameter : parameters) {
    Segment segment;
    segment.name = parameter.name;
    segment.shape = parameter.shape;
    segment.decays = !segment.is_vector();
    int64_t& end = segment.is_vector() ? vectors : matrices;
    segment.offset = parameter.joined ? end : Aligned(end);
    segment.size =
        std::accumulate(parameter.shape.begin(), parameter.shape.end(), int64_t{1}, std::multiplies<>());
    end = segment.offset + segment.size;
    layout.segments.push_back(std::move(segment));
  }
  layout.matrices = Aligned(matrices);
  layout.vectors = Aligned(vectors);
  return layout;
}

Range OwnedBy(int rank, int world_size, int64_t size) {
  const int64_t part = Aligned((size + world_size - 1) / world_size);
  return {rank * part, part};
}

Range Overlap(const Range& a, const Range& b) {
  const int64_t begin = std::max(a.begin, b.begin);
  const int64_t end = std::min(a.begin + a.elements, b.begin + b.elements);
  return begin < end ? Range{begin - a.begin, end - begin} : Range{};
}

}  // namespace mixln::worker::trainer::fsdp
