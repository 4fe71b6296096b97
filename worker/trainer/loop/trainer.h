// The training loop of one rank: batches, updates, evaluations, checkpoints, and what it tells its agent. The
// ranks of an attempt go through it in step: each computes its share of a batch, and what one is asked, all
// do.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/time/time.h"
#include "worker/shards/dataset.h"
#include "worker/trainer/checkpoint/checkpoint_writer.h"
#include "worker/trainer/config/config.h"
#include "worker/trainer/data/evaluation_set.h"
#include "worker/trainer/data/training_set.h"
#include "worker/trainer/data/unigram.h"
#include "worker/trainer/device/device.h"
#include "worker/trainer/engine/engine.h"
#include "worker/trainer/events/control_socket.h"
#include "worker/trainer/events/event_log.h"
#include "worker/trainer/fsdp/collectives.h"
#include "worker/trainer/loop/resume.h"

namespace mixln::worker::trainer::loop {

enum class Outcome { kFinished, kStopped };

class Trainer {
 public:
  // Reads what must be there before the first step: data set, model, checkpoint. Throws the exceptions of
  // worker/trainer/error. `step` is kept at the number of updates done, for the caller's last words.
  Trainer(const config::TrialConfig& config, events::EventLog& events, events::ControlSocket& control,
          int64_t& step);
  ~Trainer();

  // Trains to the last step, or until it is asked to stop. A run that goes on from a checkpoint does what the
  // uninterrupted one did, bit for bit, on equal hardware and threads. Every update becomes an event, and a
  // checkpoint one once it is durable. Throws error::DivergedError.
  Outcome Run();

 private:
  // Finishes a fresh run's initial weights: those that depend on the first global batch.
  void InitializeFromBatch();
  // One update over the global batch, in micro-batches.
  void TrainStep();
  // One evaluation; false when a stop was asked for before it was done.
  bool Evaluate();
  bool EvaluationDue() const;
  bool CheckpointDue();
  void StartCheckpoint();
  // Until the checkpoint that is on its way is durable.
  void AwaitCheckpoint();
  // Whether any rank was asked to stop: all ranks ask this at the same point. Learns of wanted checkpoints
  // too.
  bool StopAsked();
  // Over all ranks.
  double Sum(double number);
  void Report(const std::optional<checkpoint::Written>& written);
  void Emit(const events::RankEvent& event) { EmitAt(progress_.step, event); }
  void EmitAt(int64_t step, const events::RankEvent& event);
  // As EmitAt, of any rank.
  void Append(int64_t step, const events::RankEvent& event);
  // The sum of negative log-likelihoods of some rows, with gradients if `global_targets` is above 0.
  double Compute(const data::Rows& rows, double global_targets,
                 diagnostics::ActivationVariance* variance = nullptr);
  int64_t MeasureEvery() const;  // steps between measurements of the layers
  Outcome Stop();
  events::Requests& Requests();

  const config::TrialConfig& config_;
  events::EventLog& events_;
  events::ControlSocket& control_;
  int64_t& step_;
  const device::Device& device_;
  std::unique_ptr<fsdp::Collectives> ranks_;  // none: there is one rank
  shards::Dataset dataset_;
  data::TrainingSet training_set_;
  data::EvaluationSet evaluation_set_;
  data::Unigram unigram_;
  std::unique_ptr<engine::Engine> engine_;
  checkpoint::CheckpointWriter writer_;
  Progress progress_;
  int64_t last_checkpoint_ = -1;  // step of the newest checkpoint of this attempt; -1: none
  bool checkpoint_asked_ = false;
  base::Duration train_time_{};
  base::Duration engine_time_{};
};

}  // namespace mixln::worker::trainer::loop
