#include "coordinator/sweep/validate.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/text/suggest.h"
#include "coordinator/search/search.h"
#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/field.h"
#include "coordinator/sweep/grid.h"
#include "coordinator/sweep/presets.h"
#include "coordinator/sweep/sweepable.h"
#include "coordinator/sweep/validate_search.h"
#include "coordinator/sweep/validate_trial.h"

namespace mixln::coordinator::sweep {
namespace {

constexpr size_t kMaxProblems = 100;
constexpr size_t kMaxNameLength = 53;
constexpr int64_t kMaxRetentionSeconds = 1'000'000'000'000;

// A value to be checked on its own.
struct Candidate {
  std::string path;  // of the value, such as sweep.parameters.norm.alpha[1]
  std::string value;
};

class Validator {
 public:
  Validator(const std::string& name, const v1::SweepSpec& spec, bool allow_large)
      : name_(name), spec_(spec), search_(spec_.sweep()), allow_large_(allow_large) {
    FillDefaults(*spec_.mutable_base());
  }

  std::vector<Problem> Run() {
    CheckName();
    CheckRetention();
    const std::vector<Problem> of_search = ValidateSearch(search_);
    for (const Problem& problem : of_search) Add(problem.path, problem.message);
    search_holds_ = of_search.empty();
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

  void CheckRetention() {
    const v1::RetentionSpec& retention = spec_.retention();
    if (retention.checkpoints() < 0 || retention.checkpoints() == 1) {
      Add("retention.checkpoints", "must be at least 2, not ", retention.checkpoints(),
          ": one that does not load has the one before it; leave it out for 2");
    }
    if (retention.seconds_after_end() < 0 || retention.seconds_after_end() > kMaxRetentionSeconds) {
      Add("retention.seconds_after_end", "must be at least 1 and at most ", kMaxRetentionSeconds, ", not ",
          retention.seconds_after_end(), ": leave it out to keep artifacts until the sweep is deleted");
    }
  }

  // Paths and the types of values. A parameter that is refused is left out of what follows.
  bool CheckParameters() {
    v1::SearchSpec kept = search_;
    kept.clear_parameters();
    std::set<std::string> seen;
    bool hold = true;
    for (const v1::Parameter& parameter : search_.parameters()) {
      if (const std::optional<std::string> refusal = RefuseParameter(parameter, seen)) {
        Add(PathOf(parameter), *refusal);
        hold = false;
        continue;
      }
      v1::Parameter checked = parameter;
      checked.clear_values();
      std::vector<Candidate> candidates;
      const FieldPath field = FindPath(parameter.path());
      for (Candidate& candidate : CandidatesOf(parameter, *field.back())) {
        if (const auto error = CheckValue(parameter.path(), field, candidate.value)) {
          Add(candidate.path, *error);
          hold = false;
          continue;
        }
        if (!parameter.values().empty()) checked.add_values(candidate.value);
        candidates.push_back(std::move(candidate));
      }
      if (candidates.empty()) continue;
      *kept.add_parameters() = std::move(checked);
      candidates_.push_back(std::move(candidates));
    }
    points_ = CountPoints(search_);
    *spec_.mutable_sweep() = std::move(kept);
    return hold;
  }

  // The parameter's values, or the ends of its range.
  static std::vector<Candidate> CandidatesOf(const v1::Parameter& parameter,
                                             const google::protobuf::FieldDescriptor& field) {
    std::vector<Candidate> candidates;
    const auto add = [&](const std::string& list, int number, const std::string& value) {
      candidates.push_back({absl::StrCat(PathOf(parameter), list, "[", number, "]"), value});
    };
    for (int i = 0; i < parameter.values_size(); ++i) add("", i, parameter.values(i));
    if (parameter.values().empty()) {
      const v1::Distribution& from = parameter.distribution();
      const std::string kind =
          absl::StrCat(".", ValueName(*v1::Distribution::Kind_descriptor()->FindValueByNumber(from.kind())));
      int number = 0;
      for (const double end : {from.min(), from.max()}) {
        add(kind, number++,
            IsWhole(field) ? absl::StrCat(static_cast<int64_t>(end)) : absl::StrFormat("%.17g", end));
      }
    }
    return candidates;
  }

  std::optional<std::string> RefuseParameter(const v1::Parameter& parameter,
                                             std::set<std::string>& seen) const {
    const std::string& path = parameter.path();
    if (std::optional<std::string> refusal = RefuseToSweep(path)) return refusal;
    if (!seen.insert(path).second) return "is given twice: put all its values into one list";
    if (std::optional<std::string> refusal = RefuseRange(search_, parameter)) return refusal;
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
      Add("sweep.parameters", "the sweep has ", points_ == std::numeric_limits<int64_t>::max() ? "over " : "",
          points_, " cells; ", kMaxGrid, " is the most: split it into several sweeps");
      return false;
    }
    if (!IsWithinLimits(spec_)) {
      Add("sweep.parameters", "the cells would take ", EstimateBytes(spec_) >> 20, " MiB; ",
          kMaxGridBytes >> 20, " is the most: split it into several sweeps, or shorten data.source");
      return false;
    }
    if (points_ > kLargeGrid && !allow_large_) {
      Add("sweep.parameters", "the sweep has ", points_, " cells, more than ", kLargeGrid,
          ": if that is meant, submit it with --allow-large");
    }
    return true;
  }

