#include "worker/tokenize/split_rule.h"

#include <xxhash.h>

#include <algorithm>
#include <cmath>

namespace mixln::worker::tokenize {

DocumentHash HashDocument(std::string_view text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return {hash.high64, hash.low64};
}

SplitRule::SplitRule(double validation_fraction)
    : threshold_(static_cast<uint64_t>(std::ldexp(validation_fraction, 64))) {}

bool SplitRule::IsValidation(const DocumentHash& hash) const {
  if (hash == to_train_) return false;
  return hash.high < threshold_ || hash == to_validation_;
}

bool SplitRule::Assign(const DocumentHash& hash, SeenDocuments& seen) const {
  seen.least = std::min(seen.least, hash);
  seen.greatest = std::max(seen.greatest, hash);
  const bool validation = IsValidation(hash);
  ++(validation ? seen.validation : seen.train);
  return validation;
}

bool SplitRule::Repair(const SeenDocuments& seen) {
  if (seen.least >= seen.greatest) return false;
  if (seen.validation == 0) {
    to_validation_ = seen.least;
    return true;
  }
  if (seen.train == 0) {
    to_train_ = seen.greatest;
    return true;
  }
  return false;
}

}  // namespace mixln::worker::tokenize
