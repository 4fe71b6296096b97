#include "worker/trainer/model/head.h"

#include <ATen/Functions.h>

#include <algorithm>

#include "worker/trainer/diagnostics/phase.h"
#include "worker/trainer/model/linear.h"

namespace mixln::worker::trainer::model {

using diagnostics::Phase;
using diagnostics::PhaseSpan;

namespace {

constexpr int64_t kChunk = 1024;  // rows

}  // namespace

Head::Head(const device::Device& device, norm::Norm norm, fsdp::Unit& owner, const fsdp::MatrixRange& matrix)
    : device_(&device), norm_(std::move(norm)), owner_(&owner), matrix_(matrix) {}

Head::Loss Head::Run(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& mask,
                     double gradient_scale) {
  const PhaseSpan span(Phase::kLoss);
  const int64_t rows = x.size(0);
  const bool learn = gradient_scale != 0;
  const at::Tensor weight = owner_->Weight(matrix_);
  norm::NormSaved saved;
  const at::Tensor hidden =
      Normalize(*device_, norm_, 1.0, x, 1.0, at::Tensor(), weight.scalar_type(), &saved);
  at::Tensor dhidden;
  device::Factor to_logits;
  device::Factor from_logits;
  {
    const PhaseSpan products(Phase::kProducts);
    to_logits = device_->prepare({weight, true});
    if (learn) {
      from_logits = device_->prepare({weight});
      dhidden = at::empty_like(hidden);
    }
  }
  Loss loss;
  loss.rows = at::empty({rows}, x.options().dtype(at::kDouble));
  const at::Tensor all_logits = at::empty({std::min(kChunk, rows), weight.size(0)}, weight.options());
  for (int64_t first = 0; first < rows; first += kChunk) {
    const int64_t count = std::min(kChunk, rows - first);
    const auto part = [&](const at::Tensor& whole) { return whole.narrow(0, first, count); };
    const at::Tensor chunk = part(hidden);
    const at::Tensor logits = all_logits.narrow(0, 0, count);
    {
      const PhaseSpan products(Phase::kProducts);
      device_->multiply(chunk, to_logits, logits);
    }
    device_->cross_entropy(logits, part(targets), mask.defined() ? part(mask) : mask, gradient_scale,
                           part(loss.rows));
    if (!learn) continue;
    const PhaseSpan products(Phase::kProducts);
    device_->add_weight_gradient(logits, chunk, owner_->Gradient(matrix_));
    device_->multiply(logits, from_logits, part(dhidden));
  }
  if (learn) loss.dx = NormalizeBackward(*device_, norm_, 1.0, saved, dhidden, at::Tensor(), 0.0);
  return loss;
}

double Head::Loss::Sum() const {
  const at::Tensor host = rows.cpu();
  const double* losses = host.const_data_ptr<double>();
  double sum = 0;
  for (int64_t row = 0; row < host.numel(); ++row) sum += losses[row];
  return sum;
}

at::Tensor Head::Logits(const at::Tensor& x) {
  const at::Tensor weight = owner_->Weight(matrix_);
  norm::NormSaved saved;
  const at::Tensor hidden =
      Normalize(*device_, norm_, 1.0, x, 1.0, at::Tensor(), weight.scalar_type(), &saved);
  return Linear(*device_, hidden, weight).to(at::kFloat);
}

}  // namespace mixln::worker::trainer::model
