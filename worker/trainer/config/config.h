// trial.json as plain structs: all that a rank is told, field by field as in proto/mixln/v1/rank.proto and
// spec.proto, whose comments say what each one means. Not protobuf's own classes: libtorch_cpu exports
// symbols of another protobuf.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::worker::trainer::config {

struct Fence {
  uint64_t term = 0;
  uint64_t epoch = 0;
  bool operator==(const Fence&) const = default;
};

struct Model {
  std::string preset;
  int32_t vocab_size = 0;  // 0: the data set's vocabulary
  int32_t hidden_size = 0;
  int32_t intermediate_size = 0;
  int32_t layers = 0;
  int32_t heads = 0;
  int32_t kv_heads = 0;  // 0: as many as heads
  double rope_theta = 0;
  double norm_eps = 0;
  bool tie_embeddings = false;
  bool operator==(const Model&) const = default;
};

struct Norm {
  std::string placement;  // "pre", "mix", "custom"
  double alpha = 0;
  int32_t post_layers = 0;
  std::vector<std::string> layer_placements;  // "pre", "post", "sandwich", one for each layer
  std::string kind;                           // "rmsnorm", "layernorm"
  bool operator==(const Norm&) const = default;
};

struct Init {
  double std = 0;
  double embedding_std = 0;
  bool scaled = false;
  std::string from;  // absolute folder; empty: none
  bool operator==(const Init&) const = default;
};

enum class Reading { kPacked, kPadded };

struct Tokenizer {
  std::string model;
  std::optional<int32_t> train_vocab;
  bool operator==(const Tokenizer&) const = default;
};

struct Data {
  std::vector<std::string> source;
  Tokenizer tokenizer;
  Reading reading = Reading::kPacked;
  int32_t context = 0;
  double validation_fraction = 0;
  std::string split;  // "file", "line", "paragraph"
  bool operator==(const Data&) const = default;
};

enum class Schedule { kCosine, kConstant, kWsd };
enum class Precision { kFp32, kBf16 };

struct Batch {
  int32_t sequences = 0;
  int32_t micro_sequences = 0;  // 0: the whole batch at once
  bool operator==(const Batch&) const = default;
};

struct Train {
  int64_t steps = 0;
  Batch batch;
  double lr = 0;
  int64_t warmup_steps = 0;
  Schedule schedule = Schedule::kCosine;
  double min_lr_ratio = 0;
  double decay_share = 0;  // of the updates; of kWsd alone
  double beta1 = 0;
  double beta2 = 0;
  double adam_eps = 0;
  double weight_decay = 0;
  double clip_norm = 0;
  Precision precision = Precision::kFp32;
  int64_t seed = 0;
  bool deterministic = false;
  bool operator==(const Train&) const = default;
};

struct Eval {
  int64_t every_steps = 0;  // 0: only after the last step
  int64_t tokens = 0;       // 0: all
  bool operator==(const Eval&) const = default;
};

struct Resources {
  std::string device;  // "auto", "cpu", "gpu"
  int32_t ranks = 0;
  int32_t priority = 0;
  bool operator==(const Resources&) const = default;
};

enum class Accumulate { kReduceEach, kNoSync };

struct Sharding {
  Accumulate accumulate = Accumulate::kReduceEach;
  bool reshard_after_forward = true;
  bool activation_checkpointing = false;
  bool operator==(const Sharding&) const = default;
};

struct Spec {
  Model model;
  Norm norm;
  Init init;
  Data data;
  Train train;
  Eval eval;
  int64_t checkpoint_every_steps = 0;  // 0: only after the last step
  Resources resources;
  int32_t max_retries = 0;
  int64_t max_runtime_seconds = 0;
  bool detect_collapse = false;
  Sharding sharding;
  bool operator==(const Spec&) const = default;
};

struct TrialConfig {
  std::string trial_id;
  Fence fence;
  int32_t rank = 0;
  int32_t world_size = 0;
  std::string rendezvous;
  Spec spec;
  std::string dataset_dir;
  std::string attempt_dir;
  std::string resume_from;  // empty: start anew
  int32_t threads = 0;
  int32_t gpu = 0;  // -1: compute on the CPU
  std::string address;
  // `spec` as it was read, keys sorted, without white space: what checkpoints record.
  std::string spec_json;
  bool operator==(const TrialConfig&) const = default;
};

// Reads the text of a trial.json. Throws error::ConfigError that names the path of the first field that is
// unknown, missing, doubled, mistyped or impossible, such as "spec.model.heads: ...".
TrialConfig ParseTrialConfig(std::string_view text);

// The same of a file; error::ConfigError also when it cannot be read.
TrialConfig ReadTrialConfig(const std::string& path);

}  // namespace mixln::worker::trainer::config
