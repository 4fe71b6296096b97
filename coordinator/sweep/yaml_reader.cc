#include "coordinator/sweep/yaml_reader.h"

#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/text/suggest.h"
#include "coordinator/sweep/field.h"

namespace mixln::coordinator::sweep {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::string Below(const std::string& path, const std::string& name) {
  return path.empty() ? name : absl::StrCat(path, ".", name);
}

std::string KindOf(const YAML::Node& node) {
  if (node.IsMap()) return "a group of fields";
  if (node.IsSequence()) return "a list";
  return absl::StrCat("`", node.Scalar().substr(0, 60), "`");
}

// Whether `inner` is `outer` or a field or value below it.
bool IsWithin(const std::string& inner, const std::string& outer) {
  return absl::StartsWith(inner, outer) &&
         (inner.size() == outer.size() || inner[outer.size()] == '.' || inner[outer.size()] == '[');
}

// A field of another group that has this very name, for keys that stand in the wrong place.
std::string Elsewhere(const std::string& name) {
  for (const std::string& path : InputPaths()) {
    if (absl::EndsWith(path, absl::StrCat(".", name))) return path;
  }
  return "";
}

}  // namespace

void YamlReader::ReadMap(const YAML::Node& node, const YAML::Mark& at, const std::string& path,
                         const std::vector<Entry>& entries) {
  if (node.IsNull())
    return Add(at, path, "has no value: give its fields, indented below it, or leave it out");
  if (!node.IsMap())
    return Add(at, path, absl::StrCat("must be a group of fields, key: value, not ", KindOf(node)));
  std::map<std::string, int> lines;
  for (const auto& item : node) {
    const YAML::Mark key = item.first.Mark();
    if (!item.first.IsScalar()) {
      Add(key, path, "has a key that is not a word");
      continue;
    }
    const std::string& name = item.first.Scalar();
    const std::string field = Below(path, name);
    const auto [first, is_new] = lines.emplace(name, key.line + 1);
    if (!is_new) {
      Add(key, field, absl::StrCat("is given twice, first in line ", first->second, ": keep one"));
      continue;
    }
    const auto entry =
        std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.name == name; });
    if (entry == entries.end()) {
      std::vector<std::string> names;
      for (const Entry& e : entries) {
        if (e.refusal.empty()) names.push_back(e.name);
      }
      const std::string near = name.size() <= 100 ? base::Suggest(name, names) : "";
      const std::string elsewhere = near.empty() ? Elsewhere(name) : "";
      if (!near.empty()) wrong_.insert(Below(path, near));
      if (!elsewhere.empty()) wrong_.insert(elsewhere);
      Add(key, field,
          absl::StrCat("unknown field `", name.substr(0, 60), "`",
                       !near.empty()        ? absl::StrCat(", did you mean `", near, "`?")
                       : !elsewhere.empty() ? absl::StrCat(", did you mean spec.", elsewhere, "?")
                                            : "; docs/sweep-file.md lists all fields"));
    } else if (!entry->refusal.empty()) {
      Add(key, field, entry->refusal);
    } else {
      Mark(field, key);
      entry->read(item.second, key);
    }
  }
}

std::vector<YamlReader::Entry> YamlReader::EntriesOf(Message& message, const std::string& path) {
  std::vector<Entry> entries;
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    Entry entry{.name = field->name(),
                .read = [=, this, &message](const YAML::Node& value, const YAML::Mark& key) {
                  ReadField(value, key, Below(path, field->name()), message, *field);
                }};
    if (IsResolved(*field)) entry.refusal = "is computed from norm.alpha and model.layers: leave it out";
    entries.push_back(std::move(entry));
  }
  return entries;
}

void YamlReader::ReadField(const YAML::Node& node, const YAML::Mark& key, const std::string& path,
                           Message& message, const FieldDescriptor& field) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    Message& group = *message.GetReflection()->MutableMessage(&message, &field);
    return ReadMap(node, key, path, EntriesOf(group, path));
  }
  const auto read_one = [&](const YAML::Node& value, const YAML::Mark& at, const std::string& where) {
    std::string text;
    if (!ReadScalar(value, at, where, field, text)) return;
    if (const auto error = SetFromText(message, field, text)) Add(value.Mark(), where, *error);
  };
  if (!field.is_repeated()) return read_one(node, key, path);
  // One text may stand for a list of one.
  if (node.IsScalar() && field.cpp_type() == FieldDescriptor::CPPTYPE_STRING)
    return read_one(node, key, path);
  if (node.IsNull()) return Add(key, path, "has no value: give a list, or leave the field out");
  if (!node.IsSequence()) {
    return Add(node.Mark(), path,
               absl::StrCat("must be a list, each entry ", TypeName(field), ", not ", KindOf(node)));
  }
  int index = 0;
  for (const auto& item : node) read_one(item, item.Mark(), absl::StrCat(path, "[", index++, "]"));
}

bool YamlReader::ReadScalar(const YAML::Node& node, const YAML::Mark& key, const std::string& path,
                            const FieldDescriptor& field, std::string& text) {
  if (node.IsNull()) {
    Mark(path, key);
    Add(key, path, absl::StrCat("has no value: give ", TypeName(field), ", or leave the field out"));
    return false;
  }
  Mark(path, node.Mark());
  if (!node.IsScalar()) {
    Add(node.Mark(), path, absl::StrCat("must be ", TypeName(field), ", not ", KindOf(node)));
    return false;
  }
  text = node.Scalar();
  const bool quoted = node.Tag() == "!";
  if (quoted && field.cpp_type() != FieldDescriptor::CPPTYPE_STRING &&
      field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) {
    Add(node.Mark(), path, absl::StrCat("must be ", TypeName(field), ", not a text: remove the quotes"));
    return false;
  }
  return true;
}

void YamlReader::Add(const YAML::Mark& at, const std::string& path, const std::string& message) {
  wrong_.insert(path);
  problems_.push_back({.file = file_name_,
                       .line = std::max(at.line, 0) + 1,
                       .column = std::max(at.column, 0) + 1,
                       .path = path.substr(0, 200),
                       .message = message});
}

void YamlReader::AddUnlessKnown(const std::string& path, const std::string& message) {
  for (const std::string& wrong : wrong_) {
    // One bad parameter is not the grid's size.
    const bool around = path != "sweep.parameters" && IsWithin(wrong, path);
    if (!wrong.empty() && (around || IsWithin(path, wrong))) return;
  }
  const YAML::Mark at = Locate(path);
  problems_.push_back(
      {.file = file_name_, .line = at.line + 1, .column = at.column + 1, .path = path, .message = message});
}

YAML::Mark YamlReader::Locate(std::string path) const {
  while (true) {
    if (const auto found = marks_.find(path); found != marks_.end()) return found->second;
    const size_t cut = path.find_last_of(".[");
    if (cut == std::string::npos) break;
    path.resize(cut);
  }
  const auto spec = marks_.find("spec");
  return spec == marks_.end() ? YAML::Mark() : spec->second;
}

std::vector<Problem> YamlReader::TakeProblems() {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  });
  return std::move(problems_);
}

}  // namespace mixln::coordinator::sweep
