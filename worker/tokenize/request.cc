#include "worker/tokenize/request.h"

#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace mixln::worker::tokenize {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kSplitPrefix = "DOCUMENT_SPLIT_";
// The bytes, pad, eos and unk.
constexpr int kLeastVocab = 256 + 3;

absl::Status Wrong(std::string_view field, std::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("data.", std::string(field), " must be ", std::string(wanted)));
}

absl::Status ReadTokenizer(const Json& json, Request& request) {
  if (!json.is_object()) return Wrong("tokenizer", "an object");
  for (const auto& [name, value] : json.items()) {
    if (name == "model") {
      if (!value.is_string()) return Wrong("tokenizer.model", "a path");
      request.tokenizer_model = value.get<std::string>();
    } else if (name == "train") {
      if (value.is_null()) continue;
      if (!value.is_object() || value.size() != 1 || !value.contains("vocab") ||
          !value["vocab"].is_number_integer())
        return Wrong("tokenizer.train", "{vocab: a whole number}");
      request.vocab = value["vocab"].get<int>();
    } else {
      return absl::InvalidArgumentError(absl::StrCat("data.tokenizer has an unknown field ", name));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<corpus::Split> ParseSplit(std::string_view name) {
  if (name == "file") return corpus::Split::kFile;
  if (name == "line") return corpus::Split::kLine;
  if (name == "paragraph") return corpus::Split::kParagraph;
  return Wrong("split", absl::StrCat("file, line or paragraph, not \"", std::string(name), "\""));
}

absl::StatusOr<Request> ParseRequest(std::string_view text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return absl::InvalidArgumentError("the request is not a JSON object");
  Request request;
  request.validation_fraction = 0;
  for (const auto& [name, value] : json.items()) {
    if (name == "source") {
      if (!value.is_array()) return Wrong("source", "a list of paths");
      for (const Json& path : value) {
        if (!path.is_string()) return Wrong("source", "a list of paths");
        request.source.push_back(path.get<std::string>());
      }
    } else if (name == "tokenizer") {
      if (auto status = ReadTokenizer(value, request); !status.ok()) return status;
    } else if (name == "validation_fraction") {
      if (!value.is_number()) return Wrong("validation_fraction", "a number");
      request.validation_fraction = value.get<double>();
    } else if (name == "split") {
      const std::string split = value.is_string() ? value.get<std::string>() : "";
      if (!split.starts_with(kSplitPrefix)) return Wrong("split", "DOCUMENT_SPLIT_FILE, _LINE or _PARAGRAPH");
      auto parsed = ParseSplit(absl::AsciiStrToLower(split.substr(kSplitPrefix.size())));
      if (!parsed.ok()) return parsed.status();
      request.split = *parsed;
    } else if (name != "reading" && name != "context") {  // these say how shards are read
      return absl::InvalidArgumentError(absl::StrCat("data has an unknown field ", name));
    }
  }
  if (!json.contains("split")) return Wrong("split", "given");
  if (auto status = Validate(request); !status.ok()) return status;
  return request;
}

absl::Status Validate(const Request& request) {
  if (request.source.empty()) return Wrong("source", "given: name at least one file");
  if (request.tokenizer_model.empty() == (request.vocab == 0))
    return Wrong("tokenizer", "either a model file or {train: {vocab}}, exactly one of them");
  if (request.vocab != 0 && request.vocab < kLeastVocab)
    return Wrong("tokenizer.train.vocab",
                 absl::StrCat("at least ", kLeastVocab,
                              ": 256 bytes, pad, eos and unk come before any word; it is ", request.vocab));
  if (!(request.validation_fraction > 0 && request.validation_fraction <= 0.5))
    return Wrong("validation_fraction",
                 absl::StrCat("above 0 and at most 0.5; it is ", request.validation_fraction));
  return absl::OkStatus();
}

}  // namespace mixln::worker::tokenize
