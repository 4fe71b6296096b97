#include "services/access/tokens.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "services/access/lines.h"

namespace mixln::services::access {
namespace {

using certificate::Role;

constexpr size_t kTokenBytes = 32;
constexpr size_t kHashDigits = 64;
constexpr char kDay[] = "%Y-%m-%d";

std::string Hash(const std::string& token) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return absl::BytesToHexString(std::string(reinterpret_cast<const char*>(digest.data()), size));
}

bool IsHash(const std::string& word) {
  if (word.size() != kHashDigits) return false;
  for (const char c : word)
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c)) && (c < 'a' || c > 'f')) return false;
  return true;
}

}  // namespace

absl::StatusOr<Tokens> Tokens::Parse(const std::string& text) {
  Tokens tokens;
  for (const Line& line : LinesOf(text)) {
    const std::vector<std::string> words =
        absl::StrSplit(line.text, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    const auto wrong = [&](const std::string& what) {
      return absl::InvalidArgumentError(absl::StrCat("line ", line.number, ": ", what));
    };
    if (words.size() != 3 || !IsHash(words[0])) return wrong("expected `SHA256 ROLE/NAME UNTIL`");
    const auto identity = certificate::FromUri(absl::StrCat("mixln:", words[1]));
    if (!identity) return wrong(absl::StrCat(words[1], " is not ROLE/NAME"));
    if (identity->role == Role::kWorker || identity->role == Role::kServer)
      return wrong(absl::StrCat("a ", certificate::Name(identity->role), " needs a certificate"));
    absl::Time day;
    std::string why;
    if (!absl::ParseTime(kDay, words[2], absl::UTCTimeZone(), &day, &why))
      return wrong(absl::StrCat(words[2], " is not a day such as 2027-01-31"));
    tokens.by_hash_[words[0]] = {*identity, day + absl::Hours(24)};
  }
  return tokens;
}

std::optional<certificate::Identity> Tokens::Find(const std::string& token, absl::Time now) const {
  const auto found = by_hash_.find(Hash(token));
  if (found == by_hash_.end() || found->second.until <= now) return std::nullopt;
  return found->second.identity;
}

absl::StatusOr<std::string> NewToken() {
  std::array<unsigned char, kTokenBytes> bytes{};
  if (RAND_bytes(bytes.data(), kTokenBytes) != 1) return absl::InternalError("cannot draw a token");
  return absl::StrCat("mixln_", absl::WebSafeBase64Escape(
                                    std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
}

std::string TokenLine(const std::string& token, const certificate::Identity& identity, absl::Time until) {
  return absl::StrCat(Hash(token), " ", certificate::Format(identity), " ",
                      absl::FormatTime(kDay, until, absl::UTCTimeZone()), "\n");
}

}  // namespace mixln::services::access
