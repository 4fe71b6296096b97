#include "worker/trainer/huggingface/sentencepiece_model.h"

#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::huggingface {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kSpace[] = "\xE2\x96\x81";  // U+2581, SentencePiece's mark for a space

// One field of a message: `number` for integers, `bytes` for the rest.
struct Field {
  uint64_t id = 0;
  int64_t number = 0;
  std::string_view bytes;
};

struct Malformed {};

uint64_t TakeVarint(std::string_view& rest) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (rest.empty()) throw Malformed();
    const auto byte = static_cast<uint8_t>(rest.front());
    rest.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  throw Malformed();
}

std::string_view TakeBytes(std::string_view& rest, uint64_t count) {
  if (count > rest.size()) throw Malformed();
  const std::string_view taken = rest.substr(0, count);
  rest.remove_prefix(count);
  return taken;
}

void ForEachField(std::string_view message, const std::function<void(const Field&)>& visit) {
  while (!message.empty()) {
    const uint64_t key = TakeVarint(message);
    Field field{.id = key >> 3, .number = 0, .bytes = {}};
    switch (key & 7) {
      case 0: field.number = static_cast<int64_t>(TakeVarint(message)); break;
      case 1: field.bytes = TakeBytes(message, 8); break;
      case 2: field.bytes = TakeBytes(message, TakeVarint(message)); break;
      case 5: field.bytes = TakeBytes(message, 4); break;
      default: throw Malformed();
    }
    visit(field);
  }
}

Piece ParsePiece(std::string_view message) {
  Piece piece;
  ForEachField(message, [&](const Field& field) {
    if (field.id == 1) piece.text = field.bytes;
    if (field.id == 2 && field.bytes.size() == sizeof piece.score) {
      std::memcpy(&piece.score, field.bytes.data(), sizeof piece.score);
    }
    if (field.id == 3) piece.type = field.number;
  });
  return piece;
}

void ParseTraining(std::string_view message, SentencePieceModel& model) {
  int64_t unk = 0, bos = 1, eos = 2, pad = -1;
  ForEachField(message, [&](const Field& field) {
    if (field.id == 3) model.algorithm = field.number;
    if (field.id == 35) model.byte_fallback = field.number != 0;
    if (field.id == 40) unk = field.number;
    if (field.id == 41) bos = field.number;
    if (field.id == 42) eos = field.number;
    if (field.id == 43) pad = field.number;
  });
  const auto known = [&](int64_t id) {
    return id >= 0 && id < static_cast<int64_t>(model.pieces.size()) ? std::optional(id) : std::nullopt;
  };
  model.tokens = {.bos = known(bos), .eos = known(eos), .pad = known(pad), .unk = known(unk)};
}

void ParseNormalization(std::string_view message, SentencePieceModel& model) {
  ForEachField(message, [&](const Field& field) {
    if (field.id == 2) model.precompiled_charsmap = field.bytes;
    if (field.id == 3) model.add_dummy_prefix = field.number != 0;
    if (field.id == 4) model.remove_extra_whitespaces = field.number != 0;
  });
}

Json Replace(const Json& pattern, const char* content) {
  return {{"type", "Replace"}, {"pattern", pattern}, {"content", content}};
}

Json Normalizer(const SentencePieceModel& model) {
  Json steps = Json::array();
  if (!model.precompiled_charsmap.empty()) {
    steps.push_back(
        {{"type", "Precompiled"}, {"precompiled_charsmap", absl::Base64Escape(model.precompiled_charsmap)}});
  }
  if (model.remove_extra_whitespaces) {
    steps.push_back({{"type", "Strip"}, {"strip_left", true}, {"strip_right", true}});
    steps.push_back(Replace({{"Regex", " {2,}"}}, " "));
  }
  if (model.add_dummy_prefix) steps.push_back({{"type", "Prepend"}, {"prepend", kSpace}});
  steps.push_back(Replace({{"String", " "}}, kSpace));
  return {{"type", "Sequence"}, {"normalizers", steps}};
}

Json Decoder(const SentencePieceModel& model) {
  Json steps = {Replace({{"String", kSpace}}, " "), {{"type", "ByteFallback"}}, {{"type", "Fuse"}}};
  if (model.add_dummy_prefix) {
    steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  }
  return {{"type", "Sequence"}, {"decoders", steps}};
}

}  // namespace

SentencePieceModel ParseSentencePieceModel(std::string_view bytes, const std::string& path) {
  try {
    SentencePieceModel model;
    ForEachField(bytes, [&](const Field& field) {
      if (field.id == 1) model.pieces.push_back(ParsePiece(field.bytes));
    });
    // The rest speaks of the pieces.
    ForEachField(bytes, [&](const Field& field) {
      if (field.id == 2) ParseTraining(field.bytes, model);
      if (field.id == 3) ParseNormalization(field.bytes, model);
    });
    if (model.pieces.empty()) throw Malformed();
    return model;
  } catch (const Malformed&) {
    throw error::InputOutputError(path + ": is no SentencePiece model, or was cut off");
  }
}

std::string ToTokenizerJson(const SentencePieceModel& model) {
  if (model.algorithm != SentencePieceModel::kUnigram) return "";
  Json vocab = Json::array();
  Json added = Json::array();
  for (const Piece& piece : model.pieces) {
    const auto id = static_cast<int64_t>(vocab.size());
    vocab.push_back({piece.text, piece.score});
    const bool special = piece.type == Piece::kControl || piece.type == Piece::kUnknown;
    if (!special && piece.type != Piece::kUserDefined) continue;
    added.push_back({{"id", id},
                     {"content", piece.text},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", special}});
  }
  const Json json = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", added},
                     {"normalizer", Normalizer(model)},
                     {"pre_tokenizer", nullptr},
                     {"post_processor", nullptr},
                     {"decoder", Decoder(model)},
                     {"model",
                      {{"type", "Unigram"},
                       {"unk_id", model.tokens.unk ? Json(*model.tokens.unk) : Json(nullptr)},
                       {"vocab", vocab},
                       {"byte_fallback", model.byte_fallback}}}};
  return json.dump() + "\n";
}

std::string ToTokenizerConfigJson(const SentencePieceModel& model, int64_t context) {
  const bool unigram = model.algorithm == SentencePieceModel::kUnigram;
  Json json = {{"tokenizer_class", unigram ? "PreTrainedTokenizerFast" : "LlamaTokenizer"},
               {"model_max_length", context},
               {"clean_up_tokenization_spaces", false}};
  const auto name = [&](const char* key, const std::optional<int64_t>& id) {
    if (id) json[key] = model.pieces[static_cast<size_t>(*id)].text;
  };
  name("bos_token", model.tokens.bos);
  name("eos_token", model.tokens.eos);
  name("pad_token", model.tokens.pad);
  name("unk_token", model.tokens.unk);
  return json.dump(2) + "\n";
}

}  // namespace mixln::worker::trainer::huggingface
