#include "services/mixlnctl/sweep_file.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <istream>
#include <iterator>
#include <map>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file/durable.h"
#include "coordinator/sweep/expand.h"
#include "coordinator/sweep/parse.h"
#include "coordinator/sweep/validate.h"
#include "services/mixlnctl/data_check.h"
#include "services/mixlnctl/data_paths.h"
#include "services/mixlnctl/table.h"

namespace mixln::services::mixlnctl {
namespace {

using coordinator::sweep::Problem;

constexpr int kSourceWidth = 110;

// "spec.data.source[1]" → spec, data, source, [1].
std::vector<std::string> Steps(const std::string& path) {
  std::vector<std::string> steps;
  for (const auto part : absl::StrSplit(path, '.')) {
    const std::string word(part);
    const size_t bracket = word.find('[');
    steps.push_back(word.substr(0, bracket));
    if (bracket != std::string::npos) steps.push_back(word.substr(bracket));
  }
  return steps;
}

void AddProblem(SweepFile& file, const std::string& field, const std::string& message) {
  const Position at = FindField(file.text, absl::StrCat("spec.", field));
  file.problems.push_back({file.display_name, at.line, at.column, field, message});
}

absl::StatusOr<std::string> ReadText(Io& io, const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(io.in), {});
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a folder; a sweep file is needed"));
  }
  auto text = base::ReadFile(path);
  if (absl::IsNotFound(text.status())) return absl::NotFoundError(absl::StrCat("there is no file ", path));
  return text;
}

// Looks at the data of all cells: each different corpus, tokenizer, context and vocabulary once, with the
// largest batch.
void CheckCells(SweepFile& file) {
  struct Need {
    v1::DataSpec data;
    int64_t tokens = 0;
  };
  std::map<std::pair<std::string, int32_t>, Need> needs;
  for (const v1::Cell& cell : file.cells) {
    const v1::DataSpec& spec = cell.spec().data();
    auto& [kept, tokens] = needs[{spec.SerializeAsString(), cell.spec().model().vocab_size()}];
    kept = spec;
    tokens = std::max<int64_t>(tokens, int64_t{cell.spec().train().batch().sequences()} * spec.context());
  }
  for (const auto& [key, need] : needs) {
    const DataFindings findings = CheckData(need.data, need.tokens, key.second);
    for (const auto& [field, problem] : findings.problems) {
      const bool known =
          std::any_of(file.problems.begin(), file.problems.end(),
                      [&, &problem = problem](const Problem& p) { return p.message == problem; });
      if (!known) AddProblem(file, field, problem);
    }
    for (const std::string& note : findings.notes) {
      if (std::find(file.notes.begin(), file.notes.end(), note) == file.notes.end())
        file.notes.push_back(note);
    }
  }
}

}  // namespace

Position FindField(const std::string& text, const std::string& path) {
  Position at;
  try {
    YAML::Node node = YAML::Load(text);
    for (const std::string& step : Steps(path)) {
      YAML::Node next;
      int index = 0;
      if (step[0] == '[') {
        if (!node.IsSequence() || !absl::SimpleAtoi(step.substr(1, step.size() - 2), &index)) break;
        if (index >= static_cast<int>(node.size())) break;
        next.reset(node[index]);
      } else {
        if (!node.IsMap() || !node[step]) break;
        next.reset(node[step]);
      }
      node.reset(next);
      if (!node.Mark().is_null()) at = {node.Mark().line + 1, node.Mark().column + 1};
    }
  } catch (const YAML::Exception&) {
    return at;
  }
  return at;
}

absl::StatusOr<SweepFile> LoadSweepFile(Io& io, const SweepFileOptions& options) {
  auto text = ReadText(io, options.path);
  if (!text.ok()) return text.status();
  SweepFile file{.display_name = options.path == "-" ? "<stdin>" : options.path, .text = *std::move(text)};
  auto parsed = coordinator::sweep::Parse(file.text, file.display_name, options.allow_large);
  file.name = parsed.name;
  file.spec = std::move(parsed.spec);
  file.problems = std::move(parsed.problems);
  if (!options.name.empty()) {
    file.name = options.name;
    for (Problem& problem : coordinator::sweep::Validate(options.name, file.spec, /*allow_large=*/true)) {
      if (problem.path == "metadata.name") {
        problem.file = "--name";
        file.problems.push_back(std::move(problem));
      }
    }
  }
  // Where the file did not parse, there may be no sources to look for.
  if (!options.skip_data_check) {
    const std::filesystem::path folder = options.path == "-"
                                             ? std::filesystem::current_path()
                                             : std::filesystem::absolute(options.path).parent_path();
    for (const PathProblem& problem : ResolvePaths(folder, *file.spec.mutable_base())) {
      AddProblem(file, problem.field, problem.message);
    }
  }
  if (!file.problems.empty()) return file;
  auto expansion = coordinator::sweep::Expand(file.spec);
  file.cells = std::move(expansion.cells);
  file.notes = std::move(expansion.notes);
  if (!options.skip_data_check) CheckCells(file);
  return file;
}

std::string ProblemText(const SweepFile& file, const Style& style, bool with_source) {
  std::vector<Problem> problems = file.problems;
  std::stable_sort(problems.begin(), problems.end(), [](const Problem& a, const Problem& b) {
    return std::pair(a.line, a.column) < std::pair(b.line, b.column);
  });
  const std::vector<std::string> lines = absl::StrSplit(file.text, '\n');
  std::string text;
  for (const Problem& problem : problems) {
    absl::StrAppend(&text, coordinator::sweep::Format(problem), "\n");
    if (!with_source || problem.line < 1 || problem.line > static_cast<int>(lines.size())) continue;
    const std::string& line = lines[static_cast<size_t>(problem.line - 1)];
    const size_t column = std::min(line.size(), static_cast<size_t>(std::max(0, problem.column - 1)));
    if (DisplayWidth(line.substr(0, column)) >= kSourceWidth) continue;
    // The caret's line repeats tabs, so that it stands below its column however wide they are.
    std::string caret;
    for (const char c : line.substr(0, column)) {
      if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) caret += c == '\t' ? '\t' : ' ';
    }
    absl::StrAppend(&text, "  ", style.Dim(Truncate(line, kSourceWidth)), "\n  ", caret, style.Green("^"),
                    "\n");
  }
  return text;
}

}  // namespace mixln::services::mixlnctl
