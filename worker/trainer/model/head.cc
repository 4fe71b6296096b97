#include "worker/trainer/model/head.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#include "worker/trainer/kernels/cross_entropy.h"
#include "worker/trainer/model/linear.h"

namespace mixln::worker::trainer::model {
namespace {

constexpr int64_t kChunk = 512;  // rows
constexpr int64_t kRows = 4;     // of a thread at least

}  // namespace

Head::Head(norm::Norm norm, at::Tensor weight, at::Tensor gradient)
    : norm_(std::move(norm)), weight_(std::move(weight)), gradient_(std::move(gradient)) {}

Head::Loss Head::Run(const at::Tensor& x, const at::Tensor& targets, const at::Tensor& mask,
                     double gradient_scale) {
  const int64_t rows = x.size(0);
  const bool learn = gradient_scale != 0;
  norm::NormSaved saved;
  const at::Tensor hidden = Normalize(norm_, 1.0, x, 1.0, at::Tensor(), weight_.scalar_type(), &saved);
  at::Tensor dhidden;
  if (learn) dhidden = at::empty_like(hidden);
  std::vector<double> losses(static_cast<size_t>(rows));
  for (int64_t first = 0; first < rows; first += kChunk) {
    const int64_t count = std::min(kChunk, rows - first);
    const at::Tensor chunk = hidden.narrow(0, first, count);
    const at::Tensor logits = Linear(chunk, weight_);
    const int64_t* chunk_targets = targets.const_data_ptr<int64_t>() + first;
    const uint8_t* chunk_mask = mask.defined() ? mask.const_data_ptr<uint8_t>() + first : nullptr;
    const auto scale = static_cast<float>(gradient_scale);
    at::parallel_for(0, count, kRows, [&](int64_t begin, int64_t end) {
      if (logits.scalar_type() == at::kBFloat16) {
        kernels::CrossEntropyRows(static_cast<kernels::Bf16*>(logits.data_ptr()), chunk_targets, chunk_mask,
                                  scale, losses.data() + first, logits.size(1), begin, end);
      } else {
        kernels::CrossEntropyRows(logits.data_ptr<float>(), chunk_targets, chunk_mask, scale,
                                  losses.data() + first, logits.size(1), begin, end);
      }
    });
    if (!learn) continue;
    AccumulateWeightGradient(logits, chunk, gradient_);
    at::Tensor dchunk = dhidden.narrow(0, first, count);
    at::mm_out(dchunk, logits, weight_);
  }
  Loss loss;
  for (const double row : losses) loss.sum += row;
  if (learn) loss.dx = NormalizeBackward(norm_, 1.0, saved, dhidden, at::Tensor(), 0.0);
  return loss;
}

at::Tensor Head::Logits(const at::Tensor& x) {
  norm::NormSaved saved;
  const at::Tensor hidden = Normalize(norm_, 1.0, x, 1.0, at::Tensor(), weight_.scalar_type(), &saved);
  return Linear(hidden, weight_).to(at::kFloat);
}

}  // namespace mixln::worker::trainer::model
