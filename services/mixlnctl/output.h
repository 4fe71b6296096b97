// The forms that a command's data can take.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "services/mixlnctl/io.h"

namespace google::protobuf {
class Message;
}
namespace CLI {
class App;
}

namespace mixln::services::mixlnctl {

// table: columns for people; wide: more of them; json and yaml: the API's message; name: one name a line.
enum class OutputFormat { kTable, kWide, kJson, kYaml, kName };

// Adds `-o, --output` with all five values, or without `name` and `wide`.
void AddOutputOption(CLI::App* command, OutputFormat* format, bool has_names = true);

// The message as proto3 JSON with the proto's field names and every default, indented or on one line.
absl::StatusOr<std::string> MessageJson(const google::protobuf::Message& message, bool indented = true);

// The same as YAML: a string that would read as a number is quoted.
std::string JsonToYaml(const std::string& json);

// Prints the message as JSON or YAML; `format` must be one of them.
absl::Status PrintMessage(Io& io, OutputFormat format, const google::protobuf::Message& message);

inline bool IsMessageFormat(OutputFormat format) {
  return format == OutputFormat::kJson || format == OutputFormat::kYaml;
}

}  // namespace mixln::services::mixlnctl
