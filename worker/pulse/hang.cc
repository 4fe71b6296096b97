#include "worker/pulse/hang.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

namespace mixln::worker::pulse {
namespace {

constexpr size_t kKeptSteps = 64;
constexpr int kMedians = 10;
// An agent that did not look for so long was stopped itself, and so perhaps were its ranks.
constexpr base::Duration kMissedLook = base::Seconds(5);

std::string NameOf(const Reading& reading) {
  const std::string step = "step " + std::to_string(reading.step);
  switch (reading.phase) {
    case Phase::kStarting: return "starting";
    case Phase::kTraining: return "training " + step;
    case Phase::kEvaluating: return "evaluating after " + step;
    case Phase::kSaving: return "saving a checkpoint of " + step;
  }
  return "in an unknown phase";
}

std::string InSeconds(base::Duration duration) {
  return std::to_string(std::llround(base::ToSeconds(duration))) + " s";
}

std::pair<int64_t, uint64_t> PlaceOf(const Reading& reading) {
  return {reading.step, reading.collective};
}

}  // namespace

void HangWatch::See(int32_t rank, const Reading& reading, base::Time now) {
  const auto [it, is_new] = ranks_.try_emplace(rank, Seen{reading, now, now, now, 0, {}});
  if (is_new) return;
  Seen& seen = it->second;
  if (now - seen.looked_at > kMissedLook) {
    seen.alive_at = now;
    seen.step_at = now;
  }
  seen.looked_at = now;
  if (reading == seen.reading) return;
  if (reading.step > seen.reading.step) {
    const int64_t done = reading.step - seen.reading.step;
    // The first one is longer than the others, and began before it was watched.
    if (seen.steps > 0) seen.took.push_back((now - seen.step_at) / done);
    if (seen.took.size() > kKeptSteps) seen.took.pop_front();
    seen.steps += done;
    seen.step_at = now;
  }
  seen.reading = reading;
  seen.alive_at = now;
}

base::Duration HangWatch::LimitOf(const Seen& seen) const {
  const bool is_first = seen.steps < 2 && seen.reading.phase == Phase::kTraining;
  if (seen.reading.phase == Phase::kStarting || seen.reading.phase == Phase::kSaving || is_first)
    return std::max(limits_.start, limits_.step);
  if (seen.took.empty()) return limits_.step;
  std::vector<base::Duration> sorted(seen.took.begin(), seen.took.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return std::max(limits_.step, *middle * kMedians);
}

std::optional<Hang> HangWatch::Judge(base::Time now) const {
  const std::pair<const int32_t, Seen>* behind = nullptr;
  for (const auto& rank : ranks_) {
    if (now - rank.second.alive_at <= LimitOf(rank.second)) continue;
    if (behind == nullptr || PlaceOf(rank.second.reading) < PlaceOf(behind->second.reading)) behind = &rank;
  }
  if (behind == nullptr) return std::nullopt;
  const Seen& seen = behind->second;
  return Hang{behind->first, "no sign of life for " + InSeconds(now - seen.alive_at) + " while " +
                                 NameOf(seen.reading) + ", limit " + InSeconds(LimitOf(seen))};
}

}  // namespace mixln::worker::pulse
