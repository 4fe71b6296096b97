#include "worker/trainer/config/object_reader.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::config {
namespace {

[[noreturn]] void Refuse(const std::string& path, const std::string& what) {
  throw error::ConfigError(path + ": " + what);
}

std::string Shown(const nlohmann::json& value) {
  const std::string text = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return text.size() <= 60 ? text : text.substr(0, 57) + "...";
}

// A 64-bit integer in a string, as protobuf prints it.
template <typename Integer>
Integer Integer64(const nlohmann::json& value, const std::string& path) {
  Integer number = 0;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error == std::errc() && stop == end) return number;
  }
  Refuse(path, "is " + Shown(value) + ", but must be a 64-bit integer in quotes, such as \"100\"");
}

}  // namespace

ObjectReader::ObjectReader(const nlohmann::json& object, std::string path)
    : object_(object), path_(std::move(path)) {
  if (!object_.is_object()) {
    Refuse(path_.empty() ? "the file" : path_, "is " + Shown(object_) + ", but must be an object");
  }
}

std::string ObjectReader::PathOf(const std::string& name) const {
  return path_.empty() ? name : path_ + "." + name;
}

const nlohmann::json& ObjectReader::Take(const char* name) {
  const auto found = object_.find(name);
  if (found == object_.end()) Refuse(PathOf(name), "is missing");
  taken_.insert(name);
  return *found;
}

void ObjectReader::Read(const char* name, std::string& out) {
  const auto& value = Take(name);
  if (!value.is_string()) Refuse(PathOf(name), "is " + Shown(value) + ", but must be a string");
  out = value.get<std::string>();
}

void ObjectReader::Read(const char* name, bool& out) {
  const auto& value = Take(name);
  if (!value.is_boolean()) Refuse(PathOf(name), "is " + Shown(value) + ", but must be true or false");
  out = value.get<bool>();
}

void ObjectReader::Read(const char* name, int32_t& out) {
  const auto& value = Take(name);
  if (value.is_number_integer()) {
    // An unsigned number beyond 63 bits turns negative here, but no such number passes the second check.
    const bool fits = value.is_number_unsigned()
                          ? value.get<uint64_t>() <= uint64_t{std::numeric_limits<int32_t>::max()}
                          : value.get<int64_t>() >= std::numeric_limits<int32_t>::min();
    if (fits) {
      out = value.get<int32_t>();
      return;
    }
  }
  Refuse(PathOf(name), "is " + Shown(value) + ", but must be a 32-bit integer");
}

void ObjectReader::Read(const char* name, int64_t& out) {
  out = Integer64<int64_t>(Take(name), PathOf(name));
}

void ObjectReader::Read(const char* name, uint64_t& out) {
  out = Integer64<uint64_t>(Take(name), PathOf(name));
}

void ObjectReader::Read(const char* name, double& out) {
  const auto& value = Take(name);
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    Refuse(PathOf(name), "is " + Shown(value) + ", but must be a finite number");
  }
  out = value.get<double>();
}

void ObjectReader::Read(const char* name, std::vector<std::string>& out) {
  const auto& value = Take(name);
  if (!value.is_array()) Refuse(PathOf(name), "is " + Shown(value) + ", but must be a list of strings");
  out.clear();
  for (const auto& item : value) {
    if (!item.is_string()) {
      Refuse(PathOf(name) + "[" + std::to_string(out.size()) + "]",
             "is " + Shown(item) + ", but must be a string");
    }
    out.push_back(item.get<std::string>());
  }
}

int ObjectReader::Enum(const nlohmann::json& value, const std::string& path, const char* prefix,
                       std::initializer_list<const char*> names) const {
  std::string known;
  int place = 0;
  for (const char* name : names) {
    std::string full = std::string(prefix) + "_";
    for (const char* c = name; *c != '\0'; ++c)
      full += static_cast<char>(std::toupper(static_cast<unsigned char>(*c)));
    if (value.is_string() && value.get_ref<const std::string&>() == full) return place;
    known += (place++ == 0 ? "" : ", ") + full;
  }
  Refuse(path, "is " + Shown(value) + ", but must be one of " + known);
}

int ObjectReader::ReadEnum(const char* name, const char* prefix, std::initializer_list<const char*> names) {
  return Enum(Take(name), PathOf(name), prefix, names);
}

std::vector<int> ObjectReader::ReadEnums(const char* name, const char* prefix,
                                         std::initializer_list<const char*> names) {
  const auto& value = Take(name);
  if (!value.is_array()) Refuse(PathOf(name), "is " + Shown(value) + ", but must be a list");
  std::vector<int> places;
  for (const auto& item : value) {
    places.push_back(Enum(item, PathOf(name) + "[" + std::to_string(places.size()) + "]", prefix, names));
  }
  return places;
}

ObjectReader ObjectReader::ReadObject(const char* name) {
  return {Take(name), PathOf(name)};
}

void ObjectReader::Finish() const {
  for (const auto& item : object_.items()) {
    if (!taken_.contains(item.key())) Refuse(PathOf(item.key()), "is unknown");
  }
}

void ObjectReader::Require(bool possible, const char* name, const std::string& what) const {
  if (!possible) Refuse(PathOf(name), "is " + Shown(object_.at(name)) + ", but " + what);
}

}  // namespace mixln::worker::trainer::config
