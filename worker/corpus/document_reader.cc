#include "worker/corpus/document_reader.h"

#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "worker/corpus/utf8.h"

namespace mixln::worker::corpus {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kMaxDocumentBytes = size_t{1} << 30;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsBlank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

// The four hexadecimal digits of a \u escape at `at`, or -1.
int EscapeAt(std::string_view json, size_t at) {
  if (at + 6 > json.size() || json[at] != '\\' || json[at + 1] != 'u') return -1;
  int value = 0;
  for (const char c : json.substr(at + 2, 4)) {
    const int digit = c >= '0' && c <= '9'   ? c - '0'
                      : c >= 'a' && c <= 'f' ? c - 'a' + 10
                      : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                             : -1;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

// Replaces escapes of surrogates that are half a pair; Python writes such, and no strict parser reads them.
uint64_t ReplaceLoneSurrogates(std::string& json) {
  const auto is_high = [](int value) { return value >= 0xD800 && value < 0xDC00; };
  const auto is_low = [](int value) { return value >= 0xDC00 && value < 0xE000; };
  uint64_t replaced = 0;
  for (size_t at = 0; at + 1 < json.size();) {
    const int value = EscapeAt(json, at);
    if (is_high(value) && is_low(EscapeAt(json, at + 6))) {
      at += 12;
    } else if (is_high(value) || is_low(value)) {
      json.replace(at, 6, "\\ufffd");
      ++replaced;
      at += 6;
    } else {
      at += json[at] == '\\' ? 2 : 1;  // an escaped backslash begins no \u
    }
  }
  return replaced;
}

}  // namespace

absl::StatusOr<DocumentReader> DocumentReader::Open(const std::string& path, Layout layout, Split split) {
  auto stream = ByteStream::Open(path);
  if (!stream.ok()) return stream.status();
  return DocumentReader(path, *std::move(stream), layout == Layout::kJsonl ? Split::kLine : split);
}

absl::StatusOr<bool> DocumentReader::AppendLine(std::string& out) {
  bool any = false;
  for (;;) {
    if (at_ == buffer_.size()) {
      buffer_.resize(kChunkBytes);
      at_ = 0;
      auto n = stream_.Read(buffer_.data(), buffer_.size());
      buffer_.resize(n.ok() ? *n : 0);
      if (!n.ok()) return n.status();
      if (*n == 0) {
        if (any) ++line_;
        return any;
      }
    }
    const std::string_view rest = std::string_view(buffer_).substr(at_);
    const size_t end = rest.find('\n');
    const std::string_view piece = rest.substr(0, end);
    if (out.size() + piece.size() > kMaxDocumentBytes)
      return absl::FailedPreconditionError(
          absl::StrCat(path_, ":", line_ + 1,
                       ": a document is larger than 1 GiB; cut it smaller (data.split: "
                       "paragraph or line)"));
    out.append(piece);
    any = true;
    if (end != std::string_view::npos) {
      at_ += end + 1;
      break;
    }
    at_ = buffer_.size();
  }
  if (out.ends_with('\r')) out.pop_back();
  if (line_++ == 0 && std::string_view(out).starts_with(kByteOrderMark)) out.erase(0, kByteOrderMark.size());
  return true;
}

absl::StatusOr<bool> DocumentReader::Next(RawDocument& document) {
  document.bytes.clear();
  for (;;) {
    const size_t begin = document.bytes.size();
    if (begin > 0) document.bytes.push_back('\n');
    const size_t line_begin = document.bytes.size();
    auto more = AppendLine(document.bytes);
    if (!more.ok()) return more.status();
    const bool blank = IsBlank(std::string_view(document.bytes).substr(line_begin));
    // Blank lines before a document are none of it; after one they end a paragraph and belong to a file.
    if (!*more || (blank && (begin == 0 || split_ == Split::kParagraph))) document.bytes.resize(begin);
    if (begin == 0 && *more && !blank) document.line = line_;
    const bool complete =
        !*more || (split_ == Split::kParagraph && blank) || (split_ == Split::kLine && !blank);
    if (complete && !document.bytes.empty()) break;
    if (!*more) return false;
  }
  while (IsBlank(std::string_view(document.bytes).substr(document.bytes.size() - 1)))
    document.bytes.pop_back();
  return true;
}

absl::StatusOr<std::string> TextOf(RawDocument document, Layout layout, const std::string& path,
                                   uint64_t& replaced) {
  replaced += ReplaceInvalidUtf8(document.bytes);
  if (layout == Layout::kText) return std::move(document.bytes);
  auto json = nlohmann::json::parse(document.bytes, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    replaced += ReplaceLoneSurrogates(document.bytes);
    json = nlohmann::json::parse(document.bytes, nullptr, /*allow_exceptions=*/false);
  }
  const auto text = json.is_object() ? json.find("text") : json.end();
  if (text == json.end() || !text->is_string())
    return absl::FailedPreconditionError(
        absl::StrCat(path, ":", document.line, ": is not a JSON object with a string \"text\""));
  return std::move(text->get_ref<std::string&>());
}

}  // namespace mixln::worker::corpus
