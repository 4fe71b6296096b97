#include "worker/trainer/optim/adamw.h"

#include <cmath>

namespace mixln::worker::trainer::optim {

void AdamW(const device::Device& device, const std::vector<fsdp::Unit*>& units, const AdamWOptions& options,
           double lr, int64_t update, double gradient_scale) {
  kernels::AdamWStep step;
  step.lr = static_cast<float>(lr);
  step.beta1 = static_cast<float>(options.beta1);
  step.beta2 = static_cast<float>(options.beta2);
  step.eps = static_cast<float>(options.eps);
  step.gradient_scale = static_cast<float>(gradient_scale);
  step.correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(update));
  step.correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(update));
  for (fsdp::Unit* unit : units) {
    for (const fsdp::Piece& piece : unit->pieces()) {
      step.decay = piece.segment->decays ? static_cast<float>(options.weight_decay) : 0.0F;
      if (piece.range.elements == 0) continue;
      device.adamw(step, {piece.master, piece.gradient, piece.exp_avg, piece.exp_avg_sq, piece.compute});
    }
  }
}

}  // namespace mixln::worker::trainer::optim
