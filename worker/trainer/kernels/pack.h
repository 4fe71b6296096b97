#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// Copies of matrices in the order in which a block product reads them. Elements are handled in words of 32
// bits: one float, or two bf16 that follow each other along the depth of the product (the VNNI layout of
// x86's bf16 instructions). A bf16 that is widened is a float's word.
namespace mixln::worker::trainer::kernels {

// The words of a matrix along its depth: a bf16 matrix of odd depth is padded with a zero.
constexpr int64_t WordsOf(int64_t depth, const float*) {
  return depth;
}
constexpr int64_t WordsOf(int64_t depth, const Bf16*) {
  return (depth + 1) / 2;
}
constexpr int64_t WordsOf(int64_t depth, const WidenedBf16*) {
  return depth;
}

// to[word][column], for a matrix [depth, columns] stored row by row.
void PackRows(const float* from, int64_t from_stride, int64_t depth, int64_t columns, uint32_t* to,
              int64_t to_stride);
void PackRows(const Bf16* from, int64_t from_stride, int64_t depth, int64_t columns, uint32_t* to,
              int64_t to_stride);
void PackRows(const WidenedBf16* from, int64_t from_stride, int64_t depth, int64_t columns, uint32_t* to,
              int64_t to_stride);

// to[word][column], for a matrix [depth, columns] stored column by column: `from` is [columns, depth].
void PackColumns(const float* from, int64_t from_stride, int64_t depth, int64_t columns, uint32_t* to,
                 int64_t to_stride);
void PackColumns(const Bf16* from, int64_t from_stride, int64_t depth, int64_t columns, uint32_t* to,
                 int64_t to_stride);
void PackColumns(const WidenedBf16* from, int64_t from_stride, int64_t depth, int64_t columns, uint32_t* to,
                 int64_t to_stride);

// to[row][word], for a matrix [rows, depth] stored column by column: `from` is [depth, rows].
void PackLeft(const float* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride);
void PackLeft(const Bf16* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride);
void PackLeft(const WidenedBf16* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride);

// The same for a matrix stored row by row: to[row] is the row, padded.
void CopyRows(const float* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride);
void CopyRows(const Bf16* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride);
void CopyRows(const WidenedBf16* from, int64_t from_stride, int64_t rows, int64_t depth, uint32_t* to,
              int64_t to_stride);

// to[column][row] += from[row][column], of [rows, columns].
void AddTransposed(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
                   int64_t to_stride);

}  // namespace mixln::worker::trainer::kernels
