// A SentencePiece model as other tokenizers must know it. Read by hand from protobuf's wire format, as the
// fields of sentencepiece_model.proto are numbered: LibTorch's process can hold neither libsentencepiece nor
// libprotobuf, which export the symbols of another protobuf.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/trainer/huggingface/model_config.h"

namespace mixln::worker::trainer::huggingface {

struct Piece {
  enum Type { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };
  std::string text;
  float score = 0;  // log probability
  int64_t type = kNormal;
};

struct SentencePieceModel {
  enum Algorithm { kUnigram = 1, kBpe = 2 };
  std::vector<Piece> pieces;  // by id
  int64_t algorithm = kUnigram;
  bool byte_fallback = false;
  std::string precompiled_charsmap;  // of the normalization; empty: none
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  SpecialTokens tokens;
};

// Throws error::InputOutputError, beginning with `path`, when it is no such model.
SentencePieceModel ParseSentencePieceModel(std::string_view bytes, const std::string& path);

// tokenizer.json of Hugging Face's tokenizers, which cuts text into the same pieces. Empty for algorithms but
// unigram, whose tokenizer.model transformers must convert itself.
std::string ToTokenizerJson(const SentencePieceModel& model);

// tokenizer_config.json.
std::string ToTokenizerConfigJson(const SentencePieceModel& model, int64_t context);

}  // namespace mixln::worker::trainer::huggingface
