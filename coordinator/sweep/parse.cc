#include "coordinator/sweep/parse.h"

#include <google/protobuf/descriptor.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/preset/preset.h"
#include "base/text/utf8.h"
#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/field.h"
#include "coordinator/sweep/presets.h"
#include "coordinator/sweep/sweepable.h"
#include "coordinator/sweep/validate.h"
#include "coordinator/sweep/validate_search.h"
#include "coordinator/sweep/validate_trial.h"
#include "coordinator/sweep/yaml_reader.h"

namespace mixln::coordinator::sweep {
namespace {

constexpr std::string_view kApiVersion = "mixln/v1";
constexpr std::string_view kKind = "Sweep";

YAML::Mark MarkAt(const std::string& text, size_t offset) {
  YAML::Mark mark;
  for (size_t i = 0; i < offset; ++i) {
    ++mark.column;
    if (text[i] == '\n') {
      ++mark.line;
      mark.column = 0;
    }
  }
  return mark;
}

// YAML allows no control characters but tab and line ends; yaml-cpp would end a file at some of them, and say
// nothing.
size_t FindControl(const std::string& text) {
  const auto at = std::find_if(text.begin(), text.end(), [](unsigned char c) {
    return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 127;
  });
  return at == text.end() ? std::string::npos : static_cast<size_t>(at - text.begin());
}

class FileParser {
 public:
  FileParser(const std::string& text, const std::string& file_name, bool allow_large)
      : text_(text), allow_large_(allow_large), reader_(file_name) {}

  ParseResult Run() {
    YAML::Node root;
    if (ReadYaml(root)) ReadRoot(root);
    result_.problems = reader_.TakeProblems();
    return std::move(result_);
  }

 private:
  bool ReadYaml(YAML::Node& root) {
    if (const size_t at = std::min(base::FindInvalidUtf8(text_), FindControl(text_));
        at != std::string::npos) {
      reader_.Add(MarkAt(text_, at), "",
                  "is not text in UTF-8: this byte is not allowed; save the file as UTF-8");
      return false;
    }
    try {
      const std::vector<YAML::Node> documents = YAML::LoadAll(text_);
      if (documents.size() > 1) {
        reader_.Add(documents[1].Mark(), "", "a second document begins here: write one sweep a file");
        return false;
      }
      if (!documents.empty()) root = documents[0];
    } catch (const YAML::Exception& error) {
      reader_.Add(error.mark, "", absl::StrCat("is not YAML: ", error.msg));
      return false;
    }
    if (root.IsDefined() && !root.IsNull()) return true;
    reader_.Add(YAML::Mark(), "", "is empty: docs/sweep-file.md has an example to start from");
    return false;
  }

  void ReadRoot(const YAML::Node& root) {
    std::string version, kind;
    const auto text_into = [this](const std::string& path, std::string& out) {
      return [this, path, &out](const YAML::Node& node, const YAML::Mark& key) {
        const auto& any_text = *v1::ModelSpec::descriptor()->FindFieldByName("preset");
        reader_.ReadScalar(node, key, path, any_text, out);
      };
    };
    reader_.ReadMap(
        root, YAML::Mark(), "",
        {{.name = "apiVersion", .read = text_into("apiVersion", version)},
         {.name = "kind", .read = text_into("kind", kind)},
         {.name = "metadata",
          .read =
              [&](const YAML::Node& node, const YAML::Mark& key) {
                reader_.ReadMap(node, key, "metadata",
                                {{.name = "name", .read = text_into("metadata.name", result_.name)}});
              }},
         {.name = "spec",
          .read = [this](const YAML::Node& node, const YAML::Mark& key) { ReadSpec(node, key); }}});
    if (!root.IsMap()) return;
    Expect("apiVersion", version, kApiVersion);
    Expect("kind", kind, kKind);
    if (!reader_.Has("spec")) {
      reader_.AddUnlessKnown("spec", "is missing: it says what to train; docs/sweep-file.md has an example");
      result_.spec.Clear();
    }
    for (const Problem& problem : Validate(result_.name, result_.spec, allow_large_)) {
      // Without a spec only the name can be judged.
      if (reader_.Has("spec") || problem.path == "metadata.name")
        reader_.AddUnlessKnown(problem.path, problem.message);
    }
  }

  void Expect(const std::string& path, const std::string& value, std::string_view expected) {
    if (value == expected) return;
    reader_.AddUnlessKnown(
        path,
        absl::StrCat(value.empty() ? "is missing" : absl::StrCat("`", value.substr(0, 60), "` is not known"),
                     ": write ", path, ": ", std::string(expected)));
  }

