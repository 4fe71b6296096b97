#include "worker/trainer/data/share.h"

#include <algorithm>

namespace mixln::worker::trainer::data {

Share ShareOf(int64_t rows, int32_t rank, int32_t world_size) {
  const int64_t least = rows / world_size;
  const int64_t larger = rows % world_size;
  return {rank * least + std::min<int64_t>(rank, larger), least + (rank < larger ? 1 : 0)};
}

int64_t MicroBatches(int64_t rows, int32_t world_size, int64_t micro_rows) {
  const int64_t largest = ShareOf(rows, 0, world_size).rows;
  return micro_rows == 0 ? 1 : std::max<int64_t>((largest + micro_rows - 1) / micro_rows, 1);
}

Share MicroBatch(const Share& share, int64_t index, int64_t micro_rows) {
  if (micro_rows == 0) return share;
  const int64_t begin = std::min(index * micro_rows, share.rows);
  return {share.begin + begin, std::min(micro_rows, share.rows - begin)};
}

}  // namespace mixln::worker::trainer::data
