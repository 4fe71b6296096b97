#include "worker/trainer/kernels/swiglu.h"

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

template <typename T>
MIXLN_INLINE void Forward(const T* gate_up, T* out, int64_t columns, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    const T* __restrict__ gate = gate_up + row * 2 * columns;
    const T* __restrict__ up = gate + columns;
    T* __restrict__ y = out + row * columns;
    for (int64_t c = 0; c < columns; ++c) {
      const float z = Load(gate + c);
      Store(z / (1.0F + Exp(-z)) * Load(up + c), y + c);
    }
  }
}

// silu'(z) = s·(1 + z·(1 − s)) with s = 1/(1 + e^−z).
template <typename T>
MIXLN_INLINE void Backward(T* gate_up, const T* dout, int64_t columns, int64_t begin, int64_t end) {
  for (int64_t row = begin; row < end; ++row) {
    T* __restrict__ gate = gate_up + row * 2 * columns;
    T* __restrict__ up = gate + columns;
    const T* __restrict__ dy = dout + row * columns;
    for (int64_t c = 0; c < columns; ++c) {
      const float z = Load(gate + c);
      const float d = Load(dy + c);
      const float s = 1.0F / (1.0F + Exp(-z));
      Store(d * Load(up + c) * s * (1.0F + z * (1.0F - s)), gate + c);
      Store(d * z * s, up + c);
    }
  }
}

}  // namespace

MIXLN_CLONES void SwigluRows(const float* gate_up, float* out, int64_t columns, int64_t begin, int64_t end) {
  Forward(gate_up, out, columns, begin, end);
}
MIXLN_CLONES void SwigluRows(const Bf16* gate_up, Bf16* out, int64_t columns, int64_t begin, int64_t end) {
  Forward(gate_up, out, columns, begin, end);
}
MIXLN_CLONES void SwigluRowsBackward(float* gate_up, const float* dout, int64_t columns, int64_t begin,
                                     int64_t end) {
  Backward(gate_up, dout, columns, begin, end);
}
MIXLN_CLONES void SwigluRowsBackward(Bf16* gate_up, const Bf16* dout, int64_t columns, int64_t begin,
                                     int64_t end) {
  Backward(gate_up, dout, columns, begin, end);
}

}  // namespace mixln::worker::trainer::kernels
