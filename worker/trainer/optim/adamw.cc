#include "worker/trainer/optim/adamw.h"

#include <ATen/Functions.h>

#include <cmath>

namespace mixln::worker::trainer::optim {

void AdamW(const device::Device& device, const std::vector<fsdp::Unit*>& units, const AdamWOptions& options,
           double lr, int64_t update, double gradient_scale, std::vector<Movement>* movements) {
  kernels::AdamWStep step;
  step.lr = static_cast<float>(lr);
  step.beta1 = static_cast<float>(options.beta1);
  step.beta2 = static_cast<float>(options.beta2);
  step.eps = static_cast<float>(options.eps);
  step.gradient_scale = static_cast<float>(gradient_scale);
  step.correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(update));
  step.correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(update));
  at::Tensor moved;  // of each unit, on the device
  if (movements != nullptr)
    moved = at::zeros({static_cast<int64_t>(units.size()), 2}, device.options(at::kDouble));
  for (size_t i = 0; i < units.size(); ++i) {
    for (const fsdp::Piece& piece : units[i]->pieces()) {
      step.decay = piece.segment->decays ? static_cast<float>(options.weight_decay) : 0.0F;
      if (piece.range.elements == 0) continue;
      const bool measure = movements != nullptr && (!piece.replicated || units[i]->counts_vectors());
      device.adamw(step, {piece.master, piece.gradient, piece.exp_avg, piece.exp_avg_sq, piece.compute},
                   measure ? moved[static_cast<int64_t>(i)] : at::Tensor());
    }
  }
  if (movements == nullptr) return;
  const at::Tensor sums = moved.to(at::kCPU);
  const double* sum = sums.const_data_ptr<double>();
  movements->clear();
  movements->reserve(units.size());
  for (size_t i = 0; i < units.size(); ++i) movements->push_back({sum[2 * i], sum[2 * i + 1]});
}

}  // namespace mixln::worker::trainer::optim
