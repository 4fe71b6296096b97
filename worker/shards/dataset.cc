#include "worker/shards/dataset.h"

#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"

namespace mixln::worker::shards {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kDatasetFile[] = "dataset.json";
constexpr char kUnigramFile[] = "unigram.u64";
constexpr char kTokenBytesFile[] = "token_bytes.u16";

// Takes typed fields out of an object and remembers the first that is missing or of another type.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  void Take(const char* name, uint64_t& out) {
    const Json* value = Find(name);
    if (value != nullptr && value->is_number_unsigned()) {
      out = value->get<uint64_t>();
    } else {
      Complain(name, "a whole number from 0");
    }
  }
  void Take(const char* name, int32_t& out) {
    const Json* value = Find(name);
    if (value != nullptr && value->is_number_integer() && value->get<int64_t>() == value->get<int32_t>()) {
      out = value->get<int32_t>();
    } else {
      Complain(name, "a 32-bit whole number");
    }
  }
  void Take(const char* name, std::string& out) {
    const Json* value = Find(name);
    if (value != nullptr && value->is_string()) {
      out = value->get<std::string>();
    } else {
      Complain(name, "a string");
    }
  }
  // A list of objects, or an empty one after a complaint.
  const Json& List(const char* name) {
    static const Json empty = Json::array();
    const Json* value = Find(name);
    if (value != nullptr && value->is_array()) return *value;
    Complain(name, "a list");
    return empty;
  }
  const Json& Object(const char* name) {
    static const Json empty = Json::object();
    const Json* value = Find(name);
    if (value != nullptr && value->is_object()) return *value;
    Complain(name, "an object");
    return empty;
  }

  const std::string& problem() const { return problem_; }

 private:
  const Json* Find(const char* name) const {
    const auto found = object_.is_object() ? object_.find(name) : object_.end();
    return found == object_.end() ? nullptr : &*found;
  }
  void Complain(const char* name, const char* wanted) {
    if (problem_.empty()) problem_ = absl::StrCat(where_, name, " is not ", wanted);
  }

  const Json& object_;
  std::string where_;
  std::string problem_;
};

// Reads a split; returns what is wrong with it, or "".
std::string ReadSplit(const Json& json, const std::string& name, Split& split) {
  Fields fields(json, absl::StrCat(name, "."));
  fields.Take("tokens", split.tokens);
  fields.Take("documents", split.documents);
  fields.Take("text_bytes", split.text_bytes);
  uint64_t tokens = 0;
  uint64_t documents = 0;
  for (const Json& entry : fields.List("shards")) {
    ShardInfo shard;
    Fields shard_fields(entry, absl::StrCat(name, ".shards[", split.shards.size(), "]."));
    shard_fields.Take("file", shard.file);
    shard_fields.Take("tokens", shard.tokens);
    shard_fields.Take("documents", shard.documents);
    shard_fields.Take("xxh3_64", shard.xxh3_64);
    if (!shard_fields.problem().empty()) return shard_fields.problem();
    tokens += shard.tokens;
    documents += shard.documents;
    split.shards.push_back(std::move(shard));
  }
  if (fields.problem().empty() && (tokens != split.tokens || documents != split.documents))
    return absl::StrCat(name, " counts ", split.tokens, " tokens in ", split.documents,
                        " documents, its shards ", tokens, " in ", documents);
  return fields.problem();
}

Json ToJson(const Split& split) {
  Json shards = Json::array();
  for (const ShardInfo& shard : split.shards)
    shards.push_back({{"file", shard.file},
                      {"tokens", shard.tokens},
                      {"documents", shard.documents},
                      {"xxh3_64", shard.xxh3_64}});
  return {{"tokens", split.tokens},
          {"documents", split.documents},
          {"text_bytes", split.text_bytes},
          {"shards", std::move(shards)}};
}

// A table with one little-endian number for each token id.
template <typename T>
absl::StatusOr<std::vector<T>> LoadTable(const Dataset& dataset, const char* file) {
  const std::filesystem::path path = dataset.dir / file;
  auto bytes = base::ReadFile(path);
  if (!bytes.ok()) return bytes.status();
  const size_t wanted = static_cast<size_t>(dataset.vocab_size) * sizeof(T);
  if (bytes->size() != wanted)
    return absl::DataLossError(absl::StrCat(path.string(), " has ", bytes->size(), " bytes and should have ",
                                            wanted, ": delete ", dataset.dir.string(),
                                            " and prepare the data again"));
  std::vector<T> table(static_cast<size_t>(dataset.vocab_size));
  std::memcpy(table.data(), bytes->data(), wanted);
  return table;
}

