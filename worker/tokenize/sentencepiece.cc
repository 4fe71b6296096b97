#include "worker/tokenize/sentencepiece.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace mixln::worker::tokenize {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";  // U+2581, SentencePiece's mark for a space

// Hands the trainer our sentences.
class Sentences : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::function<bool(std::string&)>& next) : next_(next) { Sentences::Next(); }
  bool done() const override { return done_; }
  void Next() override { done_ = !next_(value_); }
  const std::string& value() const override { return value_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::function<bool(std::string&)>& next_;
  std::string value_;
  bool done_ = false;
};

uint16_t CountBytes(const sentencepiece::SentencePieceProcessor& processor, int id) {
  if (processor.IsControl(id) || processor.IsUnknown(id) || processor.IsUnused(id)) return 0;
  if (processor.IsByte(id)) return 1;
  const std::string& piece = processor.IdToPiece(id);
  size_t bytes = piece.size();
  for (size_t at = piece.find(kSpace); at != std::string::npos; at = piece.find(kSpace, at + kSpace.size()))
    bytes -= kSpace.size() - 1;
  return static_cast<uint16_t>(std::min<size_t>(bytes, UINT16_MAX));
}

}  // namespace

struct SentencePiece::State {
  sentencepiece::SentencePieceProcessor processor;
  std::vector<uint16_t> bytes;
};

std::unique_ptr<SentencePiece> SentencePiece::Parse(std::string_view model, std::string& error) {
  auto state = std::make_unique<State>();
  if (const auto status = state->processor.LoadFromSerializedProto(model); !status.ok()) {
    error = status.message();
    return nullptr;
  }
  for (int id = 0; id < state->processor.GetPieceSize(); ++id)
    state->bytes.push_back(CountBytes(state->processor, id));
  return std::unique_ptr<SentencePiece>(new SentencePiece(std::move(state)));
}

SentencePiece::SentencePiece(std::unique_ptr<State> state) : state_(std::move(state)) {}
SentencePiece::~SentencePiece() = default;

void SentencePiece::Encode(std::string_view text, std::vector<int>& ids) const {
  const std::vector<int> encoded = state_->processor.EncodeAsIds(text);
  ids.insert(ids.end(), encoded.begin(), encoded.end());
}

int SentencePiece::vocab_size() const {
  return state_->processor.GetPieceSize();
}
int SentencePiece::pad_id() const {
  return state_->processor.pad_id();
}
int SentencePiece::eos_id() const {
  return state_->processor.eos_id();
}
int SentencePiece::unk_id() const {
  return state_->processor.unk_id();
}
uint16_t SentencePiece::BytesOf(int id) const {
  return state_->bytes[static_cast<size_t>(id)];
}

std::string TrainSentencePiece(int vocab, const std::function<bool(std::string&)>& next, std::string& error) {
  const std::unordered_map<std::string, std::string> settings = {
      {"model_type", "unigram"},
      {"vocab_size", std::to_string(vocab)},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"add_dummy_prefix", "false"},
      {"byte_fallback", "true"},
      {"pad_id", "0"},
      {"eos_id", "1"},
      {"unk_id", "2"},
      {"bos_id", "-1"},
      {"max_sentence_length", std::to_string(kMaxSentenceBytes)},
      // Sums over threads depend on their number: a fixed one, so that another machine trains the same model.
      {"num_threads", "16"},
      {"minloglevel", "3"},
  };
  Sentences sentences(next);
  std::string model;
  if (const auto status = sentencepiece::SentencePieceTrainer::Train(settings, &sentences, &model);
      !status.ok()) {
    error = status.message();
    return "";
  }
  return model;
}

}  // namespace mixln::worker::tokenize
