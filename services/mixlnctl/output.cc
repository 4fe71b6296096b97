#include "services/mixlnctl/output.h"

#include <google/protobuf/util/json_util.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <ostream>

#include "absl/strings/str_cat.h"

namespace mixln::services::mixlnctl {
namespace {

using Json = nlohmann::ordered_json;

void Emit(YAML::Emitter& out, const Json& value) {
  if (value.is_object()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginMap;
    for (const auto& [key, member] : value.items()) {
      out << YAML::Key << key << YAML::Value;
      Emit(out, member);
    }
    out << YAML::EndMap;
  } else if (value.is_array()) {
    if (value.empty()) out << YAML::Flow;
    out << YAML::BeginSeq;
    for (const auto& element : value) Emit(out, element);
    out << YAML::EndSeq;
  } else if (value.is_string()) {
    const std::string text = value.get<std::string>();
    if (text.find('\n') != std::string::npos) {
      out << YAML::Literal << text;
    } else if (Json::accept(text)) {  // would be read back as a number or a word such as true
      out << YAML::DoubleQuoted << text;
    } else {
      out << text;
    }
  } else if (value.is_null()) {
    out << YAML::Null;
  } else {
    out << value.dump();
  }
}

}  // namespace

void AddOutputOption(CLI::App* command, OutputFormat* format, bool has_names) {
  std::vector<std::pair<std::string, OutputFormat>> values{
      {"table", OutputFormat::kTable}, {"json", OutputFormat::kJson}, {"yaml", OutputFormat::kYaml}};
  if (has_names) {
    values.insert(values.begin() + 1, {"wide", OutputFormat::kWide});
    values.emplace_back("name", OutputFormat::kName);
  }
  std::string names;
  for (const auto& [name, value] : values) absl::StrAppend(&names, names.empty() ? "" : "|", name);
  command
      ->add_option_function<std::string>(
          "-o,--output",
          [values, names, format](const std::string& text) {
            for (const auto& [name, value] : values) {
              if (name == text) {
                *format = value;
                return;
              }
            }
            throw CLI::ValidationError("--output", absl::StrCat("\"", text, "\" is none of ", names));
          },
          "Form of the output")
      ->type_name(names);
}

absl::StatusOr<std::string> MessageJson(const google::protobuf::Message& message, bool indented) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  options.add_whitespace = indented;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(std::string(status.message()));
  return json;
}

std::string JsonToYaml(const std::string& json) {
  YAML::Emitter out;
  Emit(out, Json::parse(json));
  return absl::StrCat(out.c_str(), "\n");
}

absl::Status PrintMessage(Io& io, OutputFormat format, const google::protobuf::Message& message) {
  auto json = MessageJson(message);
  if (!json.ok()) return json.status();
  io.out << (format == OutputFormat::kYaml ? JsonToYaml(*json) : *json);
  return absl::OkStatus();
}

}  // namespace mixln::services::mixlnctl
