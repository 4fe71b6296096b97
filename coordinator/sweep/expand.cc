#include "coordinator/sweep/expand.h"

#include <algorithm>
#include <functional>
#include <map>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "coordinator/search/search.h"
#include "coordinator/sweep/bounds.h"
#include "coordinator/sweep/grid.h"
#include "coordinator/sweep/resolve.h"

namespace mixln::coordinator::sweep {
namespace {

// Equal for trials that train the same model: of the norms, alpha is only a record of what the user wrote.
std::string Key(const v1::TrialSpec& resolved) {
  v1::TrialSpec spec = resolved;
  spec.mutable_norm()->clear_alpha();
  return spec.SerializeAsString();  // equal specs, built alike and without maps, give equal bytes
}

v1::Cell MakeCell(const v1::SearchSpec& search, const Point& point, v1::TrialSpec resolved) {
  v1::Cell cell;
  for (size_t axis = 0; axis < point.size(); ++axis) {
    const v1::Parameter& parameter = search.parameters(static_cast<int>(axis));
    v1::CellParameter& out = *cell.add_parameters();
    out.set_path(parameter.path());
    out.set_value(parameter.values(point[axis]));
  }
  *cell.mutable_spec() = std::move(resolved);
  return cell;
}

// `0.1 and 0.125`, `0.1, 0.11 and 0.125`.
std::string Enumerate(const std::vector<std::string>& words) {
  if (words.size() < 2) return absl::StrJoin(words, "");
  const std::vector<std::string> head(words.begin(), words.end() - 1);
  return absl::StrCat(absl::StrJoin(head, ", "), " and ", words.back());
}

// Why the values of one parameter give one trial.
std::string Reason(const std::string& path, const std::vector<std::string>& values,
                   const v1::TrialSpec& spec) {
  if (std::all_of(values.begin(), values.end(), [&](const std::string& v) { return v == values[0]; })) {
    return absl::StrCat(path, " ", values[0], " is given more than once");
  }
  const std::string several =
      absl::StrCat(path, " ", Enumerate(values), values.size() == 2 ? " both" : " all");
  const v1::NormSpec& norm = spec.norm();
  if (path != "norm.alpha") return absl::StrCat(several, " give the same trial");
  if (norm.placement() != v1::PLACEMENT_MIX) {
    return absl::StrCat(several, " mean nothing to placement ", PlacementName(norm.placement()));
  }
  return absl::StrCat(several, " give ", norm.post_layers(),
                      norm.post_layers() == 1 ? " post layer of " : " post layers of ",
                      spec.model().layers());
}

// Remarks on a cell into which `others` of a grid were merged.
std::vector<std::string> MergeNotes(const v1::SearchSpec& search, const Point& first,
                                    const std::vector<Point>& others, const v1::TrialSpec& spec) {
  // Values by the one axis in which a point differs from the first. Points that differ in several axes follow
  // from these.
  std::map<size_t, std::vector<std::string>> values;
  for (const Point& other : others) {
    std::vector<size_t> differing;
    for (size_t axis = 0; axis < first.size(); ++axis) {
      if (other[axis] != first[axis]) differing.push_back(axis);
    }
    if (differing.size() != 1) continue;
    const v1::Parameter& parameter = search.parameters(static_cast<int>(differing[0]));
    auto& of_axis = values[differing[0]];
    if (of_axis.empty()) of_axis.push_back(parameter.values(first[differing[0]]));
    of_axis.push_back(parameter.values(other[differing[0]]));
  }
  std::vector<std::string> notes;
  notes.reserve(values.size());
  for (const auto& [axis, of_axis] : values) {
    notes.push_back(absl::StrCat(Reason(search.parameters(static_cast<int>(axis)).path(), of_axis, spec),
                                 ": merged into one cell"));
  }
  return notes;
}

struct Origin {
  Point first;
  std::vector<Point> merged;
};

void NoteMergedCombinations(const v1::SearchSpec& search, const std::vector<Origin>& origins,
                            Expansion& expansion) {
  for (size_t i = 0; i < origins.size(); ++i) {
    if (origins[i].merged.empty()) continue;
    v1::Cell& cell = expansion.cells[i];
    for (const std::string& note : MergeNotes(search, origins[i].first, origins[i].merged, cell.spec())) {
      cell.add_notes(note);
      // Cells that differ in the seed, say, have the same remark.
      if (std::find(expansion.notes.begin(), expansion.notes.end(), note) == expansion.notes.end()) {
        expansion.notes.push_back(note);
      }
    }
  }
}

void NoteMergedDraws(const std::vector<Origin>& origins, Expansion& expansion) {
  size_t merged = 0;
  for (size_t i = 0; i < origins.size(); ++i) {
    if (origins[i].merged.empty()) continue;
    merged += origins[i].merged.size();
    expansion.cells[i].add_notes(absl::StrCat("drawn ", origins[i].merged.size() + 1, " times"));
  }
  if (merged == 0) return;
  expansion.notes.push_back(absl::StrCat(merged, " of ", merged + origins.size(),
                                         " draws give the same trial as another: ", origins.size(),
                                         origins.size() == 1 ? " cell is left" : " cells are left"));
}

}  // namespace

Expansion Expand(const v1::SweepSpec& asked) {
  Expansion expansion;
  if (!IsWithinLimits(asked)) return expansion;
  const v1::SweepSpec spec = WithDraws(asked);
  std::vector<Origin> origins;                            // of each cell
  std::unordered_multimap<size_t, size_t> cells_by_hash;  // of the cell's key
  const bool complete = ForEachPoint(spec, [&](const Point& point, const v1::TrialSpec& trial) {
    v1::TrialSpec resolved = Resolve(trial);
    const std::string key = Key(resolved);
    const size_t hash = std::hash<std::string>()(key);
    const auto [begin, end] = cells_by_hash.equal_range(hash);
    const auto equal = std::find_if(
        begin, end, [&](const auto& entry) { return Key(expansion.cells[entry.second].spec()) == key; });
    if (equal != end) {
      origins[equal->second].merged.push_back(point);
      return true;
    }
    cells_by_hash.emplace(hash, expansion.cells.size());
    expansion.cells.push_back(MakeCell(spec.sweep(), point, std::move(resolved)));
    expansion.cells.back().set_index(static_cast<int>(expansion.cells.size()) - 1);
    origins.push_back({.first = point, .merged = {}});
    return true;
  });
  if (!complete) return {};
  if (search::IsDrawn(spec.sweep())) {
    NoteMergedDraws(origins, expansion);
  } else {
    NoteMergedCombinations(spec.sweep(), origins, expansion);
  }
  return expansion;
}

}  // namespace mixln::coordinator::sweep
