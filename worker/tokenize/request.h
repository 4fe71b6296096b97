// What to prepare: the part of v1.DataSpec that shards depend on, as plain data (this folder cannot see
// protobuf).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "worker/corpus/document_reader.h"

namespace mixln::worker::tokenize {

struct Request {
  // Paths or glob patterns.
  std::vector<std::string> source;
  // Path of a SentencePiece model; empty: train one of `vocab` pieces.
  std::string tokenizer_model;
  int vocab = 0;
  // In (0, 0.5].
  double validation_fraction = 0.01;
  corpus::Split split = corpus::Split::kParagraph;
};

// A DataSpec in proto3 JSON, every field said. INVALID_ARGUMENT, naming the field, when one is unknown,
// missing where it matters here, or of another type.
absl::StatusOr<Request> ParseRequest(std::string_view json);

// "file", "line" or "paragraph". INVALID_ARGUMENT otherwise.
absl::StatusOr<corpus::Split> ParseSplit(std::string_view name);

// INVALID_ARGUMENT, naming the field, when a value is impossible.
absl::Status Validate(const Request& request);

}  // namespace mixln::worker::tokenize
