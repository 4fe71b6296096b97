#include "worker/trainer/optim/adamw.h"

#include <cmath>

namespace mixln::worker::trainer::optim {

void AdamW(const device::Device& device, const std::vector<fsdp::Unit*>& units, const AdamWOptions& options,
           double lr, int64_t update, double gradient_scale, const at::Tensor& movements) {
  kernels::AdamWStep step;
  step.lr = static_cast<float>(lr);
  step.beta1 = static_cast<float>(options.beta1);
  step.beta2 = static_cast<float>(options.beta2);
  step.eps = static_cast<float>(options.eps);
  step.gradient_scale = static_cast<float>(gradient_scale);
  step.correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(update));
  step.correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(update));
  for (size_t i = 0; i < units.size(); ++i) {
    for (const fsdp::Piece& piece : units[i]->pieces()) {
      step.decay = piece.segment->decays ? static_cast<float>(options.weight_decay) : 0.0F;
      if (piece.range.elements == 0) continue;
      const bool measure = movements.defined() && (!piece.replicated || units[i]->counts_vectors());
      device.adamw(step, {piece.master, piece.gradient, piece.exp_avg, piece.exp_avg_sq, piece.compute},
                   measure ? movements[static_cast<int64_t>(i)] : at::Tensor());
    }
  }
}

}  // namespace mixln::worker::trainer::optim