template <typename T>
absl::Status SaveTable(const std::filesystem::path& path, const std::vector<T>& table) {
  return base::WriteFileDurably(
      path, std::string_view(reinterpret_cast<const char*>(table.data()), table.size() * sizeof(T)));
}

}  // namespace

absl::StatusOr<Dataset> Dataset::Load(const std::filesystem::path& dir) {
  const std::filesystem::path path = dir / kDatasetFile;
  auto text = base::ReadFile(path);
  if (!text.ok()) return text.status();
  const auto broken = [&](const std::string& what) {
    return absl::DataLossError(
        absl::StrCat(path.string(), ": ", what, "; delete ", dir.string(), " and prepare the data again"));
  };
  const Json json = Json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return broken("is not a JSON object");

  Dataset dataset;
  dataset.dir = dir;
  Fields fields(json, "");
  uint64_t version = 0;
  fields.Take("format_version", version);
  if (fields.problem().empty() && version != kFormatVersion)
    return broken(absl::StrCat("has format version ", version, ", this release reads ", kFormatVersion));
  fields.Take("vocab_size", dataset.vocab_size);
  fields.Take("pad_id", dataset.pad_id);
  fields.Take("eos_id", dataset.eos_id);
  fields.Take("unk_id", dataset.unk_id);
  fields.Take("duplicates_removed", dataset.duplicates_removed);
  fields.Take("invalid_utf8_replaced", dataset.invalid_utf8_replaced);
  for (const Json& entry : fields.List("sources")) {
    Source source;
    Fields source_fields(entry, absl::StrCat("sources[", dataset.sources.size(), "]."));
    source_fields.Take("path", source.path);
    source_fields.Take("bytes", source.bytes);
    if (!source_fields.problem().empty()) return broken(source_fields.problem());
    dataset.sources.push_back(std::move(source));
  }
  const Json& train = fields.Object("train");
  const Json& validation = fields.Object("validation");
  if (!fields.problem().empty()) return broken(fields.problem());
  if (std::string problem = ReadSplit(train, "train", dataset.train); !problem.empty())
    return broken(problem);
  if (std::string problem = ReadSplit(validation, "validation", dataset.validation); !problem.empty())
    return broken(problem);
  if (dataset.vocab_size <= 0 || dataset.eos_id < 0 || dataset.eos_id >= dataset.vocab_size ||
      dataset.pad_id >= dataset.vocab_size)
    return broken(absl::StrCat("vocab_size ", dataset.vocab_size, " does not hold eos_id ", dataset.eos_id,
                               " and pad_id ", dataset.pad_id));
  return dataset;
}

absl::Status Dataset::Save(const std::filesystem::path& folder) const {
  Json listed = Json::array();
  for (const Source& source : sources) listed.push_back({{"path", source.path}, {"bytes", source.bytes}});
  const Json json = {{"format_version", format_version},
                     {"vocab_size", vocab_size},
                     {"pad_id", pad_id},
                     {"eos_id", eos_id},
                     {"unk_id", unk_id},
                     {"train", ToJson(train)},
                     {"validation", ToJson(validation)},
                     {"duplicates_removed", duplicates_removed},
                     {"invalid_utf8_replaced", invalid_utf8_replaced},
                     {"sources", std::move(listed)}};
  // A path need not be UTF-8; JSON must be.
  return base::WriteFileDurably(folder / kDatasetFile,
                                absl::StrCat(json.dump(2, ' ', false, Json::error_handler_t::replace), "\n"));
}

absl::StatusOr<std::vector<uint64_t>> LoadUnigram(const Dataset& dataset) {
  return LoadTable<uint64_t>(dataset, kUnigramFile);
}

absl::StatusOr<std::vector<uint16_t>> LoadTokenBytes(const Dataset& dataset) {
  return LoadTable<uint16_t>(dataset, kTokenBytesFile);
}

absl::Status SaveUnigram(const std::filesystem::path& dir, const std::vector<uint64_t>& counts) {
  return SaveTable(dir / kUnigramFile, counts);
}

absl::Status SaveTokenBytes(const std::filesystem::path& dir, const std::vector<uint16_t>& bytes) {
  return SaveTable(dir / kTokenBytesFile, bytes);
}

}  // namespace mixln::worker::shards
