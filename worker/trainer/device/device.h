// What the engine asks of the device that it computes on: one table of operations for each kind of device.
// The CPU's is worker/trainer/cpu; a GPU's comes from a plugin that is loaded at run time (plugin.h). The
// engine calls the table and never asks which device it is.
//
// Tensors are on the device, contiguous and, unless said otherwise, fp32; those called "fp32 or bf16" may be
// either. Results are written into tensors that the caller has made. A device may still be computing when an
// operation returns, in the order of the calls; copying to the host waits. The same input gives the same bits
// each time.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/kernels/adamw.h"
#include "worker/trainer/kernels/attention_shape.h"

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace mixln::worker::trainer::device {

// A matrix [rows, columns] in memory; with `transposed` it is stored as [columns, rows].
struct Matrix {
  at::Tensor stored;  // two-dimensional, fp32 or bf16, its rows contiguous
  bool transposed = false;

  int64_t rows() const { return stored.size(transposed ? 1 : 0); }
  int64_t columns() const { return stored.size(transposed ? 0 : 1); }
};

// The right operand of a product, as the device reads it best: prepared once and multiplied often.
struct Factor {
  Matrix matrix;
  std::shared_ptr<const void> prepared;  // the device's own
};

// y = scale · norm(stream_scale·x + branch), without a branch (undefined) of x: norm/norm.h has the formula.
struct NormForward {
  at::Tensor x;  // [rows, hidden]
  double stream_scale = 1.0;
  at::Tensor branch;  // fp32 or bf16
  at::Tensor weight;  // [hidden]
  double scale = 1.0;
  double eps = 0.0;
  bool centered = false;   // x − mean(x) is normed
  int64_t groups = 1;      // of neighbouring channels, each normed alone
  at::Tensor sum;          // out: what is normed; undefined where that is x itself
  at::Tensor inverse_rms;  // out: [rows, groups]
  at::Tensor y;            // out: fp32 or bf16
};

// dx = residual_scale·residual (where defined) + the gradient with respect to the norm's input; adds the
// weight's gradient.
struct NormBackward {
  at::Tensor input;  // what was normed, centred if it was
  at::Tensor inverse_rms;
  at::Tensor weight;
  double scale = 1.0;
  bool centered = false;
  int64_t groups = 1;
  at::Tensor dy;  // fp32 or bf16
  at::Tensor residual;
  double residual_scale = 0.0;
  at::Tensor dx;               // out
  at::Tensor weight_gradient;  // added to
};

// Cosines and sines of rotary positions, [context, head_size / 2].
struct Rope {
  at::Tensor cosines;
  at::Tensor sines;
};

// What attention leaves for its backward pass.
struct Attended {
  at::Tensor output;                  // [batch·time, heads·head_size]
  at::Tensor lse;                     // fp32 [batch, heads, time]: the log-sum-exp of a query's scaled scores
  std::vector<at::Tensor> more = {};  // the device's own
};

// The tensors of one AdamW update, flat.
struct AdamWTensors {
  at::Tensor weight;
  at::Tensor gradient;  // zeroed
  at::Tensor exp_avg;
  at::Tensor exp_avg_sq;
  at::Tensor compute;  // bf16, gets the new weight; undefined: none
};

struct Sums {
  double sum = 0;
  double squares = 0;
};

// How ranks find each other, for `join`.
struct Meeting {
  c10::intrusive_ptr<c10d::Store> store;
  int rank = 0;
  int world_size = 1;
  std::chrono::milliseconds timeout{};  // of a collective
};

struct Device {
  at::Device place{at::kCPU};
  std::string kind;             // "cpu" or "cuda": a run repeats bit for bit on the same kind only,
  std::string instruction_set;  // and the same instruction set, such as "avx512" or "sm_90"
  std::string model;            // for people
  int64_t peak_size = 0;        // a product of square matrices of this size reaches the best speed

  at::TensorOptions options(at::ScalarType type) const { return at::TensorOptions(place).dtype(type); }

  // The tensor as attention takes it: in fp32 where the device cannot multiply its type.
  at::Tensor (*operand)(const at::Tensor& tensor);
  // Products of matrices of one type, left [rows, depth]. The result is fp32 or bf16; the rows of both are
  // contiguous; sums are fp32.
  Factor (*prepare)(const Matrix& right);
  void (*multiply)(const at::Tensor& left, const Factor& right, const at::Tensor& result);
  // gradient += dyᵀ·x in fp32, for dy [tokens, out] and x [tokens, in].
  void (*add_weight_gradient)(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& gradient);

  // Of operands (above). The gradient of qkv has its layout.
  Attended (*attend)(const kernels::AttentionShape& shape, const at::Tensor& qkv);
  at::Tensor (*attend_backward)(const kernels::AttentionShape& shape, const at::Tensor& qkv,
                                const Attended& attended, const at::Tensor& doutput);
  // Rotates the first `heads` heads of each row, fp32 or bf16, in place; row r is at position r % time.
  // `back` is the gradient.
  void (*rotate)(const Rope& rope, const at::Tensor& rows, int64_t heads, int64_t time, bool back);
  // silu(gate)∘up of rows [gate, up]; and the gradient, which replaces gate_up. fp32 or bf16.
  void (*swiglu)(const at::Tensor& gate_up, const at::Tensor& out);
  void (*swiglu_backward)(const at::Tensor& gate_up, const at::Tensor& dout);

  void (*norm)(const NormForward& norm);
  void (*norm_backward)(const NormBackward& norm);
  // to = scale·from, of which one may be bf16; and to = a·x + b·y, where y is fp32 or bf16.
  void (*scale)(const at::Tensor& from, double scale, const at::Tensor& to);
  void (*add)(const at::Tensor& x, double a, const at::Tensor& y, double b, const at::Tensor& to);
  // to = weight∘x for x [rows, hidden] and weight [hidden]; dx = weight∘dy, and adds the weight's gradient.
  void (*scale_channels)(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& to);
  void (*scale_channels_backward)(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& dy,
                                  const at::Tensor& dx, const at::Tensor& weight_gradient);
  // to = Σ weight_k·outputs_k; doutputs_k = weight_k·dx, and adds the weight's gradient.
  void (*sum_outputs)(const std::vector<at::Tensor>& outputs, const at::Tensor& weight, const at::Tensor& to);
  void (*sum_outputs_backward)(const at::Tensor& dx, const std::vector<at::Tensor>& outputs,
                               const at::Tensor& weight, const std::vector<at::Tensor>& doutputs,
                               const at::Tensor& weight_gradient);
  // Σ x and Σ x², on the host.
  Sums (*sums)(const at::Tensor& x);

  // out[i] = table[tokens[i]]; and gradient[tokens[i]] += dx[i], in the order of i. `tokens` are int64 on the
  // host.
  void (*embed)(const at::Tensor& table, const at::Tensor& tokens, const at::Tensor& out);
  void (*embed_backward)(const at::Tensor& dx, const at::Tensor& tokens, const at::Tensor& gradient);
  // losses[row], fp64, of logits [rows, vocab], fp32 or bf16, and int64 targets [rows]; 0 where mask, uint8,
  // is 0 (undefined: all count). Where gradient_scale is not 0, logits become gradient_scale times their
  // gradients.
  void (*cross_entropy)(const at::Tensor& logits, const at::Tensor& targets, const at::Tensor& mask,
                        double gradient_scale, const at::Tensor& losses);

  // Adds Σ (new weight − old)² to movement[0] and Σ old² to movement[1], fp64; undefined: they are not
  // wanted. The weights become the same bits with it and without.
  void (*adamw)(const kernels::AdamWStep& step, const AdamWTensors& tensors, const at::Tensor& movement);
  // to[0] = Σ x², fp64.
  void (*sum_of_squares)(const at::Tensor& flat, const at::Tensor& to);
  // to += parts[0], then += parts[1], and so on; flat.
  void (*add_in_order)(const at::Tensor& to, const std::vector<at::Tensor>& parts);

  // Waits for everything that was asked of the device.
  void (*synchronize)();
  // What this process may still take, and the most that it has taken, in bytes.
  int64_t (*available_bytes)();
  int64_t (*peak_bytes)();
  // Joins ranks for collectives on tensors of this device. Null: it has no way of its own.
  c10::intrusive_ptr<c10d::Backend> (*join)(const Meeting& meeting);
};

}  // namespace mixln::worker::trainer::device
