// Reads what we need of a SentencePiece model file without SentencePiece.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace mixln::worker::prepare {

// The number of pieces in a model file (a serialized sentencepiece.ModelProto, whose field 1 repeats the
// pieces). FAILED_PRECONDITION, naming the file, when it cannot be read or is none.
absl::StatusOr<int32_t> CountPieces(const std::string& path);

}  // namespace mixln::worker::prepare
