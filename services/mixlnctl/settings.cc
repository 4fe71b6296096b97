#include "services/mixlnctl/settings.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace mixln::services::mixlnctl {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// PLACEMENT_MIX of enum Placement: "mix"; NORM_KIND_RMSNORM of enum NormKind: "rmsnorm".
std::string WordOf(const EnumValueDescriptor& value) {
  size_t prefix = 0;
  for (const char c : value.type()->name())
    prefix += absl::ascii_isupper(static_cast<unsigned char>(c)) ? 2 : 1;
  return prefix < value.name().size() ? absl::AsciiStrToLower(value.name().substr(prefix)) : value.name();
}

std::string ScalarText(const Message& message, const FieldDescriptor& field, int index) {
  const auto& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(repeated ? reflection.GetRepeatedInt32(message, &field, index)
                                   : reflection.GetInt32(message, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(repeated ? reflection.GetRepeatedInt64(message, &field, index)
                                   : reflection.GetInt64(message, &field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrCat(repeated ? reflection.GetRepeatedDouble(message, &field, index)
                                   : reflection.GetDouble(message, &field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return (repeated ? reflection.GetRepeatedBool(message, &field, index)
                       : reflection.GetBool(message, &field))
                 ? "true"
                 : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return WordOf(repeated ? *reflection.GetRepeatedEnum(message, &field, index)
                             : *reflection.GetEnum(message, &field));
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? reflection.GetRepeatedString(message, &field, index)
                      : reflection.GetString(message, &field);
    default: return "";  // a spec has no field of another type
  }
}

void Collect(const Message& message, const std::string& prefix, Settings& settings) {
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string path = absl::StrCat(prefix, prefix.empty() ? "" : ".", field.name());
    const bool nested = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (nested && !field.is_repeated()) {
      Collect(message.GetReflection()->GetMessage(message, &field), path, settings);
      continue;
    }
    if (!field.is_repeated()) {
      settings.emplace_back(path, ScalarText(message, field, 0));
      continue;
    }
    const int size = message.GetReflection()->FieldSize(message, &field);
    std::vector<std::string> parts;
    parts.reserve(static_cast<size_t>(size));
    for (int k = 0; k < size; ++k) {
      parts.push_back(nested
                          ? message.GetReflection()->GetRepeatedMessage(message, &field, k).ShortDebugString()
                          : ScalarText(message, field, k));
    }
    settings.emplace_back(path, absl::StrJoin(parts, ", "));
  }
}

}  // namespace

Settings SettingsOf(const v1::TrialSpec& spec) {
  Settings settings;
  Collect(spec, "", settings);
  return settings;
}

std::string SettingAt(const Settings& settings, const std::string& path) {
  for (const auto& [known, value] : settings) {
    if (known == path) return value;
  }
  return "";
}

}  // namespace mixln::services::mixlnctl
