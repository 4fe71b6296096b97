#include "worker/trainer/gemm/weight_gradient.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <type_traits>

#include "worker/trainer/gemm/block.h"
#include "worker/trainer/gemm/element.h"
#include "worker/trainer/gemm/operand.h"
#include "worker/trainer/gemm/product.h"
#include "worker/trainer/kernels/pack.h"
#include "worker/trainer/kernels/scratch.h"

namespace mixln::worker::trainer::gemm {
namespace {

constexpr int64_t kRows = 48;     // of a block: of the narrower operand's columns
constexpr int64_t kColumns = 64;  // of a block: of the wider operand's columns
constexpr int64_t kPacked = 16;   // of the narrower operand's columns that are transposed at once

// result += narrowᵀ·wide, or the transpose of that; what the operands are made of: see operand.h.
template <typename Narrow, typename Wide>
class Sum {
 public:
  Sum(const at::Tensor& narrow, const at::Tensor& wide, const at::Tensor& result, bool transposed)
      : narrow_(narrow),
        wide_(wide),
        result_(result),
        transposed_(transposed),
        words_(kernels::WordsOf(narrow.size(0), static_cast<const Narrow*>(nullptr))),
        row_words_(RowWords(words_)),
        rows_(at::empty({narrow.size(1) * row_words_}, narrow.options().dtype(at::kInt))) {}

  void Run() const {
    TransposeNarrow();
    const int64_t down = Pieces(narrow_.size(1), kRows);
    at::parallel_for(0, down * Pieces(wide_.size(1), kColumns), 1, [&](int64_t begin, int64_t end) {
      thread_local kernels::Scratch<uint32_t> scratch;
      uint32_t* packed = scratch.Room(words_ * kColumns);
      for (int64_t block = begin; block < end; ++block) {
        const int64_t column = block / down * kColumns;
        const int64_t columns = std::min(kColumns, wide_.size(1) - column);
        if (block == begin || block % down == 0) {
          kernels::PackRows(Data<Wide>(wide_) + column, wide_.stride(0), wide_.size(0), columns, packed,
                            columns);
        }
        Block(block % down * kRows, packed, column, columns);
      }
      EndBlockProducts();
    });
  }

 private:
  using Element = typename Multiplied<Narrow>::Element;
  static_assert(std::is_same_v<Element, typename Multiplied<Wide>::Element>);
  static constexpr int64_t kDepth = Multiplied<Narrow>::kDepth;
  static constexpr int64_t kElements = kElementsOfWord<Element>;

  uint32_t* Rows(int64_t first) const {
    return reinterpret_cast<uint32_t*>(rows_.template data_ptr<int32_t>()) + first * row_words_;
  }

  void TransposeNarrow() const {
    const int64_t all = narrow_.size(1);
    at::parallel_for(0, Pieces(all, kPacked), 1, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kPacked;
      kernels::PackLeft(Data<Narrow>(narrow_) + first, narrow_.stride(0),
                        std::min(all, end * kPacked) - first, narrow_.size(0), Rows(first), row_words_);
    });
  }

  void Block(int64_t row, const uint32_t* packed, int64_t column, int64_t columns) const {
    const int64_t rows = std::min(kRows, narrow_.size(1) - row);
    const int64_t stride = result_.stride(0);
    float* result = result_.template data_ptr<float>();
    alignas(64) float apart[kRows * kColumns];
    float* sums = transposed_ ? apart : result + row * stride + column;
    const int64_t depth = words_ * kElements;
    for (int64_t first = 0; first < depth; first += kDepth) {
      BlockProduct(rows, columns, std::min(kDepth, depth - first),
                   reinterpret_cast<const Element*>(Rows(row)) + first, row_words_ * kElements,
                   packed + first / kElements * columns, columns, sums, transposed_ ? columns : stride,
                   !transposed_ || first > 0);
    }
    if (transposed_)
      kernels::AddTransposed(apart, columns, rows, columns, result + column * stride + row, stride);
  }

  const at::Tensor& narrow_;
  const at::Tensor& wide_;
  const at::Tensor& result_;
  const bool transposed_;
  const int64_t words_;      // of a column, see kernels/pack.h
  const int64_t row_words_;  // from one row of the transposed operand to the next
  const at::Tensor rows_;    // the narrower operand, transposed
};

}  // namespace

void AddWeightGradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient) {
  AddWeightGradient(dy, x, gradient,
                    dy.scalar_type() == x.scalar_type() ? MultipliedAs(x.scalar_type()) : at::kFloat);
}

void AddWeightGradient(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient,
                       at::ScalarType multiplied_as) {
  const bool x_is_narrow = x.size(1) < dy.size(1);
  const at::Tensor& narrow = x_is_narrow ? x : dy;
  const at::Tensor& wide = x_is_narrow ? dy : x;
  WithOperand(narrow.scalar_type(), multiplied_as, [&](auto one) {
    WithOperand(wide.scalar_type(), multiplied_as, [&](auto other) {
      using Narrow = decltype(one);
      using Wide = decltype(other);
      if constexpr (std::is_same_v<typename Multiplied<Narrow>::Element,
                                   typename Multiplied<Wide>::Element>) {
        Sum<Narrow, Wide>(narrow, wide, gradient, x_is_narrow).Run();
      }
    });
  });
}

}  // namespace mixln::worker::trainer::gemm
