// Finds what a user names: a sweep by its name or uid, a trial by its id, `SWEEP/INDEX`, or either; a worker.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "services/mixlnctl/client.h"

namespace mixln::services::mixlnctl {

// They answer NOT_FOUND with the nearest known name and how to list all.
absl::StatusOr<v1::Sweep> FindSweep(Client& client, const std::string& name);
absl::StatusOr<v1::Trial> FindTrial(Client& client, const std::string& name);

struct SweepOrTrial {
  std::optional<v1::Sweep> sweep;
  std::optional<v1::Trial> trial;  // exactly one of the two is there
};
absl::StatusOr<SweepOrTrial> FindAny(Client& client, const std::string& name);

// All of the names, or the first error: so a misspelt one among several has nothing done.
absl::StatusOr<std::vector<SweepOrTrial>> FindAll(Client& client, const std::vector<std::string>& names);

// A worker by its id, by the beginning of that which `mixlnctl nodes` shows, or by its host's name.
// INVALID_ARGUMENT when several are meant.
absl::StatusOr<v1::Worker> FindWorker(Client& client, const std::string& name);

// The id of the trial that tries this one again; empty when none does.
absl::StatusOr<std::string> FindRetryOf(Client& client, const v1::Trial& trial);

// All pages of a list, as one.
absl::StatusOr<v1::ListSweepsResponse> ListSweeps(Client& client);
// `sweep_id` empty: those of all sweeps.
absl::StatusOr<v1::ListTrialsResponse> ListTrials(Client& client, const std::string& sweep_id);

}  // namespace mixln::services::mixlnctl
