// mixln-fake-trainer: speaks docs/rank-contract.md without computing anything. Its numbers are a pure
// function of seed and step, so that a resumed run can be compared with an uninterrupted one; its faults come
// from MIXLN_FAKE_TRAINER (faults.h).
#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "faults.h"
#include "mixln/v1/rank.pb.h"
#include "worker/pulse/pulse.h"

namespace {

namespace fs = std::filesystem;
namespace v1 = mixln::v1;

volatile sig_atomic_t terminated = 0;

// Noise in [0, 1) from seed and step (splitmix64, Steele et al. 2014).
double Noise(uint64_t seed, uint64_t step) {
  uint64_t z = seed * 0x9e3779b97f4a7c15u + step * 0xbf58476d1ce4e5b9u + 0x94d049bb133111ebu;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

class FakeTrainer {
 public:
  FakeTrainer() : faults_(ParseFaults(getenv("MIXLN_FAKE_TRAINER"))) {
    std::ifstream file("trial.json");
    std::stringstream text;
    text << file.rdbuf();
    const auto parsed = google::protobuf::util::JsonStringToMessage(text.str(), &config_);
    if (!file || !parsed.ok()) {
      fprintf(stderr, "trial.json: %s\n", parsed.ToString().c_str());
      exit(64);
    }
    events_ = open("events.jsonl", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    control_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strcpy(address.sun_path, "control");
    if (events_ < 0 || bind(control_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
      perror("events.jsonl or control");
      exit(74);
    }
    ignores_stop_ = Find("ignore_stop", 0) != nullptr;
    if (const Fault* pace = Find("pace", 0)) pace_milliseconds_ = Number(*pace);
  }

  int Run() {
    printf("fake trainer: %s rank %d\n", config_.trial_id().c_str(), config_.rank());
    fflush(stdout);
    Resume();
    Strike(0);
    v1::RankEvent started;
    started.mutable_started()->set_parameters(1000);
    started.mutable_started()->set_resume_step(step_);
    started.mutable_started()->set_device("fake");
    started.mutable_started()->set_train_tokens(1'000'000);
    started.mutable_started()->set_unigram_perplexity(1000);
    Append(started);
    const v1::TrialSpec& spec = config_.spec();
    while (step_ < spec.train().steps()) {
      Strike(step_ + 1);
      mixln::worker::pulse::Enter(mixln::worker::pulse::Phase::kTraining, step_ + 1);
      Obey(pace_milliseconds_);
      ++step_;
      Step();
      const bool last = step_ == spec.train().steps();
      if (last || (spec.eval().every_steps() > 0 && step_ % spec.eval().every_steps() == 0)) Evaluate();
      if (last || (spec.checkpoint().every_steps() > 0 && step_ % spec.checkpoint().every_steps() == 0))
        Checkpoint();
    }
    v1::RankEvent finished;
    finished.mutable_finished()->set_train_seconds(0.001 * static_cast<double>(step_));
    Append(finished);
    return 0;
  }

 private:
  const Fault* Find(const std::string& what, int64_t step) const {
    for (const Fault& fault : faults_)
      if (fault.what == what && fault.step == step) return &fault;
    return nullptr;
  }

  static int Number(const Fault& fault) {
    int number = 0;
    if (!absl::SimpleAtoi(fault.argument, &number)) exit(64);
    return number;
  }

  void Strike(int64_t step) {
    if (const Fault* fault = Find("wait", step))
      while (access(fault->argument.c_str(), F_OK) != 0) {
        mixln::worker::pulse::Beat();
        Obey(5);
      }
    if (const Fault* fault = Find("swell", step))
      swollen_.assign(static_cast<size_t>(Number(*fault)) << 20, 'x');  // touches every page
    if (const Fault* fault = Find("exit", step)) exit(Number(*fault));
    if (const Fault* fault = Find("kill", step)) raise(Number(*fault));
    if (const Fault* fault = Find("fail", step)) {
      v1::RankEvent failed;
      failed.mutable_failed()->set_cause(v1::FAILURE_CAUSE_TRAINER_CRASH);
      if (Number(*fault) == 71) failed.mutable_failed()->set_cause(v1::FAILURE_CAUSE_OUT_OF_MEMORY);
      if (Number(*fault) == 76) failed.mutable_failed()->set_cause(v1::FAILURE_CAUSE_DIVERGED);
      failed.mutable_failed()->set_message(absl::StrCat("fake failure at step ", step));
      Append(failed);
      fprintf(stderr, "fake failure\n");
      exit(Number(*fault));
    }
    if (Find("torn", step) != nullptr) {
      const char half[] = "{\"sequence\":\"";
      if (write(events_, half, sizeof half - 1) > 0) raise(SIGKILL);
    }
    if (Find("hang", step) != nullptr) {
      signal(SIGTERM, SIG_IGN);
      for (;;) pause();
    }
  }

  // Waits up to `milliseconds` for a command and obeys all that are there.
  void Obey(int milliseconds) {
    pollfd ask{control_, POLLIN, 0};
    while (poll(&ask, 1, milliseconds) > 0) {
      char command[32] = {};
      if (recv(control_, command, sizeof command - 1, 0) <= 0) break;
      if (strcmp(command, "stop") == 0) terminated = 1;
      if (strcmp(command, "checkpoint") == 0) Checkpoint();
      milliseconds = 0;
    }
    if (!terminated || ignores_stop_) return;
    Checkpoint();
    exit(75);
  }

  void Append(v1::RankEvent& event) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    event.set_sequence(++sequence_);
    event.set_time_seconds(static_cast<double>(now.tv_sec));
    event.set_step(step_);
    google::protobuf::util::JsonPrintOptions options;
    options.preserve_proto_field_names = true;
    options.always_print_primitive_fields = true;
    std::string line;
    const auto printed = google::protobuf::util::MessageToJsonString(event, &line, options);
    line += '\n';
    if (!printed.ok() || write(events_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
      exit(74);
  }

  double Loss() const {
    const auto seed = static_cast<uint64_t>(config_.spec().train().seed());
    return 3 + 4 * std::exp(-static_cast<double>(step_) / 50) +
           0.1 * Noise(seed, static_cast<uint64_t>(step_));
  }

  int64_t TokensPerStep() const {
    return int64_t{config_.spec().train().batch().sequences()} * config_.spec().data().context();
  }

  void Step() {
    v1::RankEvent event;
    v1::StepDone& done = *event.mutable_step_done();
    done.set_loss(Loss());
    done.set_lr(config_.spec().train().lr());
    done.set_gradient_norm(1 + Noise(1, static_cast<uint64_t>(step_)));
    done.set_tokens(step_ * TokensPerStep());
    done.set_tokens_per_second(1000);
    for (int layer = 0; layer < config_.spec().model().layers(); ++layer) {
      done.add_layer_gradient_norms(1.0 / (layer + 1));
      done.add_layer_activation_variances(layer + 1);
    }
    Append(event);
  }

  void Evaluate() {
    v1::RankEvent event;
    event.mutable_eval_done()->set_loss(Loss());
    event.mutable_eval_done()->set_perplexity(std::exp(Loss()));
    event.mutable_eval_done()->set_bits_per_byte(Loss() / 3);
    event.mutable_eval_done()->set_tokens(1000);
    Append(event);
  }

  void Checkpoint() {
    const std::string name = absl::StrFormat("checkpoints/step-%09d", step_);
    const fs::path folder = fs::path(config_.attempt_dir()) / name;
    fs::create_directories(folder);
    std::ofstream(folder / "step") << step_ << "\n";
    v1::RankEvent event;
    event.mutable_checkpoint_done()->set_path(name);
    event.mutable_checkpoint_done()->set_size_bytes(static_cast<int64_t>(fs::file_size(folder / "step")));
    Append(event);
    fsync(events_);
  }

  void Resume() {
    if (config_.resume_from().empty()) return;
    std::ifstream file(fs::path(config_.resume_from()) / "step");
    if (!(file >> step_)) {
      v1::RankEvent bad;
      bad.mutable_checkpoint_bad()->set_path(config_.resume_from());
      Append(bad);
      v1::RankEvent failed;
      failed.mutable_failed()->set_cause(v1::FAILURE_CAUSE_IO);
      failed.mutable_failed()->set_message(
          absl::StrCat("cannot read the checkpoint ", config_.resume_from()));
      Append(failed);
      exit(74);
    }
  }

  std::vector<Fault> faults_;
  v1::RankConfig config_;
  int events_ = -1;
  int control_ = -1;
  bool ignores_stop_ = false;
  int pace_milliseconds_ = 0;
  std::string swollen_;
  uint64_t sequence_ = 0;
  int64_t step_ = 0;
};

}  // namespace

int main() {
  mixln::worker::pulse::LeaveStacksOnSignal();
  mixln::worker::pulse::Open(mixln::worker::pulse::kFile);
  struct sigaction action {};
  action.sa_handler = [](int) { terminated = 1; };
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  return FakeTrainer().Run();
}
