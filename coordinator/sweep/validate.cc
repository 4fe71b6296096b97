#include "coordinator/sweep/validate.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text/suggest.h"
#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/field.h"
#include "coordinator/sweep/grid.h"
#include "coordinator/sweep/presets.h"
#include "coordinator/sweep/sweepable.h"
#include "coordinator/sweep/validate_trial.h"

namespace mixln::coordinator::sweep {
namespace {

constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxNameLength = 53;

class Validator {
 public:
  Validator(const std::string& name, const v1::SweepSpec& spec, bool allow_large)
      : name_(name), spec_(spec), search_(spec_.sweep()), allow_large_(allow_large) {
    FillDefaults(*spec_.mutable_base());
  }

  std::vector<Problem> Run() {
    CheckName();
    CheckStrategy();
    const bool parameters_hold = CheckParameters();
    const bool size_holds = CheckSize();
    if (size_holds) CheckValuesOneByOne();
    if (problems_.empty() && parameters_hold && size_holds) CheckCombinations();
    return std::move(problems_);
  }

 private:
  template <typename... Words>
  void Add(const std::string& path, const Words&... words) {
    if (problems_.size() < kMaxProblems)
      problems_.push_back({.path = path, .message = absl::StrCat(words...)});
  }

  static std::string PathOf(const v1::Parameter& parameter) {
    return absl::StrCat("sweep.parameters.", parameter.path().substr(0, 100));
  }
  static std::string PathOf(const v1::Parameter& parameter, int value) {
    return absl::StrCat(PathOf(parameter), "[", value, "]");
  }

  void CheckName() {
    const bool starts = !name_.empty() && absl::ascii_islower(static_cast<unsigned char>(name_[0]));
    const bool letters = std::all_of(name_.begin(), name_.end(), [](unsigned char c) {
      return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
    });
    if (starts && letters && name_.size() <= kMaxNameLength) return;
    Add("metadata.name",
        name_.empty() ? "is missing" : absl::StrCat("`", name_.substr(0, 60), "` is not a sweep's name"),
        ": give lower-case letters, digits and hyphens, at most ", kMaxNameLength, ", the first a letter");
  }

  void CheckStrategy() {
    if (search_.strategy() != v1::STRATEGY_UNSPECIFIED && search_.strategy() != v1::STRATEGY_GRID) {
      Add("sweep.strategy", "is the unknown value number ", static_cast<int>(search_.strategy()),
          ": give grid");
    }
  }

  // Paths and the types of values. A parameter that is refused is left out of what follows.
  bool CheckParameters() {
    v1::SearchSpec kept;
    std::set<std::string> seen;
    bool hold = true;
    for (const v1::Parameter& parameter : search_.parameters()) {
      if (const std::optional<std::string> refusal = RefuseParameter(parameter, seen)) {
        Add(PathOf(parameter), *refusal);
        hold = false;
        continue;
      }
      v1::Parameter checked;
      checked.set_path(parameter.path());
      std::vector<int> numbers;
      const FieldPath field = FindPath(parameter.path());
      for (int i = 0; i < parameter.values_size(); ++i) {
        if (const auto error = CheckValue(parameter.path(), field, parameter.values(i))) {
          Add(PathOf(parameter, i), *error);
          hold = false;
        } else {
          checked.add_values(parameter.values(i));
          numbers.push_back(i);
        }
      }
      if (numbers.empty()) continue;
      *kept.add_parameters() = std::move(checked);
      numbers_.push_back(std::move(numbers));
    }
    points_ = CountPoints(search_);
    *spec_.mutable_sweep() = std::move(kept);
    return hold;
  }

  std::optional<std::string> RefuseParameter(const v1::Parameter& parameter,
                                             std::set<std::string>& seen) const {
    const std::string& path = parameter.path();
    if (std::optional<std::string> refusal = RefuseToSweep(path)) return refusal;
    if (!seen.insert(path).second) return "is given twice: put all its values into one list";
    if (parameter.values().empty()) return "has no values: give a list such as [0, 1], or leave it out";
    if (spec_.base().norm().layer_placements_size() > 0 &&
        (path == "norm.alpha" || path == "norm.placement")) {
      return "has no effect beside norm.layer_placements: leave one of them out";
    }
    return std::nullopt;
  }

