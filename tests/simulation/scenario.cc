#include "scenario.h"

#include "absl/strings/str_cat.h"

namespace mixln::simulation {

Scenario::Scenario(uint64_t seed, Mutation mutation)
    : scheduler_(seed), ranks_(scheduler_, ledger_), coordinator_(scheduler_, ledger_, mutation) {}

Worker& Scenario::AddWorker(bool shares_artifacts) {
  const int slots = 1 + scheduler_.Pick(3);
  total_slots_ += slots;
  const std::string id = absl::StrCat("w", workers_.size());
  workers_.push_back(std::make_unique<Worker>(scheduler_, ledger_, ranks_, coordinator_, id,
                                              shares_artifacts ? "shared" : id, slots));
  return *workers_.back();
}

}  // namespace mixln::simulation
