// The documents of all sources, in order, in batches that are worth a thread's while.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/corpus/document_reader.h"
#include "worker/tokenize/split_rule.h"

namespace mixln::worker::tokenize {

struct SourceFile {
  std::string path;
  corpus::Layout layout = corpus::Layout::kText;
};

// Documents of one source file, as cut.
struct RawBatch {
  const SourceFile* source = nullptr;
  std::vector<corpus::RawDocument> documents;
};

// A document ready to be encoded.
struct Document {
  std::string text;
  DocumentHash hash;
};

class DocumentBatches {
 public:
  // `on_bytes` is told how many bytes of the files have been read, all in all.
  DocumentBatches(const std::vector<SourceFile>& sources, corpus::Split split,
                  std::function<void(uint64_t)> on_bytes)
      : sources_(sources), split_(split), on_bytes_(std::move(on_bytes)) {}

  // The next batch, about half a megabyte or one document; false at the end. Errors as DocumentReader's.
  absl::StatusOr<bool> Next(RawBatch& batch);

 private:
  const std::vector<SourceFile>& sources_;
  corpus::Split split_;
  std::function<void(uint64_t)> on_bytes_;
  size_t next_source_ = 0;
  uint64_t bytes_of_finished_ = 0;
  std::optional<corpus::DocumentReader> reader_;
};

// FAILED_PRECONDITION when a pass over `sources` saw too few documents to have both kinds: none or a single
// one.
absl::Status RequireBothSides(const SeenDocuments& seen, const std::vector<SourceFile>& sources);

// Texts and hashes of a batch; empty documents are left out. Adds to `replaced` as corpus::TextOf.
absl::StatusOr<std::vector<Document>> ReadDocuments(RawBatch batch, uint64_t& replaced);

}  // namespace mixln::worker::tokenize