  static std::optional<std::string> CheckValue(const std::string& path, const FieldPath& field,
                                               const std::string& value) {
    v1::TrialSpec scratch;
    if (std::optional<std::string> error = SetFromText(scratch, field, value)) return error;
    if (IsPresetSize(path) && NumberAt(scratch, field) == 0) return "must be at least 1, not 0";
    if (path == "data.tokenizer.model" && value[0] != '/') {
      return "must be an absolute path: only data.tokenizer.model itself is taken from the sweep file's "
             "folder";
    }
    return std::nullopt;
  }

  bool CheckSize() {
    if (points_ > kMaxGrid) {
      Add("sweep.parameters", "the grid has ", points_ == std::numeric_limits<int64_t>::max() ? "over " : "",
          points_, " cells; ", kMaxGrid, " is the most: split it into several sweeps");
      return false;
    }
    if (!IsWithinLimits(spec_)) {
      Add("sweep.parameters", "the cells would take ", EstimateBytes(spec_) >> 20, " MiB; ",
          kMaxGridBytes >> 20, " is the most: split it into several sweeps, or shorten data.source");
      return false;
    }
    if (points_ > kLargeGrid && !allow_large_) {
      Add("sweep.parameters", "the grid has ", points_, " cells, more than ", kLargeGrid,
          ": if that is meant, submit it with --allow-large");
    }
    return true;
  }

  static std::vector<Problem> Judge(const v1::TrialSpec& trial) {
    std::vector<Problem> problems = ValidateFields(trial);
    std::vector<Problem> relations = ValidateRelations(trial);
    problems.insert(problems.end(), std::make_move_iterator(relations.begin()),
                    std::make_move_iterator(relations.end()));
    return problems;
  }

  // The point of first values, then every value alone in place of its first. What is wrong at the first point
  // belongs to the field; what is wrong only with another value belongs to that value.
  void CheckValuesOneByOne() {
    const auto& parameters = spec_.sweep().parameters();
    v1::TrialSpec trial = spec_.base();
    std::vector<FieldPath> paths;
    for (const v1::Parameter& parameter : parameters) {
      paths.push_back(FindPath(parameter.path()));
      SetFromText(trial, paths.back(), parameter.values(0));
    }
    std::set<std::pair<std::string, std::string>> known;
    for (const Problem& problem : Judge(trial)) {
      known.emplace(problem.path, problem.message);
      int axis = 0;
      while (axis < parameters.size() && parameters[axis].path() != problem.path) ++axis;
      Add(axis < parameters.size() ? PathOf(parameters[axis], numbers_[static_cast<size_t>(axis)][0])
                                   : problem.path,
          problem.message);
    }
    for (int axis = 0; axis < parameters.size(); ++axis) {
      const auto at = static_cast<size_t>(axis);
      for (int i = 1; i < parameters[axis].values_size() && problems_.size() < kMaxProblems; ++i) {
        SetFromText(trial, paths[at], parameters[axis].values(i));
        for (const Problem& problem : Judge(trial)) {
          if (known.contains({problem.path, problem.message})) continue;
          const bool own = problem.path == parameters[axis].path();
          Add(PathOf(parameters[axis], numbers_[at][static_cast<size_t>(i)]), own ? "" : problem.path + ": ",
              problem.message);
        }
      }
      SetFromText(trial, paths[at], parameters[axis].values(0));
    }
  }

  // Values that are right alone can be wrong together, such as a hidden_size and a number of heads.
  void CheckCombinations() {
    constexpr size_t kEnough = 20;
    ForEachPoint(spec_, [&](const Point& point, const v1::TrialSpec& trial) {
      for (const Problem& problem : ValidateRelations(trial)) {
        Add("sweep.parameters", Describe(spec_.sweep(), point), ": ", problem.path, ": ", problem.message);
      }
      return problems_.size() < kEnough;
    });
  }

  const std::string& name_;
  v1::SweepSpec spec_;           // with defaults; from CheckParameters on with what could be read of the grid
  const v1::SearchSpec search_;  // as sent
  const bool allow_large_;
  int64_t points_ = 1;                     // of the grid as sent
  std::vector<std::vector<int>> numbers_;  // for each parameter kept, the numbers of its values as sent
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> Validate(const std::string& name, const v1::SweepSpec& spec, bool allow_large) {
  return Validator(name, spec, allow_large).Run();
}

}  // namespace mixln::coordinator::sweep
