#include "coordinator/sweep/sweepable.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/text/suggest.h"
#include "coordinator/sweep/field.h"

namespace mixln::coordinator::sweep {
namespace {

// The path that was probably meant: one that ends in it (alpha), one below a group (norm), or one spelt much
// like it.
std::string Meant(const std::string& path) {
  for (const std::string& known : InputPaths()) {
    if (absl::EndsWith(known, absl::StrCat(".", path)) || absl::EndsWith(path, absl::StrCat(".", known)))
      return known;
  }
  return base::Suggest(path, InputPaths());
}

}  // namespace

std::optional<std::string> RefuseToSweep(const std::string& path) {
  constexpr size_t kLongestPath = 100;  // longer than any field's, and short enough to compare with all
  const FieldPath fields = FindPath(path);
  if (fields.empty()) {
    const std::string meant = path.size() <= kLongestPath ? Meant(path) : "";
    return absl::StrCat("unknown field `", path.substr(0, kLongestPath), "`",
                        meant.empty() ? "; give the path of a field below spec, such as norm.alpha"
                                      : absl::StrCat(", did you mean `", meant, "`?"));
  }
  const auto& field = *fields.back();
  if (IsResolved(field)) return "is computed from norm.alpha and model.layers: sweep norm.alpha";
  if (field.is_repeated()) return "is a list and cannot be swept: write one sweep for each";
  if (field.cpp_type() == google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) {
    return absl::StrCat("is a group of fields: name one of them, such as ", path, ".",
                        InputFields(*field.message_type()).front()->name());
  }
  return std::nullopt;
}

}  // namespace mixln::coordinator::sweep
