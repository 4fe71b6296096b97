#include "worker/trainer/optim/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

#include "worker/trainer/kernels/adamw.h"

namespace mixln::worker::trainer::optim {

void AdamW(const std::vector<fsdp::Unit*>& units, const AdamWOptions& options, double lr, int64_t update,
           double gradient_scale) {
  constexpr int64_t kElements = 16384;  // of a thread at least
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
      float* master = piece.master.data_ptr<float>();
      float* gradient = piece.gradient.data_ptr<float>();
      float* exp_avg = piece.exp_avg.data_ptr<float>();
      float* exp_avg_sq = piece.exp_avg_sq.data_ptr<float>();
      auto* compute =
          piece.compute.defined() ? static_cast<kernels::Bf16*>(piece.compute.data_ptr()) : nullptr;
      at::parallel_for(0, piece.range.elements, kElements, [&](int64_t begin, int64_t end) {
        kernels::AdamWUpdate(step, master + begin, gradient + begin, exp_avg + begin, exp_avg_sq + begin,
                             compute == nullptr ? nullptr : compute + begin, end - begin);
      });
    }
  }
}

}  // namespace mixln::worker::trainer::optim
