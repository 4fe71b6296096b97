// Where the time of a step goes.
#pragma once

#include <array>
#include <chrono>
#include <string_view>

namespace mixln::worker::trainer::diagnostics {

enum class Phase { kOther, kProducts, kAttention, kNorms, kElementwise, kLoss, kUpdate, kCollectives };
inline constexpr int kPhases = 8;
inline constexpr std::array<std::string_view, kPhases> kPhaseNames = {
    "other", "weight products", "attention", "norms", "activations", "loss", "update", "collectives"};

// While one exists, it counts the time of this thread's spans; a span within another stops the outer one.
// There is one at most. Without one, a span costs a load and a branch.
class PhaseClock {
 public:
  PhaseClock();
  ~PhaseClock();
  PhaseClock(const PhaseClock&) = delete;
  PhaseClock& operator=(const PhaseClock&) = delete;

  // Seconds of each phase since the start, or since the last call.
  std::array<double, kPhases> Take();

 private:
  friend class PhaseSpan;
  Phase Enter(Phase phase);

  std::array<double, kPhases> seconds_{};
  Phase phase_ = Phase::kOther;
  std::chrono::steady_clock::time_point since_;
};

class PhaseSpan {
 public:
  explicit PhaseSpan(Phase phase);
  ~PhaseSpan();
  PhaseSpan(const PhaseSpan&) = delete;
  PhaseSpan& operator=(const PhaseSpan&) = delete;

 private:
  PhaseClock* clock_;
  Phase outer_ = Phase::kOther;
};

}  // namespace mixln::worker::trainer::diagnostics
