// Which rows of a global batch, or of an evaluation, a rank computes.
#pragma once

#include <cstdint>

namespace mixln::worker::trainer::data {

// Consecutive rows.
struct Share {
  int64_t begin = 0;
  int64_t rows = 0;
  bool operator==(const Share&) const = default;
};

// The share of `rank` of `world_size` in `rows`: in the order of ranks, their sizes differing by one at most,
// the larger ones first.
Share ShareOf(int64_t rows, int32_t rank, int32_t world_size);

// Micro-batches of at most `micro_rows` (0: any number) in which every rank gets through its share: the same
// number on all, so that some may be empty on some.
int64_t MicroBatches(int64_t rows, int32_t world_size, int64_t micro_rows);

// Micro-batch `index` of a share: the rows that are left for it, perhaps none.
Share MicroBatch(const Share& share, int64_t index, int64_t micro_rows);

}  // namespace mixln::worker::trainer::data
