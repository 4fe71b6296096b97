#include "worker/tokenize/encode_corpus.h"

#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_format.h"
#include "worker/shards/shard_writer.h"
#include "worker/tokenize/ordered_pipeline.h"

namespace mixln::worker::tokenize {
namespace {

constexpr size_t kPieceBytes = 1 << 20;

struct EncodedDocument {
  DocumentHash hash;
  uint64_t text_bytes = 0;
  // Where its ids end in the batch; they begin where the one before ends.
  size_t end = 0;
};

struct EncodedBatch {
  std::vector<EncodedDocument> documents;
  std::vector<int> ids;
  uint64_t replaced = 0;
};

// Documents written so far. Workers ask it to spare themselves work; only the consumer, which sees documents
// in order, decides which of two equal ones comes first.
class WrittenDocuments {
 public:
  bool Contains(const DocumentHash& hash) const {
    const std::shared_lock lock(mutex_);
    return hashes_.contains(hash);
  }
  bool Add(const DocumentHash& hash) {
    const std::lock_guard lock(mutex_);
    return hashes_.insert(hash).second;
  }

 private:
  mutable std::shared_mutex mutex_;
  absl::flat_hash_set<DocumentHash> hashes_;
};

// The shards of one split, begun as they are needed.
class SplitWriter {
 public:
  SplitWriter(std::filesystem::path dir, std::string name, uint32_t bytes_per_token, uint64_t shard_tokens)
      : dir_(std::move(dir)),
        name_(std::move(name)),
        bytes_per_token_(bytes_per_token),
        shard_tokens_(shard_tokens) {}

  absl::Status Add(std::span<const int> ids, uint64_t text_bytes) {
    if (!shard_) {
      auto shard = shards::ShardWriter::Create(
          dir_, absl::StrFormat("%s-%05d.tokens", name_, split_.shards.size()), bytes_per_token_);
      if (!shard.ok()) return shard.status();
      shard_.emplace(*std::move(shard));
    }
    split_.tokens += ids.size();
    split_.documents += 1;
    split_.text_bytes += text_bytes;
    if (auto status = shard_->Add(ids); !status.ok()) return status;
    return shard_->tokens() < shard_tokens_ ? absl::OkStatus() : FinishShard();
  }

  absl::StatusOr<shards::Split> Finish() {
    if (auto status = FinishShard(); !status.ok()) return status;
    return std::move(split_);
  }

 private:
  absl::Status FinishShard() {
    if (!shard_) return absl::OkStatus();
    auto info = shard_->Finish();
    shard_.reset();
    if (!info.ok()) return info.status();
    split_.shards.push_back(*std::move(info));
    return absl::OkStatus();
  }

  std::filesystem::path dir_;
  std::string name_;
  uint32_t bytes_per_token_;
  uint64_t shard_tokens_;
  std::optional<shards::ShardWriter> shard_;
  shards::Split split_;
};

// One pass over the corpus. The counts in `seen` tell whether the rule left a side empty.
absl::StatusOr<EncodedCorpus> EncodeOnce(const std::vector<SourceFile>& sources, corpus::Split split,
                                         const SentencePiece& tokenizer, const SplitRule& rule,
                                         const std::filesystem::path& dir, const EncodeOptions& options,
                                         const std::function<void(uint64_t)>& on_bytes, SeenDocuments& seen) {
  EncodedCorpus result;
  shards::Dataset& dataset = result.dataset;
  dataset.vocab_size = tokenizer.vocab_size();
  dataset.pad_id = tokenizer.pad_id();
  dataset.eos_id = tokenizer.eos_id();
  dataset.unk_id = tokenizer.unk_id();
  result.unigram.assign(static_cast<size_t>(dataset.vocab_size), 0);
  SplitWriter train(dir, "train", dataset.bytes_per_token(), options.shard_tokens);
  SplitWriter validation(dir, "validation", dataset.bytes_per_token(), options.shard_tokens);
  WrittenDocuments written;
  DocumentBatches batches(sources, split, on_bytes);

  const auto encode = [&](RawBatch raw) -> absl::StatusOr<EncodedBatch> {
    EncodedBatch batch;
    auto documents = ReadDocuments(std::move(raw), batch.replaced);
    if (!documents.ok()) return documents.status();
    for (const Document& document : *documents) {
      if (!written.Contains(document.hash)) {
        EncodeDocument(tokenizer, document.text, batch.ids);
        batch.ids.push_back(dataset.eos_id);
      }
      batch.documents.push_back({document.hash, document.text.size(), batch.ids.size()});
    }
    return batch;
  };
  const auto write = [&](const EncodedBatch& batch) -> absl::Status {
    dataset.invalid_utf8_replaced += batch.replaced;
    size_t begin = 0;
    for (const EncodedDocument& document : batch.documents) {
      const std::span<const int> ids(batch.ids.data() + begin, document.end - begin);
      begin = document.end;
      if (!written.Add(document.hash)) {
        ++dataset.duplicates_removed;
        continue;
      }
      const bool held_out = rule.Assign(document.hash, seen);
      if (!held_out)
        for (const int id : ids) ++result.unigram[static_cast<size_t>(id)];
      if (auto status = (held_out ? validation : train).Add(ids, document.text_bytes); !status.ok())
        return status;
    }
    return absl::OkStatus();
  };
  if (auto status = OrderedPipeline<RawBatch, EncodedBatch>(
          options.threads, [&](RawBatch& batch) { return batches.Next(batch); }, encode, write);
      !status.ok())
    return status;

  auto train_split = train.Finish();
  if (!train_split.ok()) return train_split.status();
  auto validation_split = validation.Finish();
  if (!validation_split.ok()) return validation_split.status();
  dataset.train = *std::move(train_split);
  dataset.validation = *std::move(validation_split);
  return result;
}

}  // namespace

absl::StatusOr<EncodedCorpus> EncodeCorpus(const std::vector<SourceFile>& sources, corpus::Split split,
                                           const SentencePiece& tokenizer, SplitRule rule,
                                           const std::filesystem::path& dir, const EncodeOptions& options,
                                           const std::function<void(uint64_t)>& on_bytes) {
  for (;;) {
    SeenDocuments seen;
    auto result = EncodeOnce(sources, split, tokenizer, rule, dir, options, on_bytes, seen);
    if (!result.ok()) return result.status();
    if (rule.Repair(seen)) {  // only a corpus of few documents comes here
      for (const shards::Split* part : {&result->dataset.train, &result->dataset.validation})
        for (const shards::ShardInfo& shard : part->shards) std::filesystem::remove(dir / shard.file);
      continue;
    }
    if (auto status = RequireBothSides(seen, sources); !status.ok()) return status;
    return result;
  }
}

void EncodeDocument(const SentencePiece& tokenizer, std::string_view text, std::vector<int>& ids) {
  while (text.size() > kPieceBytes) {
    size_t cut = text.rfind('\n', kPieceBytes);
    if (cut == 0 || cut == std::string_view::npos) cut = text.rfind(' ', kPieceBytes);
    if (cut == 0 || cut == std::string_view::npos) {
      cut = kPieceBytes;
      while ((static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) --cut;  // not inside a character
    }
    tokenizer.Encode(text.substr(0, cut), ids);
    text.remove_prefix(cut);
  }
  tokenizer.Encode(text, ids);
}

}  // namespace mixln::worker::tokenize
