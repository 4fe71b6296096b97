#include "worker/tokenize/prepare_dataset.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/file/below.h"
#include "base/file/durable.h"
#include "base/file/lock_file.h"
#include "worker/corpus/content_hash.h"
#include "worker/corpus/source.h"
#include "worker/shards/shard_reader.h"
#include "worker/tokenize/encode_corpus.h"
#include "worker/tokenize/sentencepiece.h"
#include "worker/tokenize/train_tokenizer.h"

namespace mixln::worker::tokenize {
namespace {

namespace fs = std::filesystem;

// Raised when the same request yields other tokens than before, so that old results are not found.
constexpr int kRecipe = 1;
constexpr char kBuildingPrefix[] = ".building-";
constexpr char kModelFile[] = "tokenizer.model";

struct Sources {
  std::vector<SourceFile> files;
  std::vector<corpus::HashedFile> hashed;
  uint64_t bytes = 0;
};

// The part of a pattern up to its first wild card: nothing that matches lies above it.
fs::path FixedPart(const std::string& pattern) {
  const size_t wild = pattern.find_first_of("*?[{~");
  return wild == std::string::npos ? fs::path(pattern) : fs::path(pattern.substr(0, wild)).parent_path();
}

absl::StatusOr<Sources> FindSources(const Request& request, const PrepareOptions& options) {
  std::vector<std::string> problems;
  // Before it is looked for, so that nobody learns what there is elsewhere.
  for (const std::string& pattern : request.source)
    if (auto status = base::CheckBelow(FixedPart(pattern), options.data_roots); !status.ok()) return status;
  const std::vector<std::string> paths = corpus::ExpandSources(request.source, problems);
  Sources sources;
  for (const std::string& path : paths) {
    if (auto status = base::CheckBelow(path, options.data_roots); !status.ok()) return status;
    const auto look = corpus::Look(path);
    const auto stamp = corpus::Stamp(path);
    if (!look.ok()) problems.emplace_back(look.status().message());
    if (!look.ok() || !stamp.ok()) continue;
    sources.files.push_back({path, look->layout});
    sources.bytes += stamp->bytes;
  }
  if (!problems.empty()) return absl::FailedPreconditionError(absl::StrJoin(problems, "; "));

  uint64_t done = 0;
  auto hashed = corpus::HashFiles(paths, options.cache / ".hashes", [&](uint64_t bytes) {
    done += bytes;
    options.on_progress({"hashing", done, sources.bytes});
  });
  if (!hashed.ok()) return hashed.status();
  sources.hashed = *std::move(hashed);
  return sources;
}

// Everything that the shards depend on, as the name of their folder.
std::string KeyOf(const Request& request, const std::string& model, const Sources& sources) {
  std::string all =
      absl::StrCat("recipe ", kRecipe, " format ", shards::kFormatVersion, " validation ",
                   absl::StrFormat("%a", request.validation_fraction), " tokenizer ",
                   model.empty() ? absl::StrCat("train ", request.vocab) : corpus::HashOf(model), "\n");
  for (size_t i = 0; i < sources.files.size(); ++i) {
    const bool is_text = sources.files[i].layout == corpus::Layout::kText;
    absl::StrAppend(&all, is_text ? absl::StrCat("text ", static_cast<int>(request.split)) : "jsonl", " ",
                    sources.hashed[i].hash, "\n");
  }
  return corpus::HashOf(all);
}

// The dataset in `dir`, if all of it is there.
absl::StatusOr<shards::Dataset> Find(const fs::path& dir) {
  auto dataset = shards::Dataset::Load(dir);
  if (!dataset.ok()) return dataset.status();
  for (const shards::Split* split : {&dataset->train, &dataset->validation})
    for (const shards::ShardInfo& info : split->shards)
      if (auto shard = shards::ShardReader::Open(dir, info, dataset->bytes_per_token()); !shard.ok())
        return shard.status();
  if (auto unigram = shards::LoadUnigram(*dataset); !unigram.ok()) return unigram.status();
  if (auto bytes = shards::LoadTokenBytes(*dataset); !bytes.ok()) return bytes.status();
  if (!fs::exists(dir / kModelFile)) return absl::DataLossError("no tokenizer.model");
  return dataset;
}

// Deletes what preparations left behind whose process is gone: nobody holds their lock.
void SweepAbandoned(const fs::path& cache) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(cache, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kBuildingPrefix)) continue;
    const std::string key = name.substr(sizeof kBuildingPrefix - 1);
    if (base::LockFile::TryLock(cache / ".locks" / key).ok()) fs::remove_all(entry.path(), ignored);
  }
}

