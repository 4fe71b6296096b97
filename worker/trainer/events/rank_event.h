// What a rank tells its agent: mixln.v1.RankEvent of proto/mixln/v1/rank.proto as plain structs. The comments
// there say what each field means.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace mixln::worker::trainer::events {

struct Started {
  int64_t parameters = 0;
  int64_t resume_step = 0;
  std::string device;
  int64_t train_tokens = 0;
  double unigram_perplexity = 0;
  double flops_per_token = 0;
  double peak_flops = 0;
};

struct StepDone {
  double loss = 0;
  double lr = 0;
  double gradient_norm = 0;
  int64_t tokens = 0;
  double tokens_per_second = 0;
  std::vector<double> layer_gradient_norms;
  std::vector<double> layer_activation_variances;
  double unigram_loss = 0;
  std::vector<double> layer_update_ratios;
};

struct EvalDone {
  double loss = 0;
  double perplexity = 0;
  double bits_per_byte = 0;
  int64_t tokens = 0;
};

struct CheckpointDone {
  std::string path;
  int64_t size_bytes = 0;
};

struct Finished {
  double train_seconds = 0;
};

struct Failed {
  std::string_view cause;  // name of a mixln.v1.FailureCause
  std::string message;
};

struct CheckpointBad {
  std::string path;
};

using RankEvent = std::variant<Started, StepDone, EvalDone, CheckpointDone, Finished, Failed, CheckpointBad>;

// One line of events.jsonl, newline included.
std::string Line(uint64_t sequence, double time_seconds, int64_t step, const RankEvent& event);

// Whether the rank may only go on once the event is on disk.
bool MustBeDurable(const RankEvent& event);

}  // namespace mixln::worker::trainer::events
