// An agent with a fake trainer and a fake mixln-prepare below a temporary folder, for tests; and the same in
// a process of its own that can be killed.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "mixln/v1/session.pb.h"
#include "worker/agent/agent.h"

namespace mixln::worker::agent {

inline constexpr char kHostAgent[] = "host-agent";

// Looks until `condition` holds, at most for half a minute; false if it never did.
bool Eventually(const std::function<bool()>& condition);

// A folder that is deleted with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// An attempt of one rank in slot 0.
v1::Reserve MakeReserve(int64_t steps, uint64_t epoch = 1);

// Options for an agent below the folder; prepare is a script written there that reports progress and a data
// folder.
AgentOptions MakeAgentOptions(const std::filesystem::path& folder);

// The agent and what it said, driven by hand.
class HostedAgent {
 public:
  explicit HostedAgent(AgentOptions options);

  void Order(const session::Order& order);
  // Polls until an event of this kind has come; null if none ever did.
  template <typename Kind>
  const Kind* Wait() {
    const Kind* found = nullptr;
    Eventually([&] {
      Poll();
      return (found = Find<Kind>()) != nullptr;
    });
    return found;
  }
  template <typename Kind>
  const Kind* Find() const {
    for (const session::Event& event : events_)
      if (const Kind* kind = std::get_if<Kind>(&event)) return kind;
    return nullptr;
  }
  void Poll();
  // Reserve and start.
  bool Run(const v1::Reserve& reserve);
  // Numbers of all events that rank 0 has, read in batches from `after` on.
  std::vector<v1::RankEvent> ReadAll(const session::AttemptKey& key, uint64_t after = 0);

  Agent& agent() { return *agent_; }
  const std::vector<session::Event>& events() const { return events_; }

 private:
  std::unique_ptr<Agent> agent_;
  std::vector<session::Event> events_;
};

// Main of the process that can be killed: runs one attempt of `steps` steps below `folder` and drives the
// agent for ever.
int HostAgent(const char* folder, const char* steps);

}  // namespace mixln::worker::agent
