#include "worker/trainer/kernels/swiglu.h"

#include <algorithm>

#include "worker/trainer/kernels/vector.h"

namespace mixln::worker::trainer::kernels {
namespace {

constexpr int64_t kPiece = 64;

// sigmoid[i] = 1/(1 + e^−z[i]) of at most kPiece elements.
template <typename L, typename T>
MIXLN_INLINE void Sigmoid(const T* z, float* sigmoid, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sigmoid[i] = -Load(z + i);
  ExpRow<L>(sigmoid, 0.0F, count);
  for (int64_t i = 0; i < count; ++i) sigmoid[i] = 1.0F / (1.0F + sigmoid[i]);
}

template <typename L, typename T>
MIXLN_INLINE void Forward(const T* gate_up, T* out, int64_t columns, int64_t begin, int64_t end) {
  float sigmoid[kPiece];
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t first = 0; first < columns; first += kPiece) {
      const int64_t count = std::min(kPiece, columns - first);
      const T* __restrict__ gate = gate_up + row * 2 * columns + first;
      const T* __restrict__ up = gate + columns;
      T* __restrict__ y = out + row * columns + first;
      Sigmoid<L>(gate, sigmoid, count);
      for (int64_t i = 0; i < count; ++i) Store(Load(gate + i) * sigmoid[i] * Load(up + i), y + i);
    }
  }
}

// silu'(z) = s·(1 + z·(1 − s)) with s the sigmoid of z.
template <typename L, typename T>
MIXLN_INLINE void Backward(T* gate_up, const T* dout, int64_t columns, int64_t begin, int64_t end) {
  float sigmoid[kPiece];
  for (int64_t row = begin; row < end; ++row) {
    for (int64_t first = 0; first < columns; first += kPiece) {
      const int64_t count = std::min(kPiece, columns - first);
      T* __restrict__ gate = gate_up + row * 2 * columns + first;
      T* __restrict__ up = gate + columns;
      const T* __restrict__ dy = dout + row * columns + first;
      Sigmoid<L>(gate, sigmoid, count);
      for (int64_t i = 0; i < count; ++i) {
        const float z = Load(gate + i);
        const float d = Load(dy + i);
        const float s = sigmoid[i];
        Store(d * Load(up + i) * s * (1.0F + z * (1.0F - s)), gate + i);
        Store(d * z * s, up + i);
      }
    }
  }
}

}  // namespace

MIXLN_CLONES void SwigluRows(const float* gate_up, float* out, int64_t columns, int64_t begin, int64_t end) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Forward<decltype(lanes)>(gate_up, out, columns, begin, end);
  });
}
MIXLN_CLONES void SwigluRows(const Bf16* gate_up, Bf16* out, int64_t columns, int64_t begin, int64_t end) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Forward<decltype(lanes)>(gate_up, out, columns, begin, end);
  });
}
MIXLN_CLONES void SwigluRowsBackward(float* gate_up, const float* dout, int64_t columns, int64_t begin,
                                     int64_t end) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Backward<decltype(lanes)>(gate_up, dout, columns, begin, end);
  });
}
MIXLN_CLONES void SwigluRowsBackward(Bf16* gate_up, const Bf16* dout, int64_t columns, int64_t begin,
                                     int64_t end) {
  WithLanes([&](auto lanes) __attribute__((always_inline)) {
    Backward<decltype(lanes)>(gate_up, dout, columns, begin, end);
  });
}

}  // namespace mixln::worker::trainer::kernels
