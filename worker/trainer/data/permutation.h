// A shuffle without a list: a keyed bijection of [0, n), evaluated one element at a time. An epoch's order
// over a billion windows needs no memory, and a resume needs no replay.
#pragma once

#include <cstdint>

namespace mixln::worker::trainer::data {

// Well-mixed 64 bits of two numbers (the finalizer of splitmix64, Steele et al. 2014, applied to each in
// turn).
uint64_t Mix(uint64_t a, uint64_t b);

// The image of `index` < `size` under the bijection of [0, size) that `key` selects: a Feistel network over
// the next even number of bits, walked until it lands below `size` (Black and Rogaway 2002, "cycle-walking").
// At most 4 steps on average.
uint64_t Permute(uint64_t key, uint64_t size, uint64_t index);

}  // namespace mixln::worker::trainer::data
