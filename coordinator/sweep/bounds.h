// Upper bounds that keep a spec, however hostile, from exhausting memory or overflowing a count. Far above
// what anyone trains today; raising one is safe as long as sizes below still fit 64 bits: ParameterCount is
// at most kMaxLayers * 7 * kMaxChannels^2 + 2 * kMaxChannels * kMaxVocabulary < 2^58.
#pragma once

#include <cstdint>

namespace mixln::coordinator::sweep {

inline constexpr int kMaxLayers = 10'000;
inline constexpr int kMaxChannels = 1 << 20;    // hidden and intermediate size
inline constexpr int kMaxVocabulary = 1 << 24;  // token ids
inline constexpr int kMaxContext = 1 << 24;     // tokens in a window
inline constexpr int kMaxSequences = 1 << 24;   // windows in the global batch
inline constexpr int kMaxRanks = 1 << 16;
inline constexpr int64_t kMaxSteps = 1'000'000'000'000;

inline constexpr int64_t kLargeGrid = 10'000;   // cells above which a user must say --allow-large
inline constexpr int64_t kMaxGrid = 1'000'000;  // cells that are never exceeded
inline constexpr int64_t kMaxGridBytes = int64_t{4}
                                         << 30;  // memory of all cells, as estimated before expanding

}  // namespace mixln::coordinator::sweep
