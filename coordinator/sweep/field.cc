#include "coordinator/sweep/field.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <charconv>
#include <cmath>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/text/suggest.h"

namespace mixln::coordinator::sweep {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using Type = FieldDescriptor::CppType;

void CollectPaths(const Descriptor& message, const std::string& prefix, std::vector<std::string>& paths) {
  for (const FieldDescriptor* field : InputFields(message)) {
    const std::string path = prefix + field->name();
    if (field->cpp_type() == Type::CPPTYPE_MESSAGE) {
      CollectPaths(*field->message_type(), path + ".", paths);
    } else {
      paths.push_back(path);
    }
  }
}

std::string Quoted(std::string_view text) {
  constexpr size_t kLongest = 60;
  return absl::StrCat("`", std::string(text.substr(0, kLongest)), text.size() > kLongest ? "…`" : "`");
}

bool IsDigits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool IsWholeNumber(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  return IsDigits(text) && (text.size() == 1 || text[0] != '0');
}

// Digits with at most one point and an exponent.
bool IsNumber(std::string_view text) {
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) text.remove_prefix(1);
  const size_t exponent = text.find_first_of("eE");
  if (exponent != std::string_view::npos) {
    std::string_view digits = text.substr(exponent + 1);
    if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
    if (!IsDigits(digits)) return false;
    text = text.substr(0, exponent);
  }
  const size_t point = text.find('.');
  if (point == std::string_view::npos) return IsDigits(text);
  const std::string digits =
      absl::StrCat(std::string(text.substr(0, point)), std::string(text.substr(point + 1)));
  return IsDigits(digits);
}

bool IsNotFinite(const std::string& text) {
  std::string lower = absl::AsciiStrToLower(text);
  if (!lower.empty() && (lower[0] == '-' || lower[0] == '+')) lower.erase(0, 1);
  return lower == ".inf" || lower == ".nan" || lower == "inf" || lower == "nan" || lower == "infinity";
}

// from_chars knows no leading plus sign.
std::string_view WithoutPlus(std::string_view text) {
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  return text;
}

template <typename Int>
std::optional<std::string> ReadInt(const std::string& text, Int& value) {
  if (!IsWholeNumber(text)) {
    return absl::StrCat("must be a whole number in plain digits, such as 1000, not ", Quoted(text));
  }
  const std::string_view digits = WithoutPlus(text);
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec != std::errc()) {
    return absl::StrCat(Quoted(text), " is out of range: give a whole number from ",
                        std::numeric_limits<Int>::min(), " to ", std::numeric_limits<Int>::max());
  }
  return std::nullopt;
}

std::optional<std::string> ReadDouble(const std::string& text, double& value) {
  if (IsNotFinite(text)) return absl::StrCat("must be a finite number, not ", Quoted(text));
  if (!IsNumber(text)) return absl::StrCat("must be a number, such as 0.25 or 1.0e-3, not ", Quoted(text));
  const std::string_view digits = WithoutPlus(text);
  if (std::from_chars(digits.data(), digits.data() + digits.size(), value).ec != std::errc()) {
    return absl::StrCat(Quoted(text), " is too large or too near to 0 for a 64-bit float");
  }
  return std::nullopt;
}

std::optional<std::string> ReadBool(const std::string& text, bool& value) {
  value = text == "true";
  if (value || text == "false") return std::nullopt;
  const std::string lower = absl::AsciiStrToLower(text);
  std::string error = absl::StrCat("must be true or false, not ", Quoted(text));
  if (lower == "yes" || lower == "on" || lower == "1" || lower == "true") error += "; did you mean `true`?";
  if (lower == "no" || lower == "off" || lower == "0" || lower == "false") error += "; did you mean `false`?";
  return error;
}

std::optional<std::string> ReadEnum(const std::string& text, const EnumDescriptor& type, int& number) {
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0 && ValueName(*type.value(i)) == text) {
      number = type.value(i)->number();
      return std::nullopt;
    }
  }
  const std::vector<std::string> names = ValueNames(type);
  const std::string near = base::Suggest(absl::AsciiStrToLower(text), names);
  return absl::StrCat("unknown value ", Quoted(text),
                      near.empty() ? "" : absl::StrCat(", did you mean `", near, "`?"),
                      near.empty() ? "; give one of " : " One of ", absl::StrJoin(names, ", "));
}

template <typename Value, typename Read, typename Set, typename Add>
std::optional<std::string> Store(const FieldDescriptor& field, Read read, Set set, Add add) {
  Value value{};
  if (std::optional<std::string> error = read(value)) return error;
  field.is_repeated() ? add(value) : set(value);
  return std::nullopt;
}

}  // namespace

bool IsResolved(const FieldDescriptor& field) {
  return field.full_name() == "mixln.v1.NormSpec.post_layers";
}

std::vector<const FieldDescriptor*> InputFields(const Descriptor& message) {
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < message.field_count(); ++i) {
    if (!IsResolved(*message.field(i))) fields.push_back(message.field(i));
  }
  return fields;
}

