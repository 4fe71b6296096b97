#include "worker/trainer/loop/collapse.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "worker/trainer/loop/learning_rate.h"

namespace mixln::worker::trainer::loop {
namespace {

constexpr size_t kBlocks = 4;          // judged together
constexpr double kLearned = -0.1;      // nats: a run whose excess was ever below had learned something
constexpr double kLost = 0.1;          // share of the lowest excess that is left after a collapse
constexpr double kNearUnigram = 0.15;  // nats
constexpr double kFalls = 0.2;         // share of the earlier blocks' mean by which the later lie below
constexpr double kNoise = 0.005;       // nats between means of two blocks

std::string Printed(const char* format, double number) {
  char text[32];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

double Mean(std::vector<double>::const_iterator begin, std::vector<double>::const_iterator end) {
  return std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
}

bool IsPlateau(const std::vector<double>& blocks) {
  const auto middle = blocks.begin() + static_cast<std::ptrdiff_t>(kBlocks / 2);
  const double earlier = Mean(blocks.begin(), middle);
  return earlier - Mean(middle, blocks.end()) < std::max(kNoise, kFalls * std::abs(earlier));
}

// Whether a layer norms the residual stream itself, so that gradients shrink through it.
bool NormsStream(const config::Norm& norm) {
  return std::ranges::any_of(norm.layer_placements, [](const std::string& placement) {
    return placement == "post" || placement == "deepnorm" || placement == "admin";
  });
}

bool IsCollapsed(const config::Norm& norm, const config::Train& train, int64_t step,
                 const checkpoint::LossHistory& history) {
  if (history.recent.size() < kBlocks || !IsPlateau(history.recent)) return false;
  const auto [least, most] = std::minmax_element(history.recent.begin(), history.recent.end());
  if (history.lowest < kLearned) return *least >= kLost * history.lowest;
  return NormsStream(norm) && *least >= -kNearUnigram && *most <= kNearUnigram && step > train.warmup_steps &&
         LearningRate(train, step - 1) >= 0.5 * train.lr;
}

}  // namespace

int64_t CollapseBlockSteps(const config::Train& train) {
  return std::max<int64_t>(5, (train.steps + 49) / 50);
}

std::string Collapse(const config::Norm& norm, const config::Train& train, const ObservedLoss& observed,
                     checkpoint::LossHistory& history) {
  const int64_t length = CollapseBlockSteps(train);
  history.block_sum += observed.loss - observed.unigram_loss;
  if (++history.block_steps < length) return "";
  const double excess = history.block_sum / static_cast<double>(length);
  history.block_steps = 0;
  history.block_sum = 0;
  history.recent.push_back(excess);
  if (history.recent.size() > kBlocks) history.recent.erase(history.recent.begin());
  if (history.lowest_step == 0 || excess < history.lowest) {
    history.lowest = excess;
    history.lowest_step = observed.step;
  }
  if (!IsCollapsed(norm, train, observed.step, history)) return "";
  const double plateau = Mean(history.recent.begin(), history.recent.end());
  return "since step " + std::to_string(observed.step - static_cast<int64_t>(kBlocks) * length + 1) +
         " the loss stays " + Printed("%.3f", std::abs(plateau)) + " nats " +
         (plateau < 0 ? "below" : "above") + " that of the data's token frequencies alone (entropy " +
         Printed("%.3f", observed.entropy) + "; step " + std::to_string(observed.step) + " has loss " +
         Printed("%.3f", observed.loss) + ")" +
         (history.lowest < kLearned ? ", after " + Printed("%.3f", -history.lowest) +
                                          " nats below it at step " + std::to_string(history.lowest_step)
                                    : "") +
         ": the model has collapsed and ignores its input";
}

}  // namespace mixln::worker::trainer::loop
