// The fields of v1::TrialSpec by path, such as norm.alpha, found by reflection: the proto files are the
// schema of a sweep file, so nothing here names a field.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mixln/v1/spec.pb.h"

namespace mixln::coordinator::sweep {

// Whether the field is computed and never an input: norm.post_layers.
bool IsResolved(const google::protobuf::FieldDescriptor& field);

// Fields of a message that a user may write, in the order of the proto file.
std::vector<const google::protobuf::FieldDescriptor*> InputFields(
    const google::protobuf::Descriptor& message);

// Paths of all fields of TrialSpec that a user may write and that are not messages.
const std::vector<std::string>& InputPaths();

// Whether it takes whole numbers only; whether it takes numbers at all.
bool IsWhole(const google::protobuf::FieldDescriptor& field);
bool IsNumeric(const google::protobuf::FieldDescriptor& field);

// The field's type in words for people, such as "a whole number".
std::string TypeName(const google::protobuf::FieldDescriptor& field);

// How a sweep file spells an enum's value: PLACEMENT_MIX is `mix`.
std::string ValueName(const google::protobuf::EnumValueDescriptor& value);

// All spellings of an enum but UNSPECIFIED.
std::vector<std::string> ValueNames(const google::protobuf::EnumDescriptor& type);

// Sets (or, for a list, appends to) a field of `message` from text as written in a sweep file. The error says
// what is wrong and what to do; the message is then unchanged.
std::optional<std::string> SetFromText(google::protobuf::Message& message,
                                       const google::protobuf::FieldDescriptor& field,
                                       const std::string& text);

// The way to a field from TrialSpec: messages, then the field itself. Empty: there is none.
using FieldPath = std::vector<const google::protobuf::FieldDescriptor*>;
FieldPath FindPath(std::string_view path);

// SetFromText for the field of a trial at a path that is not empty. Messages on the way come into being.
std::optional<std::string> SetFromText(v1::TrialSpec& spec, const FieldPath& path, const std::string& text);

// Value of the number at `path` (true is 1), 0 where a message on the way is absent. The path must lead to
// one number, enum or bool.
double NumberAt(const v1::TrialSpec& spec, const FieldPath& path);

}  // namespace mixln::coordinator::sweep
