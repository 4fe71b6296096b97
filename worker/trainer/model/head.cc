#include "worker/trainer/model/head.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "worker/trainer/diagnostics/phase.h"
#include "worker/trainer/gemm/product.h"
#include "worker/trainer/kernels/cross_entropy.h"
#include "worker/trainer/model/linear.h"

namespace mixln::worker::trainer::model {

using diagnostics::Phase;
using diagnostics::PhaseSpan;

namespace {

constexpr int64_t kChunk = 1024;  // rows
constexpr int64_t kRows = 4;      // of a thread at least

// Each row's loss; where gradient_scale is not 0, logits become their gradients.
void CrossEntropy(const at::Tensor& logits, const int64_t* targets, const uint8_t* mask,
                  double gradient_scale, double* losses) {
  const auto scale = static_cast<float>(gradient_scale);
  at::parallel_for(0, logits.size(0), kRows, [&](int64_t begin, int64_t end) {
    if (logits.scalar_type() == at::kBFloat16) {
      kernels::CrossEntropyRows(static_cast<kernels::Bf16*>(logits.data_ptr()), targets, mask, scale, losses,
                                logits.size(1), begin, end);
    } else {
      kernels::CrossEntropyRows(logits.data_ptr<float>(), targets, mask, scale, losses, logits.size(1), begin,
                                end);
    }
  });
}

}  // namespace

Head::Head(norm::Norm norm, fsdp::Unit& owner, const fsdp::MatrixRange& matrix)
    : norm_(std::move(norm)), owner_(&owner), matrix_(matrix) {}

Head::Loss Head::Run(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& mask,
                     double gradient_scale) {
  const PhaseSpan span(Phase::kLoss);
  const int64_t rows = x.size(0);
  const bool learn = gradient_scale != 0;
  const at::Tensor weight = owner_->Weight(matrix_);
  norm::NormSaved saved;
  const at::Tensor hidden = Normalize(norm_, 1.0, x, 1.0, at::Tensor(), weight.scalar_type(), &saved);
  at::Tensor dhidden;
  gemm::Packed to_logits;
  gemm::Packed from_logits;
  {
    const PhaseSpan products(Phase::kProducts);
    to_logits = gemm::Packed({weight, true});
    if (learn) {
      from_logits = gemm::Packed({weight});
      dhidden = at::empty_like(hidden);
    }
  }
  std::vector<double> losses(static_cast<size_t>(rows));
  const at::Tensor all_logits = at::empty({std::min(kChunk, rows), weight.size(0)}, weight.options());
  for (int64_t first = 0; first < rows; first += kChunk) {
    const int64_t count = std::min(kChunk, rows - first);
    const at::Tensor chunk = hidden.narrow(0, first, count);
    const at::Tensor logits = all_logits.narrow(0, 0, count);
    {
      const PhaseSpan products(Phase::kProducts);
      gemm::Multiply({chunk}, to_logits, logits);
    }
    CrossEntropy(logits, targets.const_data_ptr<int64_t>() + first,
                 mask.defined() ? mask.const_data_ptr<uint8_t>() + first : nullptr, gradient_scale,
                 losses.data() + first);
    if (!learn) continue;
    const PhaseSpan products(Phase::kProducts);
    gemm::MultiplyAndAdd({logits, true}, gemm::Packed({chunk}), owner_->Gradient(matrix_));
    gemm::Multiply({logits}, from_logits, dhidden.narrow(0, first, count));
  }
  Loss loss;
  for (const double row : losses) loss.sum += row;
  if (learn) loss.dx = NormalizeBackward(norm_, 1.0, saved, dhidden, at::Tensor(), 0.0);
  return loss;
}

at::Tensor Head::Logits(const at::Tensor& x) {
  const at::Tensor weight = owner_->Weight(matrix_);
  norm::NormSaved saved;
  const at::Tensor hidden = Normalize(norm_, 1.0, x, 1.0, at::Tensor(), weight.scalar_type(), &saved);
  return Linear(hidden, weight).to(at::kFloat);
}

}  // namespace mixln::worker::trainer::model
