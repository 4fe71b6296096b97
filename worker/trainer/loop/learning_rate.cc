#include "worker/trainer/loop/learning_rate.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace mixln::worker::trainer::loop {

double LearningRate(const config::Train& train, int64_t update) {
  if (update < train.warmup_steps) {
    return train.lr * static_cast<double>(update) / static_cast<double>(train.warmup_steps);
  }
  if (train.schedule == config::Schedule::kConstant) return train.lr;
  const auto length = static_cast<double>(std::max<int64_t>(train.steps - 1 - train.warmup_steps, 1));
  const double progress = static_cast<double>(update - train.warmup_steps) / length;
  const double cosine = 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return train.lr * (train.min_lr_ratio + (1 - train.min_lr_ratio) * cosine);
}

}  // namespace mixln::worker::trainer::loop
