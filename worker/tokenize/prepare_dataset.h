// Turns a corpus into `<cache>/<hash>/` (docs/rank-contract.md, "Prepared data"), or finds it there.
//
// The cache's other entries begin with a dot: `.locks/` (never deleted), `.hashes/` (which file had which
// content) and
// `.building-<hash>/` (a preparation at work; one whose process is gone is deleted by the next).
#pragma once

#include <filesystem>
#include <vector>

#include "absl/status/statusor.h"
#include "worker/shards/dataset.h"
#include "worker/tokenize/progress.h"
#include "worker/tokenize/request.h"

namespace mixln::worker::tokenize {

struct PrepareOptions {
  std::filesystem::path cache;
  // Folders that sources and tokenizers may lie in; none: anywhere.
  std::vector<std::filesystem::path> data_roots = {};
  // Threads that encode.
  int threads = 1;
  OnProgress on_progress = [](const Progress&) {};
};

struct Prepared {
  // With `dir`.
  shards::Dataset dataset;
  // It was there already.
  bool from_cache = false;
};

// INVALID_ARGUMENT: the request makes no sense. PERMISSION_DENIED: it names what lies outside the data roots.
// FAILED_PRECONDITION: the sources or the tokenizer cannot be used. Any other code: the disk. The message is
// one sentence that names the thing. Two calls for the same data, in any processes, wait for each other.
absl::StatusOr<Prepared> PrepareDataset(const Request& request, const PrepareOptions& options);

}  // namespace mixln::worker::tokenize