  void ReadSpec(const YAML::Node& node, const YAML::Mark& key) {
    v1::TrialSpec& base = *result_.spec.mutable_base();
    base = Defaults();
    result_.spec.mutable_sweep()->set_strategy(v1::STRATEGY_GRID);
    auto entries = reader_.EntriesOf(base, "");
    const auto& retention = *v1::SweepSpec::descriptor()->FindFieldByName("retention");
    entries.push_back({.name = "retention", .read = [&](const YAML::Node& value, const YAML::Mark& at) {
                         reader_.ReadField(value, at, "retention", result_.spec, retention);
                       }});
    entries.push_back({.name = "sweep", .read = [this](const YAML::Node& value, const YAML::Mark& at) {
                         ReadSearch(value, at);
                       }});
    reader_.ReadMap(node, key, "", entries);
    if (!node.IsMap()) return;
    // Beside a vector of placements, the defaults of what it replaces would contradict it.
    if (reader_.Has("norm.layer_placements")) {
      if (!reader_.Has("norm.placement")) base.mutable_norm()->clear_placement();
      if (!reader_.Has("norm.alpha")) base.mutable_norm()->clear_alpha();
    }
    CheckGiven(base);
    CheckReplacedValues(base);
  }

  bool IsGivenOrSwept(const std::string& path) const {
    return reader_.Has(path) || reader_.Has(absl::StrCat("sweep.parameters.", path));
  }

  // A swept field's own value is never used, and so Validate does not look at it; a wrong one is a mistake
  // all the same.
  void CheckReplacedValues(const v1::TrialSpec& base) {
    for (const Problem& problem : ValidateFields(base)) {
      if (reader_.Has(problem.path) && reader_.Has(absl::StrCat("sweep.parameters.", problem.path))) {
        reader_.AddUnlessKnown(problem.path, problem.message);
      }
    }
  }

  // What only the file can tell: whether a field that is 0 was given.
  void CheckGiven(const v1::TrialSpec& base) {
    static constexpr std::pair<std::string_view, std::string_view> kRequired[] = {
        {"data.source", "give the files or patterns of the corpus, such as [corpus/*.txt]"},
        {"train.steps", "give the number of optimizer updates"},
        {"train.batch.sequences", "give the number of sequences in the global batch"},
        {"train.lr", "give the peak learning rate, such as 1.0e-3"},
        {"train.warmup_steps",
         "give the updates of linear warm-up, a tenth of train.steps, say, or 0 for none"},
    };
    for (const auto& [path, advice] : kRequired) {
      if (!IsGivenOrSwept(std::string(path))) Missing(std::string(path), std::string(advice));
    }
    std::vector<std::string> missing_sizes;
    for (const std::string& path : InputPaths()) {
      if (!IsPresetSize(path)) continue;
      if (!IsGivenOrSwept(path)) {
        missing_sizes.push_back(path);
      } else if (reader_.Has(path) && NumberAt(base, FindPath(path)) == 0) {
        reader_.AddUnlessKnown(path, "must be at least 1, not 0");
        reader_.SetWrong(path);
      }
    }
    if (IsGivenOrSwept("model.preset")) return;
    if (missing_sizes.size() == 4) {
      Missing("model.preset", absl::StrCat("name one of ", absl::StrJoin(base::preset::PresetNames(), ", "),
                                           ", or give hidden_size, intermediate_size, layers and heads"));
    } else {
      for (const std::string& path : missing_sizes) Missing(path, "give it, or name a preset");
    }
    for (const std::string& path : missing_sizes) reader_.SetWrong(path);
  }

  void Missing(const std::string& path, const std::string& advice) {
    reader_.AddUnlessKnown(path, absl::StrCat("is missing: ", advice));
    reader_.SetWrong(path);
  }

  void ReadSearch(const YAML::Node& node, const YAML::Mark& key) {
    v1::SearchSpec& search = *result_.spec.mutable_sweep();
    auto entries = reader_.EntriesOf(search, "sweep");
    for (YamlReader::Entry& entry : entries) {
      if (entry.name != "parameters") continue;
      entry.read = [this](const YAML::Node& value, const YAML::Mark& at) { ReadParameters(value, at); };
    }
    reader_.ReadMap(node, key, "sweep", entries);
    if (search.strategy() == v1::STRATEGY_ASHA && !reader_.Has("sweep.asha.reduction_factor"))
      search.mutable_asha()->set_reduction_factor(kDefaultReductionFactor);
    if (node.IsMap() && !reader_.Has("sweep.parameters"))
      Missing("sweep.parameters",
              "give the fields to vary, such as norm.alpha: [0, 0.5], or leave sweep out");
    if (!reader_.IsWrong("sweep.strategy")) return;
    // What goes with which strategy cannot be told.
    for (const char* field : {"samples", "seed", "asha"}) reader_.SetWrong(absl::StrCat("sweep.", field));
    for (const v1::Parameter& parameter : search.parameters()) {
      if (parameter.has_distribution()) reader_.SetWrong(absl::StrCat("sweep.parameters.", parameter.path()));
    }
  }

