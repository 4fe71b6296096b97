#include <ATen/Parallel.h>

#include "worker/trainer/cpu/operations.h"
#include "worker/trainer/gemm/element.h"
#include "worker/trainer/kernels/rope.h"
#include "worker/trainer/kernels/swiglu.h"

namespace mixln::worker::trainer::cpu {
namespace {

using gemm::Data;
using gemm::WithElement;

constexpr int64_t kRows = 16;  // of a thread at least

}  // namespace

void Rotate(const device::Rope& rope, const at::Tensor& rows, int64_t heads, int64_t time, bool back) {
  const kernels::Rope angles{rope.cosines.const_data_ptr<float>(), rope.sines.const_data_ptr<float>(),
                             rope.cosines.size(1)};
  WithElement(rows.scalar_type(), [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, rows.size(0), kRows, [&](int64_t begin, int64_t end) {
      kernels::RotateRows(angles, Data<T>(rows), rows.size(1), heads, time, back, begin, end);
    });
  });
}

void Swiglu(const at::Tensor& gate_up, const at::Tensor& out) {
  WithElement(out.scalar_type(), [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, out.size(0), kRows, [&](int64_t begin, int64_t end) {
      kernels::SwigluRows(Data<T>(gate_up), Data<T>(out), out.size(1), begin, end);
    });
  });
}

void SwigluBackward(const at::Tensor& gate_up, const at::Tensor& dout) {
  WithElement(dout.scalar_type(), [&](auto element) {
    using T = decltype(element);
    at::parallel_for(0, dout.size(0), kRows, [&](int64_t begin, int64_t end) {
      kernels::SwigluRowsBackward(Data<T>(gate_up), Data<T>(dout), dout.size(1), begin, end);
    });
  });
}

}  // namespace mixln::worker::trainer::cpu
