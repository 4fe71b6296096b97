#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/device/device.h"
#include "worker/trainer/diagnostics/activation_variance.h"
#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/fsdp/unit.h"
#include "worker/trainer/norm/norm.h"
#include "worker/trainer/norm/placement.h"

namespace mixln::worker::trainer::engine {

// What to train and how, with nothing left open.
struct EngineOptions {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;     // divides hidden_size, into an even head size
  int64_t kv_heads = 0;  // divides heads
  double rope_theta = 10000.0;
  double norm_eps = 1e-6;
  bool tie_embeddings = false;
  std::vector<norm::Placement> placements;  // one for each layer; dlcl for all or none
  norm::Kind norm_kind = norm::Kind::kRms;  // of every norm
  double init_std = 0.02;                   // of matrices, but where a placement has a start of its own
  double embedding_std = 0.02;
  bool scaled_init = false;  // o and down start with init_std/√(2·layers); not with deepnorm
  uint64_t seed = 0;
  bool bf16 = false;  // compute in bf16 with fp32 masters; else all in fp32
  double beta1 = 0.9;
  double beta2 = 0.999;
  double adam_eps = 1e-8;
  double weight_decay = 0.0;  // decoupled; spares vectors: norm weights, omega, W
  double clip_norm = 0.0;     // of the global gradient norm; 0: no clipping
  int64_t context = 0;        // longest input, in tokens
  // Of several ranks: see fsdp::Accumulate, and model::Execution for the next two.
  fsdp::Accumulate accumulate = fsdp::Accumulate::kReduceEach;
  bool reshard_after_forward = true;
  bool activation_checkpointing = false;
};

// What this rank owns of one parameter and its Adam moments: a range of their elements in row-major order, as
// fp32 views [elements] of the engine's memory, under the parameter's Hugging Face name. One rank owns all
// whole; of several, one may own no element of a parameter.
struct NamedState {
  std::string name;
  std::vector<int64_t> shape;  // of the whole parameter
  int64_t begin = 0;           // first element that is owned
  bool replicated = false;     // every rank owns it whole
  at::Tensor master;
  at::Tensor exp_avg;
  at::Tensor exp_avg_sq;
};

// The gradient of the same elements.
struct NamedGradient {
  std::string name;
  std::vector<int64_t> shape;
  int64_t begin = 0;
  at::Tensor gradient;
};

struct UpdateReport {
  double gradient_norm = 0;  // over all parameters, before clipping
  // Over each decoder layer's parameters; empty unless asked for. The gradient's norm is that before
  // clipping; the update's ratio is what optim::UpdateRatios says.
  std::vector<double> layer_gradient_norms;
  std::vector<double> layer_update_ratios;
};

// A model with its optimizer: everything between token ids and updated weights. One thread uses it at a time;
// on CPUs it computes on at::get_num_threads() threads. Two runs with the same options, inputs and number of
// threads on the same kind of device give the same bits. Tokens and masks are on the host, whatever the
// device.
//
// Of several ranks each has an engine of its own, with the same options. They call ForwardBackward, Evaluate,
// Update and Logits together, the same number of times, each with rows of its own; a rank that has none gives
// a row whose targets are all masked. Throws error::PeerLostError when another rank is gone.
//
// Throws std::invalid_argument for options or tensors that make no sense; the message names the field.
class Engine {
 public:
  // `ranks`: none for one rank; it and the device must outlive the engine.
  explicit Engine(const EngineOptions& options, fsdp::Collectives* ranks = nullptr,
                  const device::Device& device = cpu::Cpu());
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Whether initial weights depend on the first global batch, as Admin's ω does.
  bool depends_on_first_batch() const;

  // Fills in those weights, while the others are the initial ones: before the first update of a fresh run,
  // not of one that goes on from saved States(). `tokens` are int64 [batch, time + 1], the micro-batches of
  // the first global batch, of several ranks this one's, perhaps none. Does nothing for models whose initial
  // weights do not depend on it.
  void InitializeFromBatch(const std::vector<at::Tensor>& tokens);

  // One micro-batch. `tokens` is int64 [batch, time + 1], time <= context: inputs and, one on, their targets.
  // `mask` is uint8 [batch, time], 1 where a target counts; undefined: all count. Adds the gradient of (sum
  // of negative log-likelihoods) / global_targets to the gradients and returns the sum, in nats, over this
  // rank's rows. `variance` (null: not wanted) is given each layer's output.
  double ForwardBackward(const at::Tensor& tokens, const at::Tensor& mask, double global_targets,
                         diagnostics::ActivationVariance* variance = nullptr);

  // The same sum without gradients.
  double Evaluate(const at::Tensor& tokens, const at::Tensor& mask);

  // Clips by the norm over all ranks, does one AdamW update with learning rate `lr`, and zeroes the
  // gradients.
  UpdateReport Update(double lr, bool measure_layers);

  // Masters and moments, embedding first, in an order that depends on the options only. They are the engine's
  // own memory, on its device: who writes into it calls StatesWritten before anything else.
  std::vector<NamedState> States() const;
  void StatesWritten();

  // Gradients accumulated since the last update, in the order of States(): of several ranks, once the
  // matrices' have been reduced; vectors' are this rank's own share until Update.
  std::vector<NamedGradient> Gradients();

  // Updates done; AdamW's bias correction counts by it.
  int64_t updates() const;
  void set_updates(int64_t updates);

  // Trainable parameters, over all ranks.
  int64_t parameters() const;

  // fp32 [batch, time, vocab] for int64 tokens [batch, time]. Holds them all: for tests and diagnostics.
  at::Tensor Logits(const at::Tensor& tokens);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mixln::worker::trainer::engine
