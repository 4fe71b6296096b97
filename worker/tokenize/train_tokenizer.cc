#include "worker/tokenize/train_tokenizer.h"

#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "worker/tokenize/ordered_pipeline.h"
#include "worker/tokenize/sentencepiece.h"

namespace mixln::worker::tokenize {
namespace {

// The pieces of training text with the least hashes, up to a number of bytes.
class Sample {
 public:
  explicit Sample(size_t limit) : limit_(limit) {}

  void Add(std::string sentence) {
    const DocumentHash hash = HashDocument(sentence);
    if (bytes_ >= limit_ && hash > sentences_.rbegin()->first) return;
    const size_t size = sentence.size();
    if (!sentences_.emplace(hash, std::move(sentence)).second) return;
    bytes_ += size;
    while (bytes_ > limit_ && sentences_.size() > 1) {
      const auto last = std::prev(sentences_.end());
      bytes_ -= last->second.size();
      sentences_.erase(last);
    }
  }

  std::map<DocumentHash, std::string>& sentences() { return sentences_; }
  size_t bytes() const { return bytes_; }

 private:
  size_t limit_;
  size_t bytes_ = 0;
  std::map<DocumentHash, std::string> sentences_;
};

// Cuts a document at its control characters and where it is longer than a sentence may be: before a space,
// else between two characters.
void Cut(std::string_view text, Sample& sample) {
  while (!text.empty()) {
    size_t end = 0;
    while (end < text.size() && static_cast<unsigned char>(text[end]) >= 0x20) ++end;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    while (!line.empty()) {
      size_t length = line.size();
      if (length > kMaxSentenceBytes) {
        length = line.rfind(' ', kMaxSentenceBytes);
        if (length == 0 || length == std::string_view::npos) length = kMaxSentenceBytes;
        while (length > 1 && (static_cast<unsigned char>(line[length]) & 0xC0) == 0x80) --length;
      }
      sample.Add(std::string(line.substr(0, length)));
      line.remove_prefix(length);
    }
  }
}

absl::Status Survey(const std::vector<SourceFile>& sources, corpus::Split split, int threads,
                    const SplitRule& rule, const std::function<void(uint64_t)>& on_bytes, Sample& sample,
                    SeenDocuments& seen) {
  DocumentBatches batches(sources, split, on_bytes);
  return OrderedPipeline<RawBatch, std::vector<Document>>(
      threads, [&](RawBatch& batch) { return batches.Next(batch); },
      [](RawBatch batch) {
        uint64_t replaced = 0;  // counted when the documents are encoded
        return ReadDocuments(std::move(batch), replaced);
      },
      [&](const std::vector<Document>& documents) {
        for (const Document& document : documents)
          if (!rule.Assign(document.hash, seen)) Cut(document.text, sample);
        return absl::OkStatus();
      });
}

// SentencePiece's complaint in our words.
absl::Status Explain(const std::string& error, int vocab, size_t bytes) {
  const auto number_after = [&](std::string_view words) -> int {
    const size_t at = error.find(words);
    int number = 0;
    if (at == std::string::npos) return 0;
    const std::string rest = error.substr(at + words.size());
    return absl::SimpleAtoi(rest.substr(0, rest.find_first_not_of("0123456789")), &number) ? number : 0;
  };
  if (const int most = number_after("set it to a value <= "); most > 0)
    return absl::FailedPreconditionError(
        absl::StrCat("the training documents (", bytes, " bytes) do not fill a vocabulary of ", vocab,
                     " pieces: set data.tokenizer.train.vocab to at most ", most, ", or give more text"));
  if (const int least = number_after("smaller than required_chars. " + std::to_string(vocab) + " vs ");
      least > 0)
    return absl::FailedPreconditionError(
        absl::StrCat("the corpus has more different characters than a vocabulary of ", vocab,
                     " pieces can hold: set data.tokenizer.train.vocab to more than ", least));
  return absl::FailedPreconditionError(
      absl::StrCat("no tokenizer of ", vocab, " pieces can be trained on ", bytes,
                   " bytes of training documents; SentencePiece says: ", error));
}

}  // namespace

absl::StatusOr<std::string> TrainTokenizer(const std::vector<SourceFile>& sources, corpus::Split split,
                                           const TrainTokenizerOptions& options, SplitRule& rule,
                                           const std::function<void(uint64_t)>& on_bytes) {
  for (;;) {
    Sample sample(options.sample_bytes);
    SeenDocuments seen;
    if (auto status = Survey(sources, split, options.threads, rule, on_bytes, sample, seen); !status.ok())
      return status;
    if (rule.Repair(seen)) continue;
    if (auto status = RequireBothSides(seen, sources); !status.ok()) return status;
    auto next = sample.sentences().begin();
    std::string error;
    std::string model = TrainSentencePiece(
        options.vocab,
        [&](std::string& sentence) {
          if (next == sample.sentences().end()) return false;
          sentence = std::move(next++->second);
          return true;
        },
        error);
    if (model.empty()) return Explain(error, options.vocab, sample.bytes());
    return model;
  }
}

}  // namespace mixln::worker::tokenize
