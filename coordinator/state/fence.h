// Fences as values: comparable, and as the text that names folders and log lines.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "mixln/v1/trial.pb.h"

namespace mixln::coordinator::state {

// (term, epoch): orders attempts by age.
using FenceKey = std::pair<uint64_t, uint64_t>;

inline FenceKey KeyOf(const v1::Fence& fence) {
  return {fence.term(), fence.epoch()};
}

inline bool SameFence(const v1::Fence& a, const v1::Fence& b) {
  return KeyOf(a) == KeyOf(b);
}

// "<term>-<epoch>", the name of an attempt's folder.
inline std::string FenceName(const v1::Fence& fence) {
  return absl::StrCat(fence.term(), "-", fence.epoch());
}

}  // namespace mixln::coordinator::state
