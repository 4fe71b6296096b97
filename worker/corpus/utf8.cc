#include "worker/corpus/utf8.h"

#include <cstring>

namespace mixln::worker::corpus {
namespace {

// What begins at a byte: a whole character, or how much of one there is before it goes wrong.
struct Sequence {
  size_t bytes;
  bool valid;
};

Sequence SequenceAt(std::string_view text, size_t at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(at);
  if (lead < 0x80) return {1, true};
  size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xBF;  // bounds of the second byte
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  } else {
    return {1, false};
  }
  for (size_t i = 1; i < length; ++i) {
    if (at + i == text.size() || byte(at + i) < low || byte(at + i) > high) return {i, false};
    low = 0x80;
    high = 0xBF;
  }
  return {length, true};
}

}  // namespace

size_t ValidUtf8Prefix(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    // Eight ASCII bytes at a time: most of most corpora.
    uint64_t word = 0;
    if (at + sizeof word <= bytes.size()) {
      std::memcpy(&word, bytes.data() + at, sizeof word);
      if ((word & 0x8080808080808080U) == 0) {
        at += sizeof word;
        continue;
      }
    }
    const Sequence sequence = SequenceAt(bytes, at);
    if (!sequence.valid) return at;
    at += sequence.bytes;
  }
  return at;
}

uint64_t ReplaceInvalidUtf8(std::string& text) {
  std::string_view left = text;
  size_t valid = ValidUtf8Prefix(left);
  if (valid == left.size()) return 0;
  uint64_t replaced = 0;
  std::string clean;
  clean.reserve(text.size() + 16);
  for (;;) {
    clean.append(left.substr(0, valid));
    left.remove_prefix(valid);
    if (left.empty()) break;
    left.remove_prefix(SequenceAt(left, 0).bytes);
    clean.append("\xEF\xBF\xBD");
    ++replaced;
    valid = ValidUtf8Prefix(left);
  }
  text = std::move(clean);
  return replaced;
}

}  // namespace mixln::worker::corpus
