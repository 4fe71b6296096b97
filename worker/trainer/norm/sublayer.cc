#include "worker/trainer/norm/sublayer.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <stdexcept>

#include "worker/trainer/kernels/elementwise.h"

namespace mixln::worker::trainer::norm {
namespace {

constexpr int64_t kElements = 16384;  // of a thread at least

// scale·from in `type`: `from` itself where that changes nothing.
at::Tensor Scaled(const at::Tensor& from, double scale, at::ScalarType type) {
  if (scale == 1.0 && from.scalar_type() == type) return from;
  at::Tensor to = at::empty(from.sizes(), from.options().dtype(type));
  const auto factor = static_cast<float>(scale);
  at::parallel_for(0, from.numel(), kElements, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    if (from.scalar_type() == at::kBFloat16) {
      const auto* source = static_cast<const kernels::Bf16*>(from.const_data_ptr()) + begin;
      kernels::ScaleTo(source, factor, to.data_ptr<float>() + begin, count);
    } else if (type == at::kBFloat16) {
      auto* target = static_cast<kernels::Bf16*>(to.data_ptr()) + begin;
      kernels::ScaleTo(from.const_data_ptr<float>() + begin, factor, target, count);
    } else {
      kernels::ScaleTo(from.const_data_ptr<float>() + begin, factor, to.data_ptr<float>() + begin, count);
    }
  });
  return to;
}

// a·x + b·y in fp32.
at::Tensor Sum(const at::Tensor& x, double a, const at::Tensor& y, double b) {
  at::Tensor to = at::empty_like(x);
  const auto x_factor = static_cast<float>(a);
  const auto y_factor = static_cast<float>(b);
  at::parallel_for(0, x.numel(), kElements, [&](int64_t begin, int64_t end) {
    const int64_t count = end - begin;
    const float* left = x.const_data_ptr<float>() + begin;
    float* target = to.data_ptr<float>() + begin;
    if (y.scalar_type() == at::kBFloat16) {
      const auto* right = static_cast<const kernels::Bf16*>(y.const_data_ptr()) + begin;
      kernels::AddTo(left, x_factor, right, y_factor, target, count);
    } else {
      kernels::AddTo(left, x_factor, y.const_data_ptr<float>() + begin, y_factor, target, count);
    }
  });
  return to;
}

}  // namespace

Sublayer::Sublayer(const SublayerForm& form, Parameters parameters, at::ScalarType compute)
    : form_(form), parameters_(std::move(parameters)), compute_(compute) {
  if (!form.omega.empty() && form.stream_scale != 1.0) {
    throw std::invalid_argument("a sublayer's stream has a number or a vector as its weight, not both");
  }
}

at::Tensor Sublayer::Enter(const at::Tensor& x) {
  x_ = x;
  if (form_.before.empty()) return Scaled(x, form_.input_scale, compute_);
  return Normalize(parameters_.before, form_.input_scale, x, 1.0, at::Tensor(), compute_, &before_);
}

at::Tensor Sublayer::Inner(const at::Tensor& branch) {
  if (form_.inner.empty()) return branch;
  return Normalize(parameters_.inner, 1.0, Scaled(branch, 1.0, at::kFloat), 1.0, at::Tensor(), at::kFloat,
                   &inner_);
}

at::Tensor Sublayer::Add(const at::Tensor& stream, const at::Tensor& inner) {
  if (form_.after.empty()) return Sum(stream, form_.stream_scale, inner, 1.0);
  return Normalize(parameters_.after, 1.0, stream, form_.stream_scale, inner, at::kFloat, &after_);
}

at::Tensor Sublayer::Stream() const {
  return form_.omega.empty() ? x_ : ScaleStream(parameters_.omega, x_);
}

at::Tensor Sublayer::Leave(const at::Tensor& branch) {
  return Add(Stream(), Inner(branch));
}

at::Tensor Sublayer::LeaveAndMeasure(const at::Tensor& branch, Summands& summands) {
  const at::Tensor stream = Stream();
  const at::Tensor inner = Inner(branch);
  summands.stream += MomentsOf(Scaled(stream, form_.stream_scale, at::kFloat));
  summands.branch += MomentsOf(inner);
  return Add(stream, inner);
}

at::Tensor Sublayer::LeaveBackward(const at::Tensor& dnext) {
  dsum_ = form_.after.empty() ? dnext
                              : NormalizeBackward(parameters_.after, 1.0, after_, dnext, at::Tensor(), 0.0);
  after_ = {};
  at::Tensor db = dsum_;
  if (!form_.inner.empty()) {
    db = NormalizeBackward(parameters_.inner, 1.0, inner_, dsum_, at::Tensor(), 0.0);
    inner_ = {};
  }
  return Scaled(db, 1.0, compute_);
}

at::Tensor Sublayer::EnterBackward(const at::Tensor& dinput) {
  at::Tensor dsum = std::move(dsum_);
  const NormSaved before = std::move(before_);
  dsum_ = at::Tensor();
  before_ = {};
  if (!form_.omega.empty()) dsum = ScaleStreamBackward(parameters_.omega, x_, dsum);
  x_ = at::Tensor();
  if (form_.before.empty()) return Sum(dsum, form_.stream_scale, dinput, form_.input_scale);
  return NormalizeBackward(parameters_.before, form_.input_scale, before, dinput, dsum, form_.stream_scale);
}

}  // namespace mixln::worker::trainer::norm
