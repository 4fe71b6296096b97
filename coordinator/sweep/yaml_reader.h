// Walks a YAML tree with a proto message as its schema, collects every problem, and remembers where each
// field stood.
#pragma once

#include <google/protobuf/message.h>
#include <yaml-cpp/yaml.h>

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "coordinator/sweep/problem.h"

namespace mixln::coordinator::sweep {

class YamlReader {
 public:
  explicit YamlReader(std::string file_name) : file_name_(std::move(file_name)) {}

  // A field that a map may have, and what reads its value. `key` is where the key stands.
  struct Entry {
    std::string name;
    std::function<void(const YAML::Node& value, const YAML::Mark& key)> read;
    std::string refusal = {};  // not empty: the field exists but is not an input, for this reason
  };

  // Reads a map. Unknown and repeated keys and a node that is no map are problems.
  void ReadMap(const YAML::Node& node, const YAML::Mark& at, const std::string& path,
               const std::vector<Entry>& entries);

  // The entries of a message: each field that a user may write is read into it.
  std::vector<Entry> EntriesOf(google::protobuf::Message& message, const std::string& path);

  // Reads one field of a message: a group, a list, or one value.
  void ReadField(const YAML::Node& node, const YAML::Mark& key, const std::string& path,
                 google::protobuf::Message& message, const google::protobuf::FieldDescriptor& field);

  // Text of one value that is to become a value of `field`. False, with a problem added, when the node is not
  // one value.
  bool ReadScalar(const YAML::Node& node, const YAML::Mark& key, const std::string& path,
                  const google::protobuf::FieldDescriptor& field, std::string& text);

  void Add(const YAML::Mark& at, const std::string& path, const std::string& message);

  // Adds a problem found later at the place of `path`, or of the nearest group around it; unless this path,
  // one around it or one below it is already known to be wrong.
  void AddUnlessKnown(const std::string& path, const std::string& message);

  // Later problems of this path follow from one that was added.
  void SetWrong(const std::string& path) { wrong_.insert(path); }

  bool IsWrong(const std::string& path) const { return wrong_.contains(path); }

  void Mark(const std::string& path, const YAML::Mark& at) { marks_[path] = at; }
  bool Has(const std::string& path) const { return marks_.contains(path); }

  // All problems in the order of the file.
  std::vector<Problem> TakeProblems();

 private:
  YAML::Mark Locate(std::string path) const;

  std::string file_name_;
  std::map<std::string, YAML::Mark> marks_;  // of every field that the file has, by path
  std::set<std::string> wrong_;  // paths with a problem, and those that a misspelt key was meant to be
  std::vector<Problem> problems_;
};

}  // namespace mixln::coordinator::sweep
