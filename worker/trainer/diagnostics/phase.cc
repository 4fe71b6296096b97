#include "worker/trainer/diagnostics/phase.h"

#include <utility>

namespace mixln::worker::trainer::diagnostics {
namespace {

thread_local PhaseClock* current = nullptr;

}  // namespace

PhaseClock::PhaseClock() : since_(std::chrono::steady_clock::now()) {
  current = this;
}
PhaseClock::~PhaseClock() {
  current = nullptr;
}

Phase PhaseClock::Enter(Phase phase) {
  const auto now = std::chrono::steady_clock::now();
  seconds_.at(static_cast<size_t>(phase_)) += std::chrono::duration<double>(now - since_).count();
  since_ = now;
  return std::exchange(phase_, phase);
}

std::array<double, kPhases> PhaseClock::Take() {
  Enter(phase_);
  return std::exchange(seconds_, {});
}

PhaseSpan::PhaseSpan(Phase phase) : clock_(current) {
  if (clock_ != nullptr) outer_ = clock_->Enter(phase);
}
PhaseSpan::~PhaseSpan() {
  if (clock_ != nullptr) clock_->Enter(outer_);
}

}  // namespace mixln::worker::trainer::diagnostics
