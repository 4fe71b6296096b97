#include "worker/session/attempt.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace mixln::worker::session {
namespace {

template <typename Predicate>
bool AllRanks(const Attempt& attempt, Predicate predicate) {
  return std::all_of(attempt.ranks.begin(), attempt.ranks.end(),
                     [&](const auto& entry) { return predicate(entry.second); });
}

const RankEnd* FirstWith(const Attempt& attempt, v1::AttemptOutcome outcome) {
  for (const auto& [rank, progress] : attempt.ranks)
    if (progress.end && progress.end->outcome == outcome) return &*progress.end;
  return nullptr;
}

}  // namespace

std::string ToString(const AttemptKey& key) {
  return absl::StrCat(key.trial_id, " ", key.term, "-", key.epoch);
}

v1::AttemptStatus StatusOf(const Attempt& attempt) {
  v1::AttemptStatus status;
  status.set_trial_id(attempt.reserve.trial_id());
  *status.mutable_fence() = attempt.reserve.fence();
  status.set_phase(attempt.phase);
  for (const auto& [rank, progress] : attempt.ranks) status.add_ranks(rank);
  return status;
}

v1::AttemptReport ReportOf(const Attempt& attempt) {
  v1::AttemptReport report;
  report.set_trial_id(attempt.reserve.trial_id());
  *report.mutable_fence() = attempt.reserve.fence();
  report.set_phase(attempt.phase);
  if (attempt.phase == v1::ATTEMPT_PHASE_PREPARING) report.set_detail(attempt.detail);
  if (attempt.phase == v1::ATTEMPT_PHASE_RESERVED) report.set_rendezvous(attempt.rendezvous);
  if (attempt.phase == v1::ATTEMPT_PHASE_ENDED) {
    report.set_outcome(attempt.end.outcome);
    report.set_cause(attempt.end.cause);
    report.set_message(attempt.end.message);
  }
  return report;
}

bool HoldsSlots(const Attempt& attempt) {
  return attempt.phase != v1::ATTEMPT_PHASE_ENDED && !(attempt.started && AllRanksEnded(attempt));
}

bool AllRanksEnded(const Attempt& attempt) {
  return AllRanks(attempt, [](const RankProgress& rank) { return rank.end.has_value(); });
}

bool AllEventsAcknowledged(const Attempt& attempt) {
  return AllRanks(attempt, [](const RankProgress& rank) { return rank.acknowledged >= rank.last_sequence; });
}

RankEnd EndOf(const Attempt& attempt) {
  const bool finished = attempt.started && AllRanks(attempt, [](const RankProgress& rank) {
                          return rank.end && rank.end->outcome == v1::ATTEMPT_OUTCOME_FINISHED;
                        });
  if (finished) return {v1::ATTEMPT_OUTCOME_FINISHED, v1::FAILURE_CAUSE_UNSPECIFIED, ""};
  if (const RankEnd* diverged = FirstWith(attempt, v1::ATTEMPT_OUTCOME_DIVERGED)) return *diverged;
  if (attempt.stop) {
    switch (attempt.stop->origin) {
      case StopOrigin::kCoordinator:
      case StopOrigin::kFenced:
        return {v1::ATTEMPT_OUTCOME_STOPPED, v1::FAILURE_CAUSE_UNSPECIFIED,
                attempt.first_failure ? attempt.first_failure->message : ""};
      case StopOrigin::kOrphaned:
      case StopOrigin::kHandedBack:
        return {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_PREEMPTED, attempt.stop->reason};
      case StopOrigin::kPeerEnded: break;
    }
  }
  if (attempt.first_failure) return *attempt.first_failure;
  return {v1::ATTEMPT_OUTCOME_FAILED, v1::FAILURE_CAUSE_PREEMPTED,
          "a rank stopped with a checkpoint though the coordinator had not asked for it"};
}

}  // namespace mixln::worker::session