  std::vector<Problem> Relate(const v1::TrialSpec& trial) const {
    std::vector<Problem> problems = ValidateRelations(trial);
    if (search_holds_) {
      for (Problem& problem : RelateSearch(search_, trial)) problems.push_back(std::move(problem));
    }
    return problems;
  }

  // Values of a draw need not go with the first values of other parameters: only what is wrong with fields
  // alone is wrong for certain.
  std::vector<Problem> Judge(const v1::TrialSpec& trial) const {
    std::vector<Problem> problems = ValidateFields(trial);
    if (search::IsDrawn(search_)) return problems;
    for (Problem& problem : Relate(trial)) problems.push_back(std::move(problem));
    return problems;
  }

  // The point of first values, then every value alone in place of its first. What is wrong at the first point
  // belongs to the field; what is wrong only with another value belongs to that value.
  void CheckValuesOneByOne() {
    const auto& parameters = spec_.sweep().parameters();
    v1::TrialSpec trial = spec_.base();
    std::vector<FieldPath> paths;
    for (int axis = 0; axis < parameters.size(); ++axis) {
      paths.push_back(FindPath(parameters[axis].path()));
      SetFromText(trial, paths.back(), candidates_[static_cast<size_t>(axis)][0].value);
    }
    std::set<std::pair<std::string, std::string>> known;
    for (const Problem& problem : Judge(trial)) {
      known.emplace(problem.path, problem.message);
      int axis = 0;
      while (axis < parameters.size() && parameters[axis].path() != problem.path) ++axis;
      Add(axis < parameters.size() ? candidates_[static_cast<size_t>(axis)][0].path : problem.path,
          problem.message);
    }
    for (int axis = 0; axis < parameters.size(); ++axis) {
      const auto at = static_cast<size_t>(axis);
      for (size_t i = 1; i < candidates_[at].size() && problems_.size() < kMaxProblems; ++i) {
        SetFromText(trial, paths[at], candidates_[at][i].value);
        for (const Problem& problem : Judge(trial)) {
          if (known.contains({problem.path, problem.message})) continue;
          const bool own = problem.path == parameters[axis].path();
          Add(candidates_[at][i].path, own ? "" : problem.path + ": ", problem.message);
        }
      }
      SetFromText(trial, paths[at], candidates_[at][0].value);
    }
  }

  // Values that are right alone can be wrong together, such as a hidden_size and a number of heads. Each
  // problem is said once, of the first point that has it.
  void CheckCombinations() {
    constexpr size_t kEnough = 20;
    struct Found {
      Problem problem;
      Point first;
      int64_t points = 0;
    };
    std::vector<Found> all;
    const v1::SweepSpec spec = WithDraws(spec_);
    ForEachPoint(spec, [&](const Point& point, const v1::TrialSpec& trial) {
      for (const Problem& problem : Relate(trial)) {
        const auto known = std::find_if(all.begin(), all.end(), [&](const Found& found) {
          return found.problem.path == problem.path && found.problem.message == problem.message;
        });
        ++(known == all.end() ? all.emplace_back(Found{.problem = problem, .first = point}) : *known).points;
      }
      return all.size() < kEnough;
    });
    for (const Found& found : all) {
      if (found.points == points_) {  // whatever is drawn
        Add(found.problem.path, found.problem.message);
      } else {
        Add("sweep.parameters", Describe(spec.sweep(), found.first), ": ", found.problem.path, ": ",
            found.problem.message);
      }
    }
  }

  const std::string& name_;
  v1::SweepSpec spec_;  // with defaults; from CheckParameters on with what could be read of the parameters
  const v1::SearchSpec search_;  // as sent
  const bool allow_large_;
  bool search_holds_ = false;
  int64_t points_ = 1;                              // of the sweep as sent
  std::vector<std::vector<Candidate>> candidates_;  // for each parameter kept
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> Validate(const std::string& name, const v1::SweepSpec& spec, bool allow_large) {
  return Validator(name, spec, allow_large).Run();
}

}  // namespace mixln::coordinator::sweep
