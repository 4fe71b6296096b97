#include "worker/tokenize/document_batches.h"

#include "absl/strings/str_cat.h"

namespace mixln::worker::tokenize {

constexpr size_t kBatchBytes = 512 << 10;

absl::StatusOr<bool> DocumentBatches::Next(RawBatch& batch) {
  size_t bytes = 0;
  for (;;) {
    if (!reader_) {
      if (next_source_ == sources_.size()) return false;
      const SourceFile& source = sources_[next_source_++];
      auto reader = corpus::DocumentReader::Open(source.path, source.layout, split_);
      if (!reader.ok()) return reader.status();
      reader_.emplace(*std::move(reader));
    }
    batch.source = &sources_[next_source_ - 1];
    while (bytes < kBatchBytes) {
      corpus::RawDocument document;
      auto more = reader_->Next(document);
      if (!more.ok()) return more.status();
      if (!*more) break;
      bytes += document.bytes.size();
      batch.documents.push_back(std::move(document));
    }
    on_bytes_(bytes_of_finished_ + reader_->bytes_consumed());
    if (bytes < kBatchBytes) {
      bytes_of_finished_ += reader_->bytes_consumed();
      reader_.reset();
    }
    if (!batch.documents.empty()) return true;
  }
}

absl::Status RequireBothSides(const SeenDocuments& seen, const std::vector<SourceFile>& sources) {
  if (seen.train > 0 && seen.validation > 0) return absl::OkStatus();
  const std::string corpus =
      absl::StrCat("the corpus (", sources.front().path, sources.size() > 1 ? " and others" : "", ")");
  if (seen.train + seen.validation == 0)
    return absl::FailedPreconditionError(absl::StrCat(corpus, " holds no document with any text"));
  return absl::FailedPreconditionError(absl::StrCat(
      corpus,
      " is one document, so none can be held out for evaluation: use data.split: paragraph or line, or "
      "give more files"));
}

absl::StatusOr<std::vector<Document>> ReadDocuments(RawBatch batch, uint64_t& replaced) {
  std::vector<Document> documents;
  documents.reserve(batch.documents.size());
  for (corpus::RawDocument& raw : batch.documents) {
    auto text = corpus::TextOf(std::move(raw), batch.source->layout, batch.source->path, replaced);
    if (!text.ok()) return text.status();
    if (text->find_first_not_of(" \t\r\n\f\v") == std::string::npos) continue;
    const DocumentHash hash = HashDocument(*text);
    documents.push_back({*std::move(text), hash});
  }
  return documents;
}

}  // namespace mixln::worker::tokenize
