#include "worker/trainer/kernels/elementwise.h"

namespace mixln::worker::trainer::kernels {
namespace {

template <typename From, typename To>
MIXLN_INLINE void Scale(const From* __restrict__ from, float scale, To* __restrict__ to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) Store(scale * Load(from + i), to + i);
}

// `to` may be `x`.
template <typename Y>
MIXLN_INLINE void Add(const float* x, float a, const Y* __restrict__ y, float b, float* to, int64_t count) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) to[i] = a * x[i] + b * Load(y + i);
}

}  // namespace

MIXLN_CLONES void ScaleTo(const float* from, float scale, float* to, int64_t count) {
  Scale(from, scale, to, count);
}
MIXLN_CLONES void ScaleTo(const float* from, float scale, Bf16* to, int64_t count) {
  Scale(from, scale, to, count);
}
MIXLN_CLONES void ScaleTo(const Bf16* from, float scale, float* to, int64_t count) {
  Scale(from, scale, to, count);
}
MIXLN_CLONES void AddTo(const float* x, float a, const float* y, float b, float* to, int64_t count) {
  Add(x, a, y, b, to, count);
}
MIXLN_CLONES void AddTo(const float* x, float a, const Bf16* y, float b, float* to, int64_t count) {
  Add(x, a, y, b, to, count);
}

}  // namespace mixln::worker::trainer::kernels