// token_bytes.u16. The bytes that a given model's unk stands for are known only in the mean: what its other
// tokens leave of the training text.
std::vector<uint16_t> TokenBytes(const SentencePiece& tokenizer, const EncodedCorpus& encoded) {
  std::vector<uint16_t> bytes;
  uint64_t covered = 0;
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    bytes.push_back(tokenizer.BytesOf(id));
    covered += encoded.unigram[static_cast<size_t>(id)] * bytes.back();
  }
  const int unk = tokenizer.unk_id();
  if (unk >= 0) {
    const auto times = static_cast<double>(encoded.unigram[static_cast<size_t>(unk)]);
    const uint64_t text = encoded.dataset.train.text_bytes;
    const double mean = times > 0 && text > covered ? static_cast<double>(text - covered) / times : 1;
    bytes[static_cast<size_t>(unk)] = static_cast<uint16_t>(std::clamp(std::round(mean), 1.0, 65'535.0));
  }
  return bytes;
}

// Makes all of the dataset's files in `dir`.
absl::StatusOr<shards::Dataset> Build(const Request& request, const PrepareOptions& options,
                                      const Sources& sources, std::string model, const fs::path& dir) {
  SplitRule rule(request.validation_fraction);
  if (model.empty()) {
    TrainTokenizerOptions training;
    training.vocab = request.vocab;
    training.threads = options.threads;
    auto trained = TrainTokenizer(sources.files, request.split, training, rule, [&](uint64_t bytes) {
      options.on_progress({"training the tokenizer", bytes, sources.bytes});
    });
    if (!trained.ok()) return trained.status();
    model = *std::move(trained);
  }
  std::string error;
  const auto tokenizer = SentencePiece::Parse(model, error);
  const std::string name =
      request.tokenizer_model.empty() ? "the trained tokenizer" : request.tokenizer_model;
  if (tokenizer == nullptr)
    return absl::FailedPreconditionError(absl::StrCat(name, " is not a SentencePiece model: ", error));
  if (tokenizer->eos_id() < 0)
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has no token for the end of a document (</s>)"));

  EncodeOptions encoding;
  encoding.threads = options.threads;
  auto encoded =
      EncodeCorpus(sources.files, request.split, *tokenizer, rule, dir, encoding, [&](uint64_t bytes) {
        options.on_progress({"tokenizing", bytes, sources.bytes});
      });
  if (!encoded.ok()) return encoded.status();
  for (const corpus::HashedFile& file : sources.hashed) {
    const auto now = corpus::Stamp(file.path);
    if (!now.ok()) return now.status();
    if (*now != file.stamp)
      return absl::FailedPreconditionError(
          absl::StrCat(file.path, " was changed while it was tokenized: try again"));
    encoded->dataset.sources.push_back({file.path, file.stamp.bytes});
  }
  if (auto status = base::WriteFileDurably(dir / kModelFile, model); !status.ok()) return status;
  if (auto status = shards::SaveUnigram(dir, encoded->unigram); !status.ok()) return status;
  if (auto status = shards::SaveTokenBytes(dir, TokenBytes(*tokenizer, *encoded)); !status.ok())
    return status;
  if (auto status = encoded->dataset.Save(dir); !status.ok()) return status;
  return std::move(encoded->dataset);
}

}  // namespace

absl::StatusOr<Prepared> PrepareDataset(const Request& request, const PrepareOptions& options) {
  if (auto status = Validate(request); !status.ok()) return status;
  std::string model;
  if (!request.tokenizer_model.empty()) {
    if (auto status = base::CheckBelow(request.tokenizer_model, options.data_roots); !status.ok())
      return status;
    auto read = base::ReadFile(request.tokenizer_model);
    if (!read.ok())
      return absl::FailedPreconditionError(absl::StrCat("tokenizer: ", std::string(read.status().message())));
    model = *std::move(read);
    if (model.empty())
      return absl::FailedPreconditionError(absl::StrCat("tokenizer ", request.tokenizer_model, " is empty"));
  }
  if (auto status = base::MakeFolders(options.cache / ".locks"); !status.ok()) return status;
  const auto sources = FindSources(request, options);
  if (!sources.ok()) return sources.status();

  const std::string key = KeyOf(request, model, *sources);
  const fs::path dir = options.cache / key;
  if (auto found = Find(dir); found.ok()) return Prepared{*std::move(found), true};

  const fs::path lock_path = options.cache / ".locks" / key;
  const auto lock = base::LockFile::Lock(lock_path, [&] { options.on_progress({"waiting", 0, 0}); });
  if (!lock.ok()) return lock.status();
  if (auto found = Find(dir); found.ok()) return Prepared{*std::move(found), true};

  const fs::path building = options.cache / absl::StrCat(kBuildingPrefix, key);
  std::error_code error;
  fs::remove_all(building, error);
  fs::remove_all(dir, error);  // there, but not whole
  SweepAbandoned(options.cache);
  if (auto status = base::MakeFolders(building); !status.ok()) return status;
  auto dataset = Build(request, options, *sources, std::move(model), building);
  absl::Status status = dataset.status();
  if (status.ok()) {
    fs::rename(building, dir, error);
    if (error) status = base::ErrnoStatus(error.value(), absl::StrCat("cannot rename ", building.string()));
  }
  if (status.ok()) status = base::SyncFolder(options.cache);
  if (!status.ok()) {
    fs::remove_all(building, error);
    return status;
  }
  dataset->dir = dir;
  return Prepared{*std::move(dataset), false};
}

}  // namespace mixln::worker::tokenize
