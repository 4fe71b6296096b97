#include "agent_host.h"

#include <poll.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "absl/strings/numbers.h"
#include "base/clock/clock.h"
#include "worker/agent/slots.h"

namespace mixln::worker::agent {

namespace fs = std::filesystem;

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // between two looks, not for an event
  }
  return true;
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "mixln-agent-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  fs::remove_all(path_);
}

v1::Reserve MakeReserve(int64_t steps, uint64_t epoch) {
  v1::Reserve reserve;
  reserve.set_trial_id("sweep-0");
  reserve.mutable_fence()->set_term(3);
  reserve.mutable_fence()->set_epoch(epoch);
  reserve.set_world_size(1);
  reserve.add_ranks()->set_slot(0);
  reserve.set_trial_dir("trials/sweep-uid/0");
  reserve.mutable_labels()->set_sweep("sweep");
  reserve.mutable_labels()->set_trial("sweep-0");
  reserve.mutable_labels()->set_placement("mix");
  reserve.mutable_labels()->set_alpha("0.25");
  reserve.mutable_labels()->set_seed("7");
  v1::TrialSpec& spec = *reserve.mutable_spec();
  spec.mutable_data()->add_source("corpus.txt");
  spec.mutable_data()->set_context(16);
  spec.mutable_model()->set_layers(2);
  spec.mutable_train()->set_steps(steps);
  spec.mutable_train()->set_seed(7);
  spec.mutable_train()->mutable_batch()->set_sequences(4);
  spec.mutable_checkpoint()->set_every_steps(5);
  return reserve;
}

AgentOptions MakeAgentOptions(const fs::path& folder) {
  AgentOptions options;
  options.state_folder = folder / "state";
  options.artifacts = folder / "artifacts";
  options.shim_program = fs::read_symlink("/proc/self/exe");
  options.trainer = FAKE_TRAINER;
  options.prepare = folder / "prepare";
  v1::Slot& slot = options.slots.emplace_back();
  slot.set_gpu(-1);
  for (const int cpu : ReadMachine().cpus) {
    slot.add_cpus(cpu);
    break;
  }
  if (!fs::exists(options.prepare)) {
    std::ofstream(options.prepare) << "#!/bin/sh\n"
                                      "echo '{\"phase\":\"tokenizing\",\"fraction\":0.43}'\n"
                                      "echo '{\"dataset_dir\":\"/shards\"}'\n";
    chmod(options.prepare.c_str(), 0755);
  }
  return options;
}

HostedAgent::HostedAgent(AgentOptions options) {
  auto agent = Agent::Open(std::move(options));
  if (!agent.ok()) throw std::runtime_error(agent.status().ToString());
  agent_ = std::move(*agent);
  auto adopted = agent_->Adopt();
  if (!adopted.ok()) throw std::runtime_error(adopted.status().ToString());
  events_ = std::move(*adopted);
}

void HostedAgent::Order(const session::Order& order) {
  const absl::Status status = agent_->Execute(order, base::ReadClock().steady, events_);
  if (!status.ok()) throw std::runtime_error(status.ToString());
}

void HostedAgent::Poll() {
  for (session::Event& event : agent_->Poll(base::ReadClock().steady)) events_.push_back(std::move(event));
}

bool HostedAgent::Run(const v1::Reserve& reserve) {
  Order(session::Prepare{reserve});
  if (Wait<session::Prepared>() == nullptr) return false;
  Order(session::StartRanks{session::KeyOf(reserve), ""});
  return Find<session::RanksStarted>() != nullptr;
}

std::vector<v1::RankEvent> HostedAgent::ReadAll(const session::AttemptKey& key, uint64_t after) {
  std::vector<v1::RankEvent> all;
  for (;;) {
    Order(session::ReadEvents{key, 0, after, 256});
    const auto read = std::get<session::EventsRead>(events_.back());
    events_.pop_back();
    if (read.events.empty()) return all;
    if (read.events.size() > 256) throw std::runtime_error("a batch of more than was asked for");
    after = read.events.back().sequence();
    all.insert(all.end(), read.events.begin(), read.events.end());
  }
}

int HostAgent(const char* folder, const char* steps) {
  int64_t count = 0;
  if (!absl::SimpleAtoi(steps, &count)) return 1;
  HostedAgent host(MakeAgentOptions(folder));
  if (!host.Run(MakeReserve(count))) return 1;
  for (;;) {
    host.Poll();
    poll(nullptr, 0, 5);
  }
}

}  // namespace mixln::worker::agent
