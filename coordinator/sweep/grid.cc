#include "coordinator/sweep/grid.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "coordinator/search/search.h"
#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/field.h"
#include "coordinator/sweep/presets.h"

namespace mixln::coordinator::sweep {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

int64_t MultiplyOrMost(int64_t a, int64_t b) {
  int64_t product = 0;
  return __builtin_mul_overflow(a, b, &product) ? kMost : product;
}

// The most layers that a cell can have; its layer_placements are as long.
int MostLayers(const v1::SweepSpec& spec) {
  v1::ModelSpec base = spec.base().model();
  ApplyPreset(base);
  int most = base.layers();
  for (const v1::Parameter& parameter : spec.sweep().parameters()) {
    if (parameter.path() != "model.layers" && parameter.path() != "model.preset") continue;
    const FieldPath path = FindPath(parameter.path());
    most =
        std::max(most, static_cast<int>(std::clamp(parameter.distribution().max(), 0.0, 1.0 * kMaxLayers)));
    for (const std::string& value : parameter.values()) {
      v1::TrialSpec trial;
      SetFromText(trial, path, value);  // one that cannot be set adds no layers
      ApplyPreset(*trial.mutable_model());
      most = std::max(most, trial.model().layers());
    }
  }
  return std::clamp(most, 0, kMaxLayers);
}

}  // namespace

int64_t CountPoints(const v1::SearchSpec& search) {
  if (search::IsDrawn(search)) return std::max(search.samples(), 0);
  int64_t count = 1;
  for (const v1::Parameter& parameter : search.parameters()) {
    if (parameter.values().empty()) return 0;
    count = MultiplyOrMost(count, parameter.values_size());
  }
  return count;
}

int64_t EstimateBytes(const v1::SweepSpec& spec) {
  // A resolved spec has all messages (about 1 KB) and a vector over the layers; a cell has its parameters and
  // a key in the table that finds equal ones.
  constexpr int64_t kCell = 2048, kParameter = 128;
  constexpr size_t kNumber = 32;  // the longest that is drawn from a range
  int64_t bytes = kCell + static_cast<int64_t>(spec.base().SpaceUsedLong()) +
                  MostLayers(spec) * static_cast<int64_t>(sizeof(int));
  for (const v1::Parameter& parameter : spec.sweep().parameters()) {
    size_t longest = parameter.has_distribution() ? kNumber : 0;
    for (const std::string& value : parameter.values()) longest = std::max(longest, value.size());
    // Three times the value: as drawn, as written, and in the spec.
    bytes += kParameter + static_cast<int64_t>(parameter.path().size() + 3 * longest);
  }
  return MultiplyOrMost(bytes, CountPoints(spec.sweep()));
}

bool IsWithinLimits(const v1::SweepSpec& spec) {
  return CountPoints(spec.sweep()) <= kMaxGrid && EstimateBytes(spec) <= kMaxGridBytes;
}

v1::SweepSpec WithDraws(const v1::SweepSpec& spec) {
  v1::SweepSpec drawn = spec;
  if (!search::IsDrawn(spec.sweep())) return drawn;
  for (v1::Parameter& parameter : *drawn.mutable_sweep()->mutable_parameters()) {
    const FieldPath path = FindPath(parameter.path());
    const bool ranges = parameter.distribution().kind() != v1::Distribution::KIND_UNSPECIFIED;
    if (path.empty() || (parameter.values().empty() && !ranges)) continue;  // for ForEachPoint to refuse
    const auto values = search::Draw(spec.sweep(), parameter, IsWhole(*path.back()));
    parameter.mutable_values()->Assign(values.begin(), values.end());
  }
  return drawn;
}

bool ForEachPoint(const v1::SweepSpec& spec,
                  const std::function<bool(const Point&, const v1::TrialSpec&)>& visit) {
  const auto& parameters = spec.sweep().parameters();
  std::vector<FieldPath> paths;
  for (const v1::Parameter& parameter : parameters) {
    paths.push_back(FindPath(parameter.path()));
    if (paths.back().empty() || parameter.values().empty()) return false;
  }
  v1::TrialSpec trial = spec.base();
  const auto set = [&](int axis, int value) {
    return !SetFromText(trial, paths[static_cast<size_t>(axis)], parameters[axis].values(value));
  };
  Point point(paths.size(), 0);
  const auto set_all = [&](int value) {
    std::fill(point.begin(), point.end(), value);
    for (int axis = 0; axis < parameters.size(); ++axis) {
      if (!set(axis, value)) return false;
    }
    return true;
  };
  if (search::IsDrawn(spec.sweep())) {
    for (int draw = 0; draw < spec.sweep().samples(); ++draw) {
      if (!set_all(draw)) return false;
      if (!visit(point, trial)) break;
    }
    return true;
  }
  if (!set_all(0)) return false;
  while (visit(point, trial)) {
    int axis = parameters.size() - 1;
    for (; axis >= 0; --axis) {
      int& value = point[static_cast<size_t>(axis)];
      value = value + 1 < parameters[axis].values_size() ? value + 1 : 0;
      if (!set(axis, value)) return false;
      if (value > 0) break;  // else this axis starts over and the one before it moves on
    }
    if (axis < 0) break;
  }
  return true;
}

std::string Describe(const v1::SearchSpec& search, const Point& point) {
  std::string text;
  for (size_t axis = 0; axis < point.size(); ++axis) {
    const v1::Parameter& parameter = search.parameters(static_cast<int>(axis));
    absl::StrAppend(&text, axis == 0 ? "" : ", ", parameter.path(), "=", parameter.values(point[axis]));
  }
  return text;
}

}  // namespace mixln::coordinator::sweep
