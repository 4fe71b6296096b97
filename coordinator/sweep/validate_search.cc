#include "coordinator/sweep/validate_search.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/search/search.h"
#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/field.h"

namespace mixln::coordinator::sweep {
namespace {

constexpr int kMaxReductionFactor = 1000;
constexpr double kMaxWhole = 0x1p53;  // up to here every whole number is a double

bool IsInOrder(const v1::Distribution& from) {
  return std::isfinite(from.min()) && std::isfinite(from.max()) && from.min() <= from.max();
}

bool IsWholeInRange(double value) {
  return value == std::floor(value) && std::abs(value) <= kMaxWhole;
}

std::vector<Problem> ValidateAsha(const v1::AshaSpec& asha) {
  std::vector<Problem> problems;
  const auto add = [&](const std::string& path, const std::string& message) {
    problems.push_back({.path = path, .message = message});
  };
  if (asha.min_steps() == 0) {
    add("sweep.asha.min_steps",
        "is missing: give the updates after which trials are compared first, a multiple of eval.every_steps");
  } else if (asha.min_steps() < 0 || asha.min_steps() > kMaxSteps) {
    add("sweep.asha.min_steps", absl::StrCat("must be at least 1 and at most ", kMaxSteps, ", not ",
                                             asha.min_steps(), ": it is a number of updates"));
  }
  if (asha.reduction_factor() < 2 || asha.reduction_factor() > kMaxReductionFactor) {
    add("sweep.asha.reduction_factor",
        absl::StrCat("must be in [2, ", kMaxReductionFactor, "], not ", asha.reduction_factor(),
                     ": one trial in so many goes on at each rung"));
  }
  if (asha.max_steps() != 0 && asha.max_steps() <= asha.min_steps()) {
    add("sweep.asha.max_steps",
        absl::StrCat("must be more than min_steps, ", asha.min_steps(), ", not ", asha.max_steps(),
                     ": no trial is ended from there on; leave it out to compare trials up to train.steps"));
  }
  return problems;
}

}  // namespace

std::vector<Problem> ValidateSearch(const v1::SearchSpec& search) {
  std::vector<Problem> problems;
  const auto add = [&](const std::string& path, const std::string& message) {
    problems.push_back({.path = path, .message = message});
  };
  if (!v1::Strategy_IsValid(search.strategy())) {
    add("sweep.strategy",
        absl::StrCat("is the unknown value number ", static_cast<int>(search.strategy()), ": give one of ",
                     absl::StrJoin(ValueNames(*v1::Strategy_descriptor()), ", ")));
    return problems;
  }
  const bool random = search.strategy() == v1::STRATEGY_RANDOM;
  const bool asha = search.strategy() == v1::STRATEGY_ASHA;
  if (search.samples() < 0 || (random && search.samples() == 0)) {
    add("sweep.samples", search.samples() == 0 ? "is missing: give the number of cells to draw"
                                               : absl::StrCat("must be at least 1, not ", search.samples()));
  } else if (!random && !asha && search.samples() > 0) {
    add("sweep.samples",
        "is not for strategy grid, which takes every combination: leave it out, or write strategy: random");
  }
  if (search.seed() != 0 && !search::IsDrawn(search) && search.samples() >= 0) {
    add("sweep.seed", "has nothing to draw: it goes with sweep.samples");
  }
  if (!asha && search.has_asha())
    add("sweep.asha", "is for strategy asha: leave it out, or write strategy: asha");
  if (asha) {
    const auto more = ValidateAsha(search.asha());
    problems.insert(problems.end(), more.begin(), more.end());
  }
  if (search.parameters().empty() && search.strategy() != v1::STRATEGY_UNSPECIFIED &&
      search.strategy() != v1::STRATEGY_GRID) {
    add("sweep.parameters", "is missing: give the fields to vary, such as norm.alpha: [0, 0.5]");
  }
  return problems;
}

std::optional<std::string> RefuseRange(const v1::SearchSpec& search, const v1::Parameter& parameter) {
  const v1::Distribution& from = parameter.distribution();
  if (!parameter.has_distribution() || from.kind() == v1::Distribution::KIND_UNSPECIFIED) {
    if (!parameter.values().empty()) return std::nullopt;
    return search::IsDrawn(search)
               ? "has no values: give a list such as [0, 1], or a range such as {uniform: [0, 1]}"
               : "has no values: give a list such as [0, 1], or leave it out";
  }
  const auto& field = *FindPath(parameter.path()).back();
  if (!v1::Distribution::Kind_IsValid(from.kind()))
    return absl::StrCat("has the unknown distribution number ", static_cast<int>(from.kind()));
  if (!IsNumeric(field)) {
    return absl::StrCat("is ", TypeName(field), ", which has no range: give a list of values to draw from");
  }
  if (!search::IsDrawn(search)) {
    return search.strategy() == v1::STRATEGY_ASHA
               ? "is a range: say with sweep.samples how many cells to draw, or give a list of values"
               : "is a range, which strategy grid cannot take every value of: give a list of values, or "
                 "write "
                 "strategy: random";
  }
  if (!parameter.values().empty()) return "has values and a range: give one of them";
  if (!IsInOrder(from)) {
    return absl::StrCat("must go from the least to the greatest value, not from ", from.min(), " to ",
                        from.max());
  }
  if (from.kind() == v1::Distribution::KIND_LOG_UNIFORM && from.min() <= 0) {
    return absl::StrCat("must begin above 0, not at ", from.min(), ": it is drawn evenly in the logarithm");
  }
  if (IsWhole(field) && !(IsWholeInRange(from.min()) && IsWholeInRange(from.max()))) {
    return absl::StrCat("must go from one whole number to another, neither beyond ",
                        static_cast<int64_t>(kMaxWhole));
  }
  return std::nullopt;
}

std::vector<Problem> RelateSearch(const v1::SearchSpec& search, const v1::TrialSpec& trial) {
  std::vector<Problem> problems;
  if (search.strategy() != v1::STRATEGY_ASHA) return problems;
  const int64_t first = search.asha().min_steps(), every = trial.eval().every_steps();
  if (every < 1 || first % every != 0) {
    problems.push_back({.path = "sweep.asha.min_steps",
                        .message = absl::StrCat("trials are compared by their evaluations: ", first,
                                                " is not a multiple of eval.every_steps, ", every)});
  } else if (first >= trial.train().steps()) {
    problems.push_back({.path = "sweep.asha.min_steps",
                        .message = absl::StrCat(first, " is not below train.steps, ", trial.train().steps(),
                                                ": no trial would ever be compared with another")});
  }
  return problems;
}

}  // namespace mixln::coordinator::sweep
