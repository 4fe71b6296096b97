#include "worker/trainer/optim/adamw.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "worker/trainer/kernels/adamw.h"

namespace mixln::worker::trainer::optim {

namespace {

// What one thread updates at a time. The same blocks whatever the number of threads: their sums are added up
// in order.
constexpr int64_t kBlock = 16384;

}  // namespace

void AdamW(const std::vector<fsdp::Unit*>& units, const AdamWOptions& options, double lr, int64_t update,
           double gradient_scale, std::vector<Movement>* movements) {
  kernels::AdamWStep step;
  step.lr = static_cast<float>(lr);
  step.beta1 = static_cast<float>(options.beta1);
  step.beta2 = static_cast<float>(options.beta2);
  step.eps = static_cast<float>(options.eps);
  step.gradient_scale = static_cast<float>(gradient_scale);
  step.correction1 = 1.0 - std::pow(options.beta1, static_cast<double>(update));
  step.correction2 = 1.0 - std::pow(options.beta2, static_cast<double>(update));
  if (movements != nullptr) movements->assign(units.size(), {});
  for (size_t i = 0; i < units.size(); ++i) {
    for (const fsdp::Piece& piece : units[i]->pieces()) {
      step.decay = piece.segment->decays ? static_cast<float>(options.weight_decay) : 0.0F;
      float* master = piece.master.data_ptr<float>();
      float* gradient = piece.gradient.data_ptr<float>();
      float* exp_avg = piece.exp_avg.data_ptr<float>();
      float* exp_avg_sq = piece.exp_avg_sq.data_ptr<float>();
      auto* compute =
          piece.compute.defined() ? static_cast<kernels::Bf16*>(piece.compute.data_ptr()) : nullptr;
      const int64_t elements = piece.range.elements;
      const int64_t blocks = (elements + kBlock - 1) / kBlock;
      const bool measure = movements != nullptr && (!piece.replicated || units[i]->counts_vectors());
      std::vector<Movement> of_blocks(measure ? static_cast<size_t>(blocks) : 0);
      at::parallel_for(0, blocks, 1, [&](int64_t first, int64_t last) {
        std::array<float, kBlock> before;
        for (int64_t block = first; block < last; ++block) {
          const int64_t begin = block * kBlock;
          const int64_t count = std::min(kBlock, elements - begin);
          if (measure) std::copy_n(master + begin, count, before.data());
          kernels::AdamWUpdate(step, master + begin, gradient + begin, exp_avg + begin, exp_avg_sq + begin,
                               compute == nullptr ? nullptr : compute + begin, count);
          if (measure)  // while the block is in the core's cache
            of_blocks[static_cast<size_t>(block)] = {
                kernels::SumOfSquaredDifferences(master + begin, before.data(), count),
                kernels::SumOfSquares(before.data(), count)};
        }
      });
      for (const Movement& block : of_blocks) {
        movements->at(i).update += block.update;
        movements->at(i).weight += block.weight;
      }
    }
  }
}

}  // namespace mixln::worker::trainer::optim
