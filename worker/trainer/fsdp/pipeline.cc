#include "worker/trainer/fsdp/pipeline.h"

#include <utility>

#include "worker/trainer/diagnostics/phase.h"

namespace mixln::worker::trainer::fsdp {

using diagnostics::Phase;
using diagnostics::PhaseSpan;

Pipeline::Pipeline(std::vector<Unit*> units, const Options& options)
    : units_(std::move(units)), options_(options) {}

void Pipeline::BeginForward(size_t unit) {
  const PhaseSpan span(Phase::kCollectives);
  units_[unit]->WaitGather();
  if (unit + 1 < units_.size()) units_[unit + 1]->StartGather();
}

void Pipeline::EndForward(size_t unit) {
  const PhaseSpan span(Phase::kCollectives);
  if (!Kept(unit)) units_[unit]->Release();
}

void Pipeline::BeginBackward(size_t unit) {
  const PhaseSpan span(Phase::kCollectives);
  if (unit > 0) units_[unit]->WaitGather();
  if (unit > 1) units_[unit - 1]->StartGather();
  // A tied embedding's gradient of the micro-batch before may still be on its way.
  if (reducing_ == units_[unit]) std::exchange(reducing_, nullptr)->WaitReduce();
  units_[unit]->TakeGradient();
}

void Pipeline::EndBackward(size_t unit) {
  const PhaseSpan span(Phase::kCollectives);
  if (options_.reshard) units_[unit]->Release();
  if (reducing_ != nullptr) reducing_->WaitReduce();
  units_[unit]->StartReduce();
  reducing_ = units_[unit];
}

void Pipeline::Finish() {
  const PhaseSpan span(Phase::kCollectives);
  if (reducing_ != nullptr) std::exchange(reducing_, nullptr)->WaitReduce();
  for (Unit* unit : units_) unit->Reduce();
}

}  // namespace mixln::worker::trainer::fsdp
