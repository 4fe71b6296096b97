#include "worker/trainer/events/control_socket.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::events {
namespace {

volatile std::sig_atomic_t signalled = 0;

void OnStopSignal(int) {
  signalled = 1;
}

void SetHandler(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
}

}  // namespace

void Requests::OnDatagram(std::string_view command, base::Time now) {
  last_heard_ = now;
  if (command == "stop") stop_reason_ = "the agent asked for it";
  if (command == "checkpoint") checkpoint_ = true;
}

void Requests::OnSignal() {
  stop_reason_ = "a signal asked for it";
}

void Requests::OnTick(base::Time now) {
  if (last_heard_ && now - *last_heard_ >= kAgentSilence && stop_reason_.empty()) {
    stop_reason_ = "the agent has been silent for 5 minutes";
  }
}

bool Requests::TakeCheckpoint() {
  return std::exchange(checkpoint_, false);
}

ControlSocket::ControlSocket(std::string path)
    : path_(std::move(path)), fd_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path_.size() >= sizeof address.sun_path) {
    throw error::InputOutputError("cannot bind the control socket " + path_ + ": the path is too long");
  }
  path_.copy(address.sun_path, path_.size());
  unlink(path_.c_str());
  if (!fd_ || bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    throw error::InputOutputError("cannot bind the control socket " + path_ + ": " + std::strerror(errno));
  }
  SetHandler(OnStopSignal);
}

ControlSocket::~ControlSocket() {
  SetHandler(SIG_DFL);
  unlink(path_.c_str());
}

Requests& ControlSocket::Poll(base::Time now) {
  char datagram[64];
  while (true) {
    const ssize_t size = recv(fd_.get(), datagram, sizeof datagram, 0);
    if (size < 0) break;  // EAGAIN: nothing more
    requests_.OnDatagram({datagram, static_cast<size_t>(size)}, now);
  }
  if (signalled != 0) requests_.OnSignal();
  requests_.OnTick(now);
  return requests_;
}

}  // namespace mixln::worker::trainer::events
