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
  const auto steps = static_cast<double>(train.steps);
  const auto stable = static_cast<double>(train.warmup_steps);
  const bool wsd = train.schedule == config::Schedule::kWsd;
  const double begin = wsd ? std::max(stable, steps - 1 - std::max(1.0, train.decay_share * steps)) : stable;
  const double length = std::max(steps - 1 - begin, 1.0);
  const double progress = std::max(0.0, (static_cast<double>(update) - begin) / length);
  const double left = wsd ? 1 - progress : 0.5 * (1 + std::cos(std::numbers::pi * progress));
  return train.lr * (train.min_lr_ratio + (1 - train.min_lr_ratio) * left);
}

}  // namespace mixln::worker::trainer::loop
