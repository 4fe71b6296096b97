// Which documents are held out for validation: a function of the document's own text and the fraction, so
// that adding, removing or reordering other documents moves none. Only where chance would leave a side empty
// does one document move.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

namespace mixln::worker::tokenize {

// XXH3-128 of a document's text.
struct DocumentHash {
  uint64_t high = 0;
  uint64_t low = 0;
  auto operator<=>(const DocumentHash&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const DocumentHash& hash) {
    return H::combine(std::move(state), hash.low);
  }
};
DocumentHash HashDocument(std::string_view text);

// What one pass over the documents has seen.
struct SeenDocuments {
  uint64_t train = 0;
  uint64_t validation = 0;
  DocumentHash least{UINT64_MAX, UINT64_MAX};
  DocumentHash greatest;
};

class SplitRule {
 public:
  // `validation_fraction` in (0, 0.5].
  explicit SplitRule(double validation_fraction);

  bool IsValidation(const DocumentHash& hash) const;
  // As IsValidation, and counts the document.
  bool Assign(const DocumentHash& hash, SeenDocuments& seen) const;

  // When a pass left one side without a document though there were two different ones: moves the document
  // with the least hash to validation, or that with the greatest to training, and returns true: the pass has
  // to be repeated.
  bool Repair(const SeenDocuments& seen);

 private:
  uint64_t threshold_;
  std::optional<DocumentHash> to_validation_;
  std::optional<DocumentHash> to_train_;
};

}  // namespace mixln::worker::tokenize
