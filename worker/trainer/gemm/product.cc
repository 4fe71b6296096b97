#include "worker/trainer/gemm/product.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <type_traits>

#include "worker/trainer/gemm/block.h"
#include "worker/trainer/gemm/element.h"
#include "worker/trainer/gemm/instructions.h"
#include "worker/trainer/gemm/operand.h"
#include "worker/trainer/kernels/elementwise.h"
#include "worker/trainer/kernels/pack.h"
#include "worker/trainer/kernels/scratch.h"

namespace mixln::worker::trainer::gemm {
namespace {

constexpr int64_t kPanel = 64;   // columns
constexpr int64_t kBlock = 128;  // rows of the result that are computed at once

using kernels::Bf16;

// How a product is cut into tasks: each computes a block of the result.
struct Tasks {
  int64_t rows = 0;    // of a task
  int64_t panels = 0;  // of a task
  int64_t across = 0;  // tasks side by side
  int64_t count = 0;
};

Tasks CutInto(int64_t rows, int64_t panels, bool pack_left) {
  // A task's operands are to fit into the second cache; a left operand that is packed is packed once.
  Tasks tasks{pack_left ? kBlock : 4 * kBlock, pack_left ? panels : std::min<int64_t>(panels, 8)};
  const int64_t wanted = at::get_num_threads() == 1 ? 1 : 4 * at::get_num_threads();
  const auto count = [&] { return Pieces(rows, tasks.rows) * Pieces(panels, tasks.panels); };
  while (count() < wanted && (tasks.panels > 1 || tasks.rows > kBlock)) {
    if (tasks.rows > kBlock) {
      tasks.rows /= 2;
    } else {
      tasks.panels = (tasks.panels + 1) / 2;
    }
  }
  tasks.across = Pieces(panels, tasks.panels);
  tasks.count = count();
  return tasks;
}

// The left operand of a block of rows, with whole words and its rows contiguous.
template <typename T>
struct Left {
  const T* data;
  int64_t stride;
};

// `T`: what the left operand is made of.
template <typename T>
class Product {
 public:
  Product(const at::Tensor& left, const Packed& right, const at::Tensor& result)
      : left_(left), right_(right), result_(result) {}

  void Run() const {
    const int64_t panels = Pieces(right_.columns(), kPanel);
    const int64_t rows = left_.size(0);
    const Tasks tasks = CutInto(rows, panels, pack_left());
    at::parallel_for(0, tasks.count, 1, [&](int64_t begin, int64_t end) {
      for (int64_t task = begin; task < end; ++task) {
        const int64_t first_row = task / tasks.across * tasks.rows;
        const int64_t first_panel = task % tasks.across * tasks.panels;
        Block(first_row, std::min(rows, first_row + tasks.rows), first_panel,
              std::min(panels, first_panel + tasks.panels));
      }
      EndBlockProducts();
    });
  }

 private:
  using Element = typename Multiplied<T>::Element;
  static constexpr int64_t kDepth = Multiplied<T>::kDepth;
  static constexpr int64_t kElements = kElementsOfWord<Element>;
  static constexpr bool kWidened = !std::is_same_v<T, Element>;

  // A bf16 product reads two elements of the depth at once.
  bool pack_left() const { return kWidened || right_.depth() * sizeof(T) % sizeof(uint32_t) != 0; }

  Left<Element> LeftOf(int64_t first_row, int64_t rows) const {
    const int64_t stride = left_.stride(0);
    if (!pack_left()) return {Data<Element>(left_) + first_row * stride, stride};
    const int64_t words = RowWords(right_.words());
    thread_local kernels::Scratch<uint32_t> scratch;
    uint32_t* packed = scratch.Room(rows * words);
    kernels::CopyRows(Data<T>(left_) + first_row * stride, stride, rows, right_.depth(), packed, words);
    return {reinterpret_cast<const Element*>(packed), words * kElements};
  }

  void Block(int64_t first_row, int64_t last_row, int64_t first_panel, int64_t last_panel) const {
    const Left<Element> left = LeftOf(first_row, last_row - first_row);
    for (int64_t panel = first_panel; panel < last_panel; ++panel) {
      for (int64_t row = first_row; row < last_row; row += kBlock) {
        Tile(left.data + (row - first_row) * left.stride, left.stride, row, std::min(kBlock, last_row - row),
             panel);
      }
    }
  }

  void Tile(const Element* left, int64_t left_stride, int64_t row, int64_t rows, int64_t panel) const {
    const int64_t column = panel * kPanel;
    const int64_t columns = std::min(kPanel, right_.columns() - column);
    const int64_t stride = result_.stride(0);
    const bool direct = result_.scalar_type() == at::kFloat;
    alignas(64) float rounded_later[kBlock * kPanel];
    float* sums = direct ? result_.data_ptr<float>() + row * stride + column : rounded_later;
    const int64_t sums_stride = direct ? stride : columns;
    const int64_t depth = right_.words() * kElements;
    for (int64_t first = 0; first < depth; first += kDepth) {
      BlockProduct(rows, columns, std::min(kDepth, depth - first), left + first, left_stride,
                   right_.Panel(panel) + first / kElements * columns, columns, sums, sums_stride, first > 0);
    }
    if (!direct) {
      kernels::RoundRows(sums, sums_stride, rows, columns,
                         static_cast<Bf16*>(result_.data_ptr()) + row * stride + column, stride);
    }
  }

  const at::Tensor& left_;
  const Packed& right_;
  const at::Tensor& result_;
};

template <typename T>
void PackPanels(const Matrix& right, int64_t words, uint32_t* panels) {
  const int64_t columns = right.columns();
  const int64_t stride = right.stored.stride(0);
  const T* from = Data<T>(right.stored);
  at::parallel_for(0, Pieces(columns, kPanel), 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t first = panel * kPanel;
      const int64_t width = std::min(kPanel, columns - first);
      uint32_t* to = panels + first * words;
      if (right.transposed) {
        kernels::PackColumns(from + first * stride, stride, right.rows(), width, to, width);
      } else {
        kernels::PackRows(from + first, stride, right.rows(), width, to, width);
      }
    }
  });
}

}  // namespace

bool HasBf16() {
  return OfThisCpu().avx512;
}

at::ScalarType MultipliedAs(at::ScalarType type) {
  static const bool fast = MultipliesBf16Fast(OfThisCpu());
  return fast ? type : at::kFloat;
}

at::Tensor Operand(const at::Tensor& tensor) {
  return tensor.to(MultipliedAs(tensor.scalar_type()));
}

Packed::Packed(const Matrix& right, at::ScalarType multiplied_as)
    : type_(multiplied_as), depth_(right.rows()), columns_(right.columns()) {
  WithOperand(right.stored.scalar_type(), type_, [&](auto element) {
    using T = decltype(element);
    words_ = kernels::WordsOf(depth_, static_cast<const T*>(nullptr));
    panels_ = at::empty({words_ * columns_}, right.stored.options().dtype(at::kInt));
    PackPanels<T>(right, words_, reinterpret_cast<uint32_t*>(panels_.data_ptr<int32_t>()));
  });
}

const uint32_t* Packed::Panel(int64_t panel) const {
  return reinterpret_cast<const uint32_t*>(panels_.const_data_ptr<int32_t>()) + panel * kPanel * words_;
}

void Multiply(const at::Tensor& left, const Packed& right, const at::Tensor& result) {
  WithOperand(left.scalar_type(), right.type(),
              [&](auto element) { Product<decltype(element)>(left, right, result).Run(); });
}

}  // namespace mixln::worker::trainer::gemm
