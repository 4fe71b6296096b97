// What the agent, or a signal, asks of a rank: the datagram socket `control` of docs/rank-contract.md, and
// SIGTERM and SIGINT.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/file/unique_fd.h"
#include "base/time/time.h"

namespace mixln::worker::trainer::events {

// What has been asked so far; a pure value.
class Requests {
 public:
  // A rank that has heard from an agent, and then nothing for so long, has lost it.
  static constexpr base::Duration kAgentSilence = base::Seconds(300);

  // A datagram came at `now`. Unknown words are an agent's of another release: they show that it lives.
  void OnDatagram(std::string_view command, base::Time now);
  // SIGTERM or SIGINT came.
  void OnSignal();
  // Time went on.
  void OnTick(base::Time now);

  // Why to write a checkpoint and exit; empty: go on. Never taken back.
  const std::string& stop_reason() const { return stop_reason_; }
  // Whether a checkpoint was asked for since the last call.
  bool TakeCheckpoint();

 private:
  std::string stop_reason_;
  bool checkpoint_ = false;
  std::optional<base::Time> last_heard_;
};

// The socket and the signals, feeding a Requests. One in a process.
class ControlSocket {
 public:
  // Binds `path` (relative, so that it is short enough for a socket's address), replacing what a killed rank
  // left there, and takes SIGTERM and SIGINT. Throws error::InputOutputError.
  explicit ControlSocket(std::string path);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

  // Takes in all that has come; never waits. `now` is a steady time.
  Requests& Poll(base::Time now);

 private:
  std::string path_;
  base::UniqueFd fd_;
  Requests requests_;
};

}  // namespace mixln::worker::trainer::events
