#pragma once

#include <cstdint>

#include "worker/trainer/norm/norm.h"

namespace mixln::worker::trainer::model {

// Sizes of a LLaMA decoder (Touvron et al. 2023), without what the placement of its norms decides.
struct Shape {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t context = 0;
  double rope_theta = 0;
  double norm_eps = 0;
  norm::Kind norm_kind = norm::Kind::kRms;
  bool tie_embeddings = false;
  bool bf16 = false;

  int64_t head_size() const { return hidden_size / heads; }
};

}  // namespace mixln::worker::trainer::model
