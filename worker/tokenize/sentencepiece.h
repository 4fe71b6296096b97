// SentencePiece behind plain types. Its headers declare absl::string_view otherwise than Abseil does, and its
// library exports the google::protobuf of its own version: so only sentencepiece.cc sees the headers, and no
// program that uses this folder may be linked with protobuf.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::tokenize {

class SentencePiece {
 public:
  // A model from the bytes of its file; null, with the reason in `error`, when they are none.
  static std::unique_ptr<SentencePiece> Parse(std::string_view model, std::string& error);
  ~SentencePiece();

  // Appends the ids of `text`. Thread-safe.
  void Encode(std::string_view text, std::vector<int>& ids) const;

  int vocab_size() const;
  // -1 where the model has none.
  int pad_id() const;
  int eos_id() const;
  int unk_id() const;
  // Bytes of text that a token stands for; 0 for control tokens and for unk, whose text it does not know.
  uint16_t BytesOf(int id) const;

 private:
  struct State;
  explicit SentencePiece(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Trains a unigram model of exactly `vocab` pieces, in which every byte of text is counted once: identity
// normalization, white space kept, no dummy prefix, bytes for what no piece covers; pad 0, eos 1, unk 2, no
// bos. Ids depend on the sentences and their order only, not on the machine's cores. `next` gives a sentence
// (no control characters, at most kMaxSentenceBytes), or false at the end. Returns the model's file, or ""
// with SentencePiece's own words in `error`.
inline constexpr size_t kMaxSentenceBytes = 4096;
std::string TrainSentencePiece(int vocab, const std::function<bool(std::string&)>& next, std::string& error);

}  // namespace mixln::worker::tokenize