  void ReadParameters(const YAML::Node& node, const YAML::Mark& key) {
    if (node.IsMap() && node.size() == 0) {
      reader_.Add(key, "sweep.parameters",
                  "names no field: give some, such as norm.alpha: [0, 0.5], or leave sweep out");
    }
    // Every key is accepted here: Validate refuses those that name no field, with a better suggestion.
    std::vector<YamlReader::Entry> entries;
    if (node.IsMap()) {
      for (const auto& item : node) {
        if (!item.first.IsScalar()) continue;
        const std::string path = item.first.Scalar();
        entries.push_back({.name = path, .read = [this, path](const YAML::Node& value, const YAML::Mark& at) {
                             ReadParameter(path, value, at);
                           }});
      }
    }
    reader_.ReadMap(node, key, "sweep.parameters", entries);
  }

  void ReadParameter(const std::string& path, const YAML::Node& node, const YAML::Mark& key) {
    const std::string where = absl::StrCat("sweep.parameters.", path);
    if (const auto refusal = RefuseToSweep(path)) return reader_.Add(key, where, *refusal);
    if (!node.IsSequence() && !node.IsMap()) {
      return reader_.Add(node.IsNull() ? key : node.Mark(), where,
                         "must be a list of values, such as [0, 1], or a range to draw from, such as "
                         "{uniform: [0, 1]}");
    }
    const FieldPath field_path = FindPath(path);
    const auto& field = *field_path.back();
    v1::Parameter& parameter = *result_.spec.mutable_sweep()->add_parameters();
    parameter.set_path(path);
    if (node.IsMap()) return ReadRange(node, key, field_path, parameter);
    int number = 0;
    for (const auto& item : node) {
      std::string value;
      reader_.ReadScalar(item, item.IsNull() ? key : item.Mark(), absl::StrCat(where, "[", number++, "]"),
                         field, value);
      parameter.add_values(value);  // also when it is wrong, so that numbers stay those of the file
    }
  }

  // {uniform: [least, greatest]} or the same with log_uniform.
  void ReadRange(const YAML::Node& node, const YAML::Mark& key, const FieldPath& field,
                 v1::Parameter& parameter) {
    const std::string where = absl::StrCat("sweep.parameters.", parameter.path());
    v1::Distribution& distribution = *parameter.mutable_distribution();
    std::vector<YamlReader::Entry> entries;
    for (const auto kind : {v1::Distribution::KIND_UNIFORM, v1::Distribution::KIND_LOG_UNIFORM}) {
      const std::string name = ValueName(*v1::Distribution::Kind_descriptor()->FindValueByNumber(kind));
      const std::string path = absl::StrCat(where, ".", name);
      entries.push_back(
          {.name = name,
           .read = [=, this, &field, &distribution](const YAML::Node& ends, const YAML::Mark& at) {
             distribution.set_kind(kind);
             ReadEnds(ends, at, path, field, distribution);
           }});
    }
    reader_.ReadMap(node, key, where, entries);
    if (node.size() != 1)
      reader_.AddUnlessKnown(
          where, "must be one range, such as {uniform: [0, 1]} or {log_uniform: [1.0e-4, 1.0e-2]}");
  }

  void ReadEnds(const YAML::Node& node, const YAML::Mark& key, const std::string& path,
                const FieldPath& field, v1::Distribution& distribution) {
    if (!IsNumeric(*field.back())) return;  // Validate refuses it
    if (!node.IsSequence() || node.size() != 2) {
      return reader_.Add(node.IsNull() ? key : node.Mark(), path,
                         "must be the least and the greatest value, such as [0, 1]");
    }
    for (const size_t number : {size_t{0}, size_t{1}}) {
      const std::string where = absl::StrCat(path, "[", number, "]");
      v1::TrialSpec scratch;
      std::string text;
      if (!reader_.ReadScalar(node[number], key, where, *field.back(), text)) continue;
      if (const auto error = SetFromText(scratch, field, text)) {
        reader_.Add(node[number].Mark(), where, *error);
        continue;
      }
      const double end = NumberAt(scratch, field);
      number == 0 ? distribution.set_min(end) : distribution.set_max(end);
    }
  }

  const std::string& text_;
  const bool allow_large_;
  YamlReader reader_;
  ParseResult result_;
};

}  // namespace

ParseResult Parse(const std::string& text, const std::string& file_name, bool allow_large) {
  return FileParser(text, file_name, allow_large).Run();
}

}  // namespace mixln::coordinator::sweep
