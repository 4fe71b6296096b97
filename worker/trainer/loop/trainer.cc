#include "worker/trainer/loop/trainer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>

#include "base/clock/clock.h"
#include "base/failpoint/failpoint.h"
#include "base/file/durable.h"
#include "worker/pulse/pulse.h"
#include "worker/trainer/data/share.h"
#include "worker/trainer/data/unreadable.h"
#include "worker/trainer/diagnostics/flops.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/loop/collapse.h"
#include "worker/trainer/loop/divergence.h"
#include "worker/trainer/loop/learning_rate.h"
#include "worker/trainer/loop/memory.h"
#include "worker/trainer/loop/say.h"
#include "worker/trainer/loop/setup.h"

namespace mixln::worker::trainer::loop {
namespace {

// Updates between measurements of the layers in a trial that evaluates only at its end.
constexpr int64_t kLayerSteps = 100;

shards::Dataset LoadDataset(const config::TrialConfig& config) {
  auto dataset = shards::Dataset::Load(config.dataset_dir);
  if (!dataset.ok()) data::ThrowUnreadable(dataset.status());
  CheckSupported(config, *dataset);
  return *std::move(dataset);
}

// For printf.
long long Wide(int64_t number) {
  return number;
}

std::unique_ptr<engine::Engine> MakeEngine(const config::TrialConfig& config, const shards::Dataset& dataset,
                                           fsdp::Collectives* ranks, const device::Device& device) {
  try {
    const engine::EngineOptions options = MakeEngineOptions(config.spec, dataset);
    const bool common_memory = ranks != nullptr && ranks->has_common_memory();
    std::vector<Draw> draws = DrawsOf(config, options, common_memory, device, cpu::Pools());
    if (ranks != nullptr) draws = DrawsOfAll(draws, *ranks);
    CheckMemory(draws);
    return std::make_unique<engine::Engine>(options, ranks, device);
  } catch (const std::invalid_argument& problem) {
    throw error::ConfigError(std::string("spec: ") + problem.what());
  }
}

diagnostics::ModelSize SizeOf(const config::Spec& spec, const shards::Dataset& dataset, int64_t parameters) {
  // A tied table is the head's matrix, too, and counts.
  const int64_t looked_up =
      spec.model.tie_embeddings ? 0 : int64_t{dataset.vocab_size} * spec.model.hidden_size;
  return {.parameters = parameters - looked_up,
          .layers = spec.model.layers,
          .hidden_size = spec.model.hidden_size,
          .context = spec.data.context};
}

// int64 [rows, width] over the rows' own memory, which the engine only reads.
at::Tensor TokensOf(const data::Rows& rows) {
  return at::from_blob(const_cast<int64_t*>(rows.tokens.data()), {rows.rows, rows.width},
                       at::dtype(at::kLong));
}

// Beside the checkpoints, so that what becomes of one (docs/export.md) needs no cache of data.
void KeepTokenizer(const config::TrialConfig& config) {
  if (config.rank != 0) return;
  const auto model = base::ReadFile(config.dataset_dir + "/tokenizer.model");
  if (absl::IsNotFound(model.status())) return;  // shards that someone made without one
  absl::Status kept = model.status();
  if (kept.ok()) kept = base::MakeFolders(config.attempt_dir);
  if (kept.ok()) kept = base::WriteFileDurably(config.attempt_dir + "/tokenizer.model", *model);
  if (!kept.ok()) throw error::InputOutputError(std::string(kept.message()));
}

void ThrowIfDiverged(const std::string& reason) {
  if (!reason.empty()) {
    throw error::DivergedError(reason + "; the run has diverged: lower train.lr, or clip gradients");
  }
}

// How the writer's thread learns of the other ranks' files.
checkpoint::Peers MakePeers(fsdp::Collectives* ranks) {
  if (ranks == nullptr) return {};
  return {
      ranks->rank(), ranks->world_size(),
      [ranks](const std::string& name, const std::string& text) { ranks->rendezvous().Publish(name, text); },
      [ranks](const std::string& name) { return ranks->rendezvous().Get(name); }};
}

// Ranges of a micro-batch. A rank that has none takes a row without targets: it has to compute along.
std::vector<data::Range> Part(const std::vector<data::Range>& ranges, const data::Share& part) {
  if (part.rows == 0) return {data::Range{}};
  const auto begin = ranges.begin() + part.begin;
  return {begin, begin + part.rows};
}

bool Due(int64_t step, int64_t every, int64_t last) {
  return step == last || (every > 0 && step % every == 0);
}

}  // namespace

Trainer::Trainer(const config::TrialConfig& config, events::EventLog& events, events::ControlSocket& control,
                 int64_t& step)
    : config_(config),
      events_(events),
      control_(control),
      step_(step),
      device_(OpenDevice(config)),
      ranks_(ConnectRanks(config, device_)),
      dataset_(LoadDataset(config)),
      training_set_(dataset_, config.spec),
      evaluation_set_(dataset_, config.spec),
      unigram_(dataset_),
      engine_(MakeEngine(config, dataset_, ranks_.get(), device_)),
      writer_(config.attempt_dir, MakePeers(ranks_.get())),
      progress_(Resume(config, device_, dataset_.vocab_size, training_set_.windows(), *engine_,
                       [&](const std::string& folder) { Append(step, events::CheckpointBad{folder}); })) {
  KeepTokenizer(config);
  step_ = progress_.step;
  if (progress_.own) last_checkpoint_ = progress_.step;
  // They look into the same folder; should it change while they look, they would train apart.
  if (Sum(static_cast<double>(progress_.step)) != static_cast<double>(progress_.step) * config.world_size) {
    throw error::InputOutputError(
        "the ranks found different checkpoints to go on from; this one that of step " +
        std::to_string(progress_.step));
  }
}

Trainer::~Trainer() {
  if (ranks_) ranks_->rendezvous().Abandon();  // else the writer's thread might wait for a rank that is gone
}

Outcome Trainer::Run() {
  const events::Started started{
      engine_->parameters(),
      progress_.step,
      Describe(device_, config_),
      training_set_.tokens(),
      evaluation_set_.unigram_perplexity(),
      diagnostics::FlopsPerToken(SizeOf(config_.spec, dataset_, engine_->parameters())),
      diagnostics::MeasurePeakFlops(device_, config_.spec.train.precision == config::Precision::kBf16)};
  Emit(started);
  Say("trial %s: %lld parameters on %s; %lld training tokens; unigram perplexity %.2f",
      config_.trial_id.c_str(), Wide(started.parameters), started.device.c_str(), Wide(started.train_tokens),
      started.unigram_perplexity);
  if (ranks_) Say("%d ranks over %s", config_.world_size, std::string(ranks_->name()).c_str());
  Say("events go to events.jsonl, checkpoints to %s/checkpoints", config_.attempt_dir.c_str());
  if (progress_.step > 0)
    Say("going on after step %lld from %s", Wide(progress_.step), progress_.folder.c_str());
  if (progress_.step == 0 && !progress_.folder.empty())
    Say("starting with the weights in %s", progress_.folder.c_str());
  // The rank may have been killed between the checkpoint and its event; telling it twice does no harm.
  if (progress_.own) Report(checkpoint::Describe(progress_.folder, progress_.step));

  if (progress_.folder.empty() && engine_->depends_on_first_batch()) InitializeFromBatch();
  // What was due after the checkpoint's step may have been cut off by the stop that made it.
  if (progress_.step > 0 && EvaluationDue() && !Evaluate()) return Stop();
  while (progress_.step < config_.spec.train.steps) {
    if (StopAsked()) return Stop();
    TrainStep();
    if (EvaluationDue() && !Evaluate()) return Stop();
    if (CheckpointDue()) StartCheckpoint();
    Report(writer_.Poll());
  }
  if (last_checkpoint_ != progress_.step) StartCheckpoint();
  AwaitCheckpoint();
  const double train_seconds = base::ToSeconds(train_time_);
  Emit(events::Finished{train_seconds});
  Say("finished: %lld steps; %.2f s of training here, %.2f%% of it outside the engine", Wide(progress_.step),
      train_seconds, train_seconds > 0 ? 100 * (1 - base::ToSeconds(engine_time_) / train_seconds) : 0.0);
  return Outcome::kFinished;
}

void Trainer::TrainStep() {
  const base::Time begin = base::ReadClock().steady;
  pulse::Enter(pulse::Phase::kTraining, progress_.step + 1);
  const std::vector<data::Range> batch = training_set_.Batch(progress_.step);
  int64_t targets = 0;
  for (const data::Range& range : batch) targets += data::Targets(range);
  if (targets == 0) {
    throw error::DataError("the batch of step " + std::to_string(progress_.step + 1) +
                           " has nothing to predict: all its documents are empty; prepare the data again");
  }
  const int64_t step = progress_.step + 1;
  const bool measure = step == 1 || Due(step, MeasureEvery(), config_.spec.train.steps);
  diagnostics::ActivationVariance variance;
  const int64_t micro = config_.spec.train.batch.micro_sequences;
  const auto rows = static_cast<int64_t>(batch.size());
  const data::Share share = data::ShareOf(rows, config_.rank, config_.world_size);
  double total = 0;
  double unigram_total = 0;
  for (int64_t i = 0; i < data::MicroBatches(rows, config_.world_size, micro); ++i) {
    const data::Rows part = training_set_.Read(Part(batch, data::MicroBatch(share, i, micro)));
    base::failpoint::Hit("trainer.micro_batch", [&] { return "rank " + std::to_string(config_.rank); });
    total += Compute(part, static_cast<double>(targets), measure ? &variance : nullptr);
    unigram_total += unigram_.Loss(part);
    pulse::Beat();
  }
  total = Sum(total);
  unigram_total = Sum(unigram_total);
  events::StepDone done;
  done.loss = total / static_cast<double>(targets);
  done.unigram_loss = unigram_total / static_cast<double>(targets);
  done.lr = LearningRate(config_.spec.train, progress_.step);
  done.gradient_norm = std::numeric_limits<double>::quiet_NaN();
  if (std::isfinite(done.loss)) {  // else the weights are kept as they were
    writer_.AwaitCopy();
    const base::Time update = base::ReadClock().steady;
    const engine::UpdateReport report = engine_->Update(done.lr, measure);
    engine_time_ += base::ReadClock().steady - update;
    done.gradient_norm = report.gradient_norm;
    done.layer_gradient_norms = report.layer_gradient_norms;
    done.layer_update_ratios = report.layer_update_ratios;
    done.layer_activation_variances = variance.Mean();
  }
  progress_.tokens += targets;
  progress_.step = step_ = step;
  done.tokens = progress_.tokens;
  const base::Duration took = base::ReadClock().steady - begin;
  train_time_ += took;
  done.tokens_per_second = static_cast<double>(targets) / std::max(base::ToSeconds(took), 1e-9);
  Emit(done);
  ThrowIfDiverged(Divergence(step, done.loss, done.gradient_norm));
  const std::string collapse =
      Collapse(config_.spec.norm, config_.spec.train,
               {step, done.loss, done.unigram_loss, unigram_.entropy()}, progress_.loss_history);
  if (config_.spec.detect_collapse) ThrowIfDiverged(collapse);
}

void Trainer::InitializeFromBatch() {
  Say("initializing weights from the first global batch");
  const std::vector<data::Range> batch = training_set_.Batch(0);
  const int64_t micro = config_.spec.train.batch.micro_sequences;
  const auto all = static_cast<int64_t>(batch.size());
  const data::Share share = data::ShareOf(all, config_.rank, config_.world_size);
  std::vector<data::Rows> rows;  // the tensors' memory
  std::vector<at::Tensor> tokens;
  for (int64_t i = 0; i < data::MicroBatches(all, config_.world_size, micro); ++i) {
    const data::Share part = data::MicroBatch(share, i, micro);
    if (part.rows > 0) rows.push_back(training_set_.Read(Part(batch, part)));
  }
  for (const data::Rows& part : rows) tokens.push_back(TokensOf(part));
  engine_->InitializeFromBatch(tokens);
}

double Trainer::Compute(const data::Rows& rows, double global_targets,
                        diagnostics::ActivationVariance* variance) {
  const at::Tensor tokens = TokensOf(rows);
  at::Tensor mask;
  if (!rows.mask.empty()) {
    mask = at::from_blob(const_cast<uint8_t*>(rows.mask.data()), {rows.rows, rows.width - 1},
                         at::dtype(at::kByte));
  }
  if (global_targets <= 0) return engine_->Evaluate(tokens, mask);
  const base::Time begin = base::ReadClock().steady;
  const double total = engine_->ForwardBackward(tokens, mask, global_targets, variance);
  engine_time_ += base::ReadClock().steady - begin;
  return total;
}

bool Trainer::Evaluate() {
  pulse::Enter(pulse::Phase::kEvaluating, progress_.step);
  const std::vector<data::Range>& ranges = evaluation_set_.ranges();
  const config::Batch& batch = config_.spec.train.batch;
  const int64_t micro = batch.micro_sequences > 0
                            ? batch.micro_sequences
                            : data::ShareOf(batch.sequences, 0, config_.world_size).rows;
  const auto rows = static_cast<int64_t>(ranges.size());
  const data::Share share = data::ShareOf(rows, config_.rank, config_.world_size);
  double total = 0;
  for (int64_t i = 0; i < data::MicroBatches(rows, config_.world_size, micro); ++i) {
    if (StopAsked()) return false;
    const auto part = Part(ranges, data::MicroBatch(share, i, micro));
    base::failpoint::Hit("trainer.evaluation_batch");
    total += Compute(evaluation_set_.Read(part), 0);
    pulse::Beat();
    Report(writer_.Poll());
  }
  total = Sum(total);
  events::EvalDone done;
  done.tokens = evaluation_set_.targets();
  done.loss = total / static_cast<double>(done.tokens);
  done.perplexity = std::exp(done.loss);
  done.bits_per_byte = data::BitsPerByte(total, evaluation_set_.target_bytes());
  Emit(done);
  ThrowIfDiverged(EvaluationDivergence(progress_.step, done.loss));
  Say("step %lld of %lld: evaluation loss %.4f, perplexity %.2f (unigram %.2f), %.3f bits a byte",
      Wide(progress_.step), Wide(config_.spec.train.steps), done.loss, done.perplexity,
      evaluation_set_.unigram_perplexity(), done.bits_per_byte);
  return true;
}

bool Trainer::EvaluationDue() const {
  return Due(progress_.step, config_.spec.eval.every_steps, config_.spec.train.steps);
}

bool Trainer::CheckpointDue() {
  const bool asked = std::exchange(checkpoint_asked_, false);
  return asked || Due(progress_.step, config_.spec.checkpoint_every_steps, config_.spec.train.steps);
}

void Trainer::StartCheckpoint() {
  pulse::Enter(pulse::Phase::kSaving, progress_.step);
  AwaitCheckpoint();
  checkpoint::Manifest manifest =
      MakeManifest(config_, device_, training_set_.windows(), progress_.step, progress_.tokens);
  manifest.loss_history = progress_.loss_history;
  writer_.Start(std::move(manifest), engine_->States());
  last_checkpoint_ = progress_.step;
}

void Trainer::AwaitCheckpoint() {
  pulse::Enter(pulse::Phase::kSaving, progress_.step);
  // Rank 0 writes the manifest once it has heard of every file; while it waits for that, it waits for the
  // ranks here too, so that it hears if one is lost.
  if (config_.rank != 0) writer_.Wait();
  Sum(0);
  if (config_.rank == 0) Report(writer_.Wait());
}

bool Trainer::StopAsked() {
  events::Requests& requests = Requests();
  double asked[] = {requests.stop_reason().empty() ? 0.0 : 1.0, requests.TakeCheckpoint() ? 1.0 : 0.0};
  if (ranks_) ranks_->Sum(asked);
  if (asked[1] > 0) checkpoint_asked_ = true;
  return asked[0] > 0;
}

double Trainer::Sum(double number) {
  if (ranks_) ranks_->Sum(std::span(&number, 1));
  return number;
}

void Trainer::Report(const std::optional<checkpoint::Written>& written) {
  if (written) EmitAt(written->step, events::CheckpointDone{written->path, written->size_bytes});
}

void Trainer::EmitAt(int64_t step, const events::RankEvent& event) {
  if (config_.rank == 0) Append(step, event);  // a trial's numbers are those of rank 0
}

void Trainer::Append(int64_t step, const events::RankEvent& event) {
  events_.Append(static_cast<double>(base::ReadClock().wall.micros) * 1e-6, step, event);
}

int64_t Trainer::MeasureEvery() const {
  return config_.spec.eval.every_steps > 0 ? config_.spec.eval.every_steps : kLayerSteps;
}

Outcome Trainer::Stop() {
  const std::string& reason = Requests().stop_reason();
  Say("stopping after step %lld: %s", Wide(progress_.step),
      reason.empty() ? "another rank was asked to" : reason.c_str());
  if (last_checkpoint_ != progress_.step) StartCheckpoint();
  AwaitCheckpoint();
  return Outcome::kStopped;
}

events::Requests& Trainer::Requests() {
  return control_.Poll(base::ReadClock().steady);
}

}  // namespace mixln::worker::trainer::loop
