#include "services/access/revocations.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "services/access/lines.h"

namespace mixln::services::access {
namespace {

bool IsSerial(const std::string& word) {
  return std::all_of(word.begin(), word.end(),
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
}

}  // namespace

absl::StatusOr<Revocations> Revocations::Parse(const std::string& text) {
  Revocations revocations;
  for (const auto& [number, word] : LinesOf(text)) {
    if (IsSerial(word)) {
      revocations.words_.insert(absl::AsciiStrToUpper(word));
    } else if (certificate::FromUri(absl::StrCat("mixln:", word))) {
      revocations.words_.insert(word);
    } else {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", number, ": ", word, " is neither an identity such as worker/gpu-1 nor a serial number"));
    }
  }
  return revocations;
}

bool Revocations::Contains(const certificate::Identity& identity, const std::string& serial) const {
  return words_.contains(certificate::Format(identity)) || (!serial.empty() && words_.contains(serial));
}

}  // namespace mixln::services::access
