// Finds what a user names: a sweep by its name or uid, a trial by its id, `SWEEP/INDEX`, or either.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/mixlnctl/client.h"

namespace mixln::services::mixlnctl {

// All three answer NOT_FOUND with the nearest known name and how to list all.
absl::StatusOr<v1::Sweep> FindSweep(Client& client, const std::string& name);
absl::StatusOr<v1::Trial> FindTrial(Client& client, const std::string& name);

struct SweepOrTrial {
  std::optional<v1::Sweep> sweep;
  std::optional<v1::Trial> trial;  // exactly one of the two is there
};
absl::StatusOr<SweepOrTrial> FindAny(Client& client, const std::string& name);

// All pages of a list, as one.
absl::StatusOr<v1::ListSweepsResponse> ListSweeps(Client& client);
// `sweep_id` empty: those of all sweeps.
absl::StatusOr<v1::ListTrialsResponse> ListTrials(Client& client, const std::string& sweep_id);

}  // namespace mixln::services::mixlnctl
