#include "worker/trainer/kernels/pack.h"

#include <bit>
#include <cstring>

namespace mixln::worker::trainer::kernels {
namespace {

// Eight words, and a block of eight rows of them.
using Words = uint32_t __attribute__((vector_size(32)));
using UnalignedWords = uint32_t __attribute__((vector_size(32), aligned(4), may_alias));
constexpr int64_t kBlock = 8;

MIXLN_INLINE void LoadWords(const uint32_t* from, Words& to) {
  to = *reinterpret_cast<const UnalignedWords*>(from);
}
MIXLN_INLINE void StoreWords(const Words& from, uint32_t* to) {
  *reinterpret_cast<UnalignedWords*>(to) = from;
}

// Transposes an 8 × 8 block: in pairs, in fours, and across the halves of a register.
MIXLN_INLINE void Transpose(Words (&row)[kBlock]) {
  Words pair[kBlock];
  for (int i = 0; i < 8; i += 2) {
    pair[i] = __builtin_shufflevector(row[i], row[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    pair[i + 1] = __builtin_shufflevector(row[i], row[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  Words four[kBlock];
  for (int i = 0; i < 8; i += 4) {
    for (int j = 0; j < 2; ++j) {
      four[i + 2 * j] = __builtin_shufflevector(pair[i + j], pair[i + 2 + j], 0, 1, 8, 9, 4, 5, 12, 13);
      four[i + 2 * j + 1] = __builtin_shufflevector(pair[i + j], pair[i + 2 + j], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  }
  for (int i = 0; i < 4; ++i) {
    row[i] = __builtin_shufflevector(four[i], four[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    row[i + 4] = __builtin_shufflevector(four[i], four[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
}

// Eight bf16 as words, each in the lower half of one.
MIXLN_INLINE void LoadHalves(const uint16_t* from, Words& to) {
  using Halves = uint16_t __attribute__((vector_size(16)));
  using UnalignedHalves = uint16_t __attribute__((vector_size(16), aligned(2), may_alias));
  const Halves halves = *reinterpret_cast<const UnalignedHalves*>(from);
  to = __builtin_convertvector(halves, Words);
}

MIXLN_INLINE uint32_t Bits(const float* from) {
  return std::bit_cast<uint32_t>(*from);
}
MIXLN_INLINE uint32_t Bits(const WidenedBf16* from) {
  return static_cast<uint32_t>(from->bits) << 16;
}

MIXLN_INLINE uint32_t Pair(Bf16 low, Bf16 high) {
  return static_cast<uint32_t>(low.bits) | static_cast<uint32_t>(high.bits) << 16;
}

// Word `word` of `columns` columns of a matrix stored row by row.
MIXLN_INLINE void WordRow(const float* from, int64_t stride, int64_t /*depth*/, int64_t word, int64_t columns,
                          uint32_t* __restrict__ to) {
  std::memcpy(to, from + word * stride, static_cast<size_t>(columns) * sizeof(float));
}
MIXLN_INLINE void WordRow(const Bf16* from, int64_t stride, int64_t depth, int64_t word, int64_t columns,
                          uint32_t* __restrict__ to) {
  const Bf16* __restrict__ low = from + 2 * word * stride;
  if (2 * word + 1 == depth) {
    for (int64_t c = 0; c < columns; ++c) to[c] = low[c].bits;
    return;
  }
  const Bf16* __restrict__ high = low + stride;
  for (int64_t c = 0; c < columns; ++c) to[c] = Pair(low[c], high[c]);
}

MIXLN_INLINE void WordRow(const WidenedBf16* from, int64_t stride, int64_t /*depth*/, int64_t word,
                          int64_t columns, uint32_t* __restrict__ to) {
  const WidenedBf16* __restrict__ row = from + word * stride;
  for (int64_t c = 0; c < columns; ++c) to[c] = Bits(row + c);
}

template <typename T>
MIXLN_INLINE void Rows(const T* from, int64_t stride, int64_t depth, int64_t columns, uint32_t* to,
                       int64_t to_stride) {
  for (int64_t word = 0; word < WordsOf(depth, from); ++word)
    WordRow(from, stride, depth, word, columns, to + word * to_stride);
}

// Word `word` of a row of `depth` elements.
MIXLN_INLINE uint32_t WordOf(const float* row, int64_t /*depth*/, int64_t word) {
  return Bits(row + word);
}
MIXLN_INLINE uint32_t WordOf(const Bf16* row, int64_t depth, int64_t word) {
  return 2 * word + 1 == depth ? row[2 * word].bits : Pair(row[2 * word], row[2 * word + 1]);
}
MIXLN_INLINE uint32_t WordOf(const WidenedBf16* row, int64_t /*depth*/, int64_t word) {
  return Bits(row + word);
}

// Words that are not padded.
MIXLN_INLINE int64_t CompleteWords(int64_t depth, const float*) {
  return depth;
}
MIXLN_INLINE int64_t CompleteWords(int64_t depth, const Bf16*) {
  return depth / 2;
}
MIXLN_INLINE int64_t CompleteWords(int64_t depth, const WidenedBf16*) {
  return depth;
}

// Eight words of a row from `word` on.
MIXLN_INLINE void WordsOfRow(const float* row, int64_t word, Words& to) {
  LoadWords(reinterpret_cast<const uint32_t*>(row + word), to);
}
MIXLN_INLINE void WordsOfRow(const Bf16* row, int64_t word, Words& to) {
  LoadWords(reinterpret_cast<const uint32_t*>(row + 2 * word), to);
}
MIXLN_INLINE void WordsOfRow(const WidenedBf16* row, int64_t word, Words& to) {
  LoadHalves(&row[word].bits, to);
  to <<= 16;
}

template <typename T>
MIXLN_INLINE void Columns(const T* from, int64_t stride, int64_t depth, int64_t columns, uint32_t* to,
                          int64_t to_stride) {
  const int64_t words = WordsOf(depth, from);
  const int64_t whole = CompleteWords(depth, from) / kBlock * kBlock;
  int64_t column = 0;
  for (; column + kBlock <= columns; column += kBlock) {
    for (int64_t word = 0; word < whole; word += kBlock) {
      Words block[kBlock];
      for (int64_t i = 0; i < kBlock; ++i) WordsOfRow(from + (column + i) * stride, word, block[i]);
      Transpose(block);
      for (int64_t i = 0; i < kBlock; ++i) StoreWords(block[i], to + (word + i) * to_stride + column);
    }
    for (int64_t word = whole; word < words; ++word) {
      for (int64_t i = column; i < column + kBlock; ++i)
        to[word * to_stride + i] = WordOf(from + i * stride, depth, word);
    }
  }
  for (; column < columns; ++column) {
    for (int64_t word = 0; word < words; ++word)
      to[word * to_stride + column] = WordOf(from + column * stride, depth, word);
  }
}

// Word `word` of eight columns.
MIXLN_INLINE void EightWords(const float* from, int64_t stride, int64_t word, Words& to) {
  LoadWords(reinterpret_cast<const uint32_t*>(from + word * stride), to);
}
MIXLN_INLINE void EightWords(const Bf16* from, int64_t stride, int64_t word, Words& to) {
  Words high;
  LoadHalves(&from[2 * word * stride].bits, to);
  LoadHalves(&from[(2 * word + 1) * stride].bits, high);
  to |= high << 16;
}
MIXLN_INLINE void EightWords(const WidenedBf16* from, int64_t stride, int64_t word, Words& to) {
  LoadHalves(&from[word * stride].bits, to);
  to <<= 16;
}

template <typename T>
MIXLN_INLINE void Left(const T* from, int64_t stride, int64_t rows, int64_t depth, uint32_t* to,
                       int64_t to_stride) {
  constexpr int64_t kLine = 16;  // words of a cache line: written at once
  const int64_t words = WordsOf(depth, from);
  const int64_t whole = CompleteWords(depth, from) / kLine * kLine;
  const int64_t whole_rows = rows / kBlock * kBlock;
  for (int64_t word = 0; word < whole; word += kLine) {
    for (int64_t row = 0; row < whole_rows; row += kBlock) {
      Words low[kBlock];
      Words high[kBlock];
      for (int64_t i = 0; i < kBlock; ++i) {
        EightWords(from + row, stride, word + i, low[i]);
        EightWords(from + row, stride, word + kBlock + i, high[i]);
      }
      Transpose(low);
      Transpose(high);
      for (int64_t i = 0; i < kBlock; ++i) {
        StoreWords(low[i], to + (row + i) * to_stride + word);
        StoreWords(high[i], to + (row + i) * to_stride + word + kBlock);
      }
    }
  }
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t word = row < whole_rows ? whole : 0; word < words; ++word)
      WordRow(from + row, stride, depth, word, 1, to + row * to_stride + word);
  }
}

// A row as it is.
template <typename T>
MIXLN_INLINE void CopyRow(const T* row, int64_t depth, uint32_t* to) {
  std::memcpy(to, row, static_cast<size_t>(depth) * sizeof(T));
}
MIXLN_INLINE void CopyRow(const WidenedBf16* row, int64_t depth, uint32_t* __restrict__ to) {
  for (int64_t word = 0; word < depth; ++word) to[word] = Bits(row + word);
}

template <typename T>
MIXLN_INLINE void Copy(const T* from, int64_t stride, int64_t rows, int64_t depth, uint32_t* to,
                       int64_t to_stride) {
  const int64_t words = WordsOf(depth, from);
  for (int64_t row = 0; row < rows; ++row) {
    to[row * to_stride + words - 1] = 0;
    CopyRow(from + row * stride, depth, to + row * to_stride);
  }
}

}  // namespace

MIXLN_CLONES void PackRows(const float* from, int64_t from_stride, int64_t depth, int64_t columns,
                           uint32_t* to, int64_t to_stride) {
  Rows(from, from_stride, depth, columns, to, to_stride);
}
MIXLN_CLONES void PackRows(const Bf16* from, int64_t from_stride, int64_t depth, int64_t columns,
                           uint32_t* to, int64_t to_stride) {
  Rows(from, from_stride, depth, columns, to, to_stride);
}
MIXLN_CLONES void PackRows(const WidenedBf16* from, int64_t from_stride, int64_t depth, int64_t columns,
                           uint32_t* to, int64_t to_stride) {
  Rows(from, from_stride, depth, columns, to, to_stride);
}
MIXLN_CLONES void PackColumns(const float* from, int64_t from_stride, int64_t depth, int64_t columns,
                              uint32_t* to, int64_t to_stride) {
  Columns(from, from_stride, depth, columns, to, to_stride);
}
MIXLN_CLONES void PackColumns(const Bf16* from, int64_t from_stride, int64_t depth, int64_t columns,
                              uint32_t* to, int64_t to_stride) {
  Columns(from, from_stride, depth, columns, to, to_stride);
}
MIXLN_CLONES void PackColumns(const WidenedBf16* from, int64_t from_stride, int64_t depth, int64_t columns,
                              uint32_t* to, int64_t to_stride) {
  Columns(from, from_stride, depth, columns, to, to_stride);
}
MIXLN_CLONES void PackLeft(const float* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
                           int64_t to_stride) {
  Left(from, from_stride, rows, depth, to, to_stride);
}
MIXLN_CLONES void PackLeft(const Bf16* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
                           int64_t to_stride) {
  Left(from, from_stride, rows, depth, to, to_stride);
}
MIXLN_CLONES void PackLeft(const WidenedBf16* from, int64_t from_stride, int64_t rows, int64_t depth,
                           uint32_t* to, int64_t to_stride) {
  Left(from, from_stride, rows, depth, to, to_stride);
}

void CopyRows(const float* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride) {
  Copy(from, from_stride, rows, depth, to, to_stride);
}
void CopyRows(const Bf16* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride) {
  Copy(from, from_stride, rows, depth, to, to_stride);
}
MIXLN_CLONES void CopyRows(const WidenedBf16* from, int64_t from_stride, int64_t rows, int64_t depth,
                           uint32_t* to, int64_t to_stride) {
  Copy(from, from_stride, rows, depth, to, to_stride);
}

MIXLN_CLONES void AddTransposed(const float* from, int64_t from_stride, int64_t rows, int64_t columns,
                                float* to, int64_t to_stride) {
  using Floats = float __attribute__((vector_size(32)));
  const int64_t whole_rows = rows / kBlock * kBlock;
  const int64_t whole_columns = columns / kBlock * kBlock;
  for (int64_t column = 0; column < whole_columns; column += kBlock) {
    for (int64_t row = 0; row < whole_rows; row += kBlock) {
      Words block[kBlock];
      for (int64_t i = 0; i < kBlock; ++i)
        LoadWords(reinterpret_cast<const uint32_t*>(from + (row + i) * from_stride + column), block[i]);
      Transpose(block);
      for (int64_t i = 0; i < kBlock; ++i) {
        auto* target = reinterpret_cast<uint32_t*>(to + (column + i) * to_stride + row);
        Words before;
        LoadWords(target, before);
        StoreWords((Words)((Floats)before + (Floats)block[i]), target);
      }
    }
  }
  for (int64_t column = 0; column < columns; ++column) {
    for (int64_t row = column < whole_columns ? whole_rows : 0; row < rows; ++row)
      to[column * to_stride + row] += from[row * from_stride + column];
  }
}

}  // namespace mixln::worker::trainer::kernels
