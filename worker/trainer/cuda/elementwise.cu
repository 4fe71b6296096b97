#include "worker/trainer/cuda/kernels.h"
#include "worker/trainer/cuda/launch.h"

namespace mixln::worker::trainer::cuda {
namespace {

using kernels::Load;
using kernels::Store;

template <typename From, typename To>
__global__ void ScaleKernel(const From* from, float scale, To* to, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) Store(scale * Load(from + i), to + i);
}

template <typename Y>
__global__ void AddKernel(const float* x, float a, const Y* y, float b, float* to, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) to[i] = a * x[i] + b * Load(y + i);
}

template <typename T>
__global__ void RotateKernel(kernels::Rope rope, T* rows, int64_t stride, int64_t heads, int64_t time,
                             float sign, int64_t count) {
  const int64_t pairs = heads * rope.half;
  for (int64_t i = FirstElement(); i < count * pairs; i += ElementStride()) {
    const int64_t row = i / pairs;
    const int64_t head = i % pairs / rope.half;
    const int64_t element = i % rope.half;
    const int64_t angle = row % time * rope.half + element;
    T* first = rows + row * stride + head * 2 * rope.half + element;
    T* second = first + rope.half;
    const float a = Load(first);
    const float b = Load(second);
    const float c = rope.cosines[angle];
    const float s = sign * rope.sines[angle];
    Store(a * c - b * s, first);
    Store(b * c + a * s, second);
  }
}

template <typename T>
__global__ void SwigluKernel(const T* gate_up, T* out, int64_t columns, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) {
    const T* gate = gate_up + i / columns * 2 * columns + i % columns;
    const float z = Load(gate);
    Store(z / (1.0F + expf(-z)) * Load(gate + columns), out + i);
  }
}

// silu'(z) = s·(1 + z·(1 − s)) with s the sigmoid of z.
template <typename T>
__global__ void SwigluBackwardKernel(T* gate_up, const T* dout, int64_t columns, int64_t count) {
  for (int64_t i = FirstElement(); i < count; i += ElementStride()) {
    T* gate = gate_up + i / columns * 2 * columns + i % columns;
    T* up = gate + columns;
    const float z = Load(gate);
    const float d = Load(dout + i);
    const float s = 1.0F / (1.0F + expf(-z));
    Store(d * Load(up) * s * (1.0F + z * (1.0F - s)), gate);
    Store(d * z * s, up);
  }
}

}  // namespace

template <typename From, typename To>
void ScaleTo(Stream stream, const From* from, float scale, To* to, int64_t count) {
  Launch(ScaleKernel<From, To>, BlocksFor(count), stream, from, scale, to, count);
}
template void ScaleTo(Stream, const float*, float, float*, int64_t);
template void ScaleTo(Stream, const float*, float, Bf16*, int64_t);
template void ScaleTo(Stream, const Bf16*, float, float*, int64_t);

template <typename Y>
void AddTo(Stream stream, const float* x, float a, const Y* y, float b, float* to, int64_t count) {
  Launch(AddKernel<Y>, BlocksFor(count), stream, x, a, y, b, to, count);
}
template void AddTo(Stream, const float*, float, const float*, float, float*, int64_t);
template void AddTo(Stream, const float*, float, const Bf16*, float, float*, int64_t);

template <typename T>
void Rotate(Stream stream, const kernels::Rope& rope, T* rows, int64_t stride, int64_t heads, int64_t time,
            bool inverse, int64_t count) {
  Launch(RotateKernel<T>, BlocksFor(count * heads * rope.half), stream, rope, rows, stride, heads, time,
         inverse ? -1.0F : 1.0F, count);
}
template void Rotate(Stream, const kernels::Rope&, float*, int64_t, int64_t, int64_t, bool, int64_t);
template void Rotate(Stream, const kernels::Rope&, Bf16*, int64_t, int64_t, int64_t, bool, int64_t);

template <typename T>
void Swiglu(Stream stream, const T* gate_up, T* out, int64_t columns, int64_t rows) {
  Launch(SwigluKernel<T>, BlocksFor(rows * columns), stream, gate_up, out, columns, rows * columns);
}
template void Swiglu(Stream, const float*, float*, int64_t, int64_t);
template void Swiglu(Stream, const Bf16*, Bf16*, int64_t, int64_t);

template <typename T>
void SwigluBackward(Stream stream, T* gate_up, const T* dout, int64_t columns, int64_t rows) {
  Launch(SwigluBackwardKernel<T>, BlocksFor(rows * columns), stream, gate_up, dout, columns, rows * columns);
}
template void SwigluBackward(Stream, float*, const float*, int64_t, int64_t);
template void SwigluBackward(Stream, Bf16*, const Bf16*, int64_t, int64_t);

}  // namespace mixln::worker::trainer::cuda
