// Reads one JSON object strictly: every field must be asked for exactly once, be there and have its type.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

namespace mixln::worker::trainer::config {

// Protobuf's JSON, as docs/rank-contract.md narrows it down: 64-bit integers are strings, enums names. All
// errors are error::ConfigError and begin with the field's path.
class ObjectReader {
 public:
  // `path`: where the object stands in the file; empty for the whole.
  ObjectReader(const nlohmann::json& object, std::string path);

  void Read(const char* name, std::string& out);
  void Read(const char* name, bool& out);
  void Read(const char* name, int32_t& out);
  void Read(const char* name, int64_t& out);
  void Read(const char* name, uint64_t& out);
  void Read(const char* name, double& out);  // finite
  void Read(const char* name, std::vector<std::string>& out);

  // An enum value among `names`; returns its place there. Values stand in the file as PREFIX_ and the name in
  // upper case.
  int ReadEnum(const char* name, const char* prefix, std::initializer_list<const char*> names);

  // The same of an array.
  std::vector<int> ReadEnums(const char* name, const char* prefix, std::initializer_list<const char*> names);

  ObjectReader ReadObject(const char* name);
  bool Has(const char* name) const { return object_.contains(name); }

  // Refuses fields that nobody asked for.
  void Finish() const;

  // Refuses a value that was read, when `possible` is false; `what` says what it must be.
  void Require(bool possible, const char* name, const std::string& what) const;

 private:
  const nlohmann::json& Take(const char* name);
  std::string PathOf(const std::string& name) const;
  int Enum(const nlohmann::json& value, const std::string& path, const char* prefix,
           std::initializer_list<const char*> names) const;

  const nlohmann::json& object_;
  std::string path_;
  std::set<std::string> taken_;
};

}  // namespace mixln::worker::trainer::config
