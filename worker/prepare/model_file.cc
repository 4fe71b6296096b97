#include "worker/prepare/model_file.h"

#include <google/protobuf/unknown_field_set.h>

#include "absl/strings/str_cat.h"
#include "base/file/durable.h"

namespace mixln::worker::prepare {
namespace {

using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

constexpr int kPiecesField = 1;     // ModelProto.pieces
constexpr int kPieceTextField = 1;  // ModelProto.SentencePiece.piece

bool IsPiece(const UnknownField& field) {
  UnknownFieldSet piece;
  if (field.number() != kPiecesField || field.type() != UnknownField::TYPE_LENGTH_DELIMITED) return false;
  return piece.ParseFromString(field.length_delimited()) && !piece.empty() &&
         piece.field(0).number() == kPieceTextField;
}

}  // namespace

absl::StatusOr<int32_t> CountPieces(const std::string& path) {
  const auto bytes = base::ReadFile(path);
  if (!bytes.ok())
    return absl::FailedPreconditionError(absl::StrCat("tokenizer: ", std::string(bytes.status().message())));
  UnknownFieldSet model;
  int32_t pieces = 0;
  const bool parsed = model.ParseFromString(*bytes);
  for (int i = 0; parsed && i < model.field_count(); ++i) pieces += IsPiece(model.field(i)) ? 1 : 0;
  if (pieces == 0)
    return absl::FailedPreconditionError(
        absl::StrCat("tokenizer: ", path,
                     " is not a SentencePiece model; give one (T5's spiece.model, say) or train one"));
  return pieces;
}

}  // namespace mixln::worker::prepare
