#include "worker/trainer/norm/sublayer.h"

#include <ATen/Functions.h>

#include <stdexcept>

namespace mixln::worker::trainer::norm {
Sublayer::Sublayer(const device::Device& device, const SublayerForm& form, Parameters parameters,
                   at::ScalarType compute)
    : device_(&device), form_(form), parameters_(std::move(parameters)), compute_(compute) {
  if (!form.omega.empty() && form.stream_scale != 1.0) {
    throw std::invalid_argument("a sublayer's stream has a number or a vector as its weight, not both");
  }
}

at::Tensor Sublayer::Scaled(const at::Tensor& from, double scale, at::ScalarType type) const {
  if (scale == 1.0 && from.scalar_type() == type) return from;
  at::Tensor to = at::empty(from.sizes(), from.options().dtype(type));
  device_->scale(from, scale, to);
  return to;
}

at::Tensor Sublayer::Sum(const at::Tensor& x, double a, const at::Tensor& y, double b) const {
  at::Tensor to = at::empty_like(x);
  device_->add(x, a, y, b, to);
  return to;
}

at::Tensor Sublayer::Enter(const at::Tensor& x) {
  x_ = x;
  if (form_.before.empty()) return Scaled(x, form_.input_scale, compute_);
  return Normalize(*device_, parameters_.before, form_.input_scale, x, 1.0, at::Tensor(), compute_, &before_);
}

at::Tensor Sublayer::Inner(const at::Tensor& branch) {
  if (form_.inner.empty()) return branch;
  return Normalize(*device_, parameters_.inner, 1.0, Scaled(branch, 1.0, at::kFloat), 1.0, at::Tensor(),
                   at::kFloat, &inner_);
}

at::Tensor Sublayer::Add(const at::Tensor& stream, const at::Tensor& inner) {
  if (form_.after.empty()) return Sum(stream, form_.stream_scale, inner, 1.0);
  return Normalize(*device_, parameters_.after, 1.0, stream, form_.stream_scale, inner, at::kFloat, &after_);
}

at::Tensor Sublayer::Stream() const {
  return form_.omega.empty() ? x_ : ScaleStream(*device_, parameters_.omega, x_);
}

at::Tensor Sublayer::Leave(const at::Tensor& branch) {
  return Add(Stream(), Inner(branch));
}

at::Tensor Sublayer::LeaveAndMeasure(const at::Tensor& branch, Summands& summands) {
  const at::Tensor stream = Stream();
  const at::Tensor inner = Inner(branch);
  summands.stream += MomentsOf(*device_, Scaled(stream, form_.stream_scale, at::kFloat));
  summands.branch += MomentsOf(*device_, inner);
  return Add(stream, inner);
}

at::Tensor Sublayer::LeaveBackward(const at::Tensor& dnext) {
  dsum_ = form_.after.empty()
              ? dnext
              : NormalizeBackward(*device_, parameters_.after, 1.0, after_, dnext, at::Tensor(), 0.0);
  after_ = {};
  at::Tensor db = dsum_;
  if (!form_.inner.empty()) {
    db = NormalizeBackward(*device_, parameters_.inner, 1.0, inner_, dsum_, at::Tensor(), 0.0);
    inner_ = {};
  }
  return Scaled(db, 1.0, compute_);
}

void Sublayer::Forget() {
  x_ = at::Tensor();
  before_ = inner_ = after_ = {};
}

at::Tensor Sublayer::EnterBackward(const at::Tensor& dinput) {
  at::Tensor dsum = std::move(dsum_);
  const NormSaved before = std::move(before_);
  dsum_ = at::Tensor();
  before_ = {};
  if (!form_.omega.empty()) dsum = ScaleStreamBackward(*device_, parameters_.omega, x_, dsum);
  x_ = at::Tensor();
  if (form_.before.empty()) return Sum(dsum, form_.stream_scale, dinput, form_.input_scale);
  return NormalizeBackward(*device_, parameters_.before, form_.input_scale, before, dinput, dsum,
                           form_.stream_scale);
}

}  // namespace mixln::worker::trainer::norm