const std::vector<std::string>& InputPaths() {
  static const std::vector<std::string> paths = [] {
    std::vector<std::string> all;
    CollectPaths(*v1::TrialSpec::descriptor(), "", all);
    return all;
  }();
  return paths;
}

FieldPath FindPath(std::string_view path) {
  FieldPath fields;
  const Descriptor* message = v1::TrialSpec::descriptor();
  while (message != nullptr) {
    const size_t dot = path.find('.');
    const FieldDescriptor* field = message->FindFieldByName(std::string(path.substr(0, dot)));
    if (field == nullptr) return {};
    fields.push_back(field);
    if (dot == std::string_view::npos) return fields;
    path.remove_prefix(dot + 1);
    message = field->message_type();
  }
  return {};
}

bool IsWhole(const FieldDescriptor& field) {
  return field.cpp_type() == Type::CPPTYPE_INT32 || field.cpp_type() == Type::CPPTYPE_INT64;
}

bool IsNumeric(const FieldDescriptor& field) {
  return IsWhole(field) || field.cpp_type() == Type::CPPTYPE_DOUBLE;
}

std::string TypeName(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case Type::CPPTYPE_BOOL: return "true or false";
    case Type::CPPTYPE_DOUBLE: return "a number";
    case Type::CPPTYPE_ENUM:
      return absl::StrCat("one of ", absl::StrJoin(ValueNames(*field.enum_type()), ", "));
    case Type::CPPTYPE_MESSAGE: return "a group of fields";
    case Type::CPPTYPE_STRING: return "text";
    default: return "a whole number";
  }
}

std::string ValueName(const EnumValueDescriptor& value) {
  // The prefix is the type's name in upper case: the zero value is always <PREFIX>_UNSPECIFIED.
  const std::string& zero = value.type()->FindValueByNumber(0)->name();
  const size_t prefix = zero.size() - std::string_view("UNSPECIFIED").size();
  return absl::AsciiStrToLower(value.name().substr(prefix));
}

std::vector<std::string> ValueNames(const EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (type.value(i)->number() != 0) names.push_back(ValueName(*type.value(i)));
  }
  return names;
}

std::optional<std::string> SetFromText(Message& message, const FieldDescriptor& field,
                                       const std::string& text) {
  const Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case Type::CPPTYPE_INT32:
      return Store<int32_t>(
          field, [&](int32_t& v) { return ReadInt(text, v); },
          [&](int32_t v) { reflection.SetInt32(&message, &field, v); },
          [&](int32_t v) { reflection.AddInt32(&message, &field, v); });
    case Type::CPPTYPE_INT64:
      return Store<int64_t>(
          field, [&](int64_t& v) { return ReadInt(text, v); },
          [&](int64_t v) { reflection.SetInt64(&message, &field, v); },
          [&](int64_t v) { reflection.AddInt64(&message, &field, v); });
    case Type::CPPTYPE_DOUBLE:
      return Store<double>(
          field, [&](double& v) { return ReadDouble(text, v); },
          [&](double v) { reflection.SetDouble(&message, &field, v); },
          [&](double v) { reflection.AddDouble(&message, &field, v); });
    case Type::CPPTYPE_BOOL:
      return Store<bool>(
          field, [&](bool& v) { return ReadBool(text, v); },
          [&](bool v) { reflection.SetBool(&message, &field, v); },
          [&](bool v) { reflection.AddBool(&message, &field, v); });
    case Type::CPPTYPE_ENUM:
      return Store<int>(
          field, [&](int& v) { return ReadEnum(text, *field.enum_type(), v); },
          [&](int v) { reflection.SetEnumValue(&message, &field, v); },
          [&](int v) { reflection.AddEnumValue(&message, &field, v); });
    case Type::CPPTYPE_STRING:
      if (text.empty()) return "is empty: give a text or leave the field out";
      field.is_repeated() ? reflection.AddString(&message, &field, text)
                          : reflection.SetString(&message, &field, text);
      return std::nullopt;
    default: return absl::StrCat("must be ", TypeName(field), ", not one value");
  }
}

std::optional<std::string> SetFromText(v1::TrialSpec& spec, const FieldPath& path, const std::string& text) {
  Message* message = &spec;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    message = message->GetReflection()->MutableMessage(message, path[i]);
  }
  return SetFromText(*message, *path.back(), text);
}

double NumberAt(const v1::TrialSpec& spec, const FieldPath& path) {
  const Message* message = &spec;
  for (size_t i = 0; i + 1 < path.size(); ++i) {
    message = &message->GetReflection()->GetMessage(*message, path[i]);
  }
  const Reflection& reflection = *message->GetReflection();
  switch (path.back()->cpp_type()) {
    case Type::CPPTYPE_INT32: return reflection.GetInt32(*message, path.back());
    case Type::CPPTYPE_INT64: return static_cast<double>(reflection.GetInt64(*message, path.back()));
    case Type::CPPTYPE_ENUM: return reflection.GetEnumValue(*message, path.back());
    case Type::CPPTYPE_BOOL: return reflection.GetBool(*message, path.back()) ? 1 : 0;
    default: return reflection.GetDouble(*message, path.back());
  }
}

}  // namespace mixln::coordinator::sweep
