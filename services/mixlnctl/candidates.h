// What `compare` and `report` look at: configurations, seeds taken together, with their settings, final
// numbers and curves.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "mixln/v1/sweep.pb.h"
#include "services/mixlnctl/client.h"
#include "services/mixlnctl/settings.h"

namespace mixln::services::mixlnctl {

// A metric over steps: the mean over seeds, and the range that they span.
struct MeanCurve {
  std::vector<int64_t> steps;
  std::vector<double> mean;
  std::vector<double> low;
  std::vector<double> high;
};

// One combination of a sweep's parameters over its seeds, or one trial.
struct Candidate {
  std::string name;   // "alpha=0.25", with the sweep before it where several are compared; or the trial's id
  v1::ResultRow row;  // a trial's: as that of a sweep of it alone
  Settings settings;  // of its first trial; train.seed lists all seeds
  std::vector<std::string> seeds_with_result;  // trials that the row's means are over, else all of the row
};

// The candidates of sweeps and trials, by name or id, as FindAny finds them: of a sweep one for each row of
// its results, best first.
absl::StatusOr<std::vector<Candidate>> FindCandidates(Client& client, const std::vector<std::string>& names);

// The curve over the steps that all of the candidate's seeds recorded, `max_points` of each at most (0: all).
// Without a point when a seed has none, or a point is no number.
absl::StatusOr<MeanCurve> ReadMeanCurve(Client& client, const Candidate& candidate, const std::string& metric,
                                        int max_points);

// The curve at these steps, all of which it has.
MeanCurve AtSteps(const MeanCurve& curve, const std::vector<int64_t>& steps);

// Steps that all of the curves have, `most` of them evenly chosen with the first and the last.
std::vector<int64_t> CommonSteps(const std::vector<MeanCurve>& curves, size_t most);

// Paths whose values differ between the candidates, in the spec's order. What follows from others (the vector
// of layer placements where alpha, post_layers or placement differ) is left out.
std::vector<std::string> DifferingPaths(const std::vector<Candidate>& candidates);

}  // namespace mixln::services::mixlnctl
