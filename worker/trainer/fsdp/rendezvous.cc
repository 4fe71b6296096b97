#include "worker/trainer/fsdp/rendezvous.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <charconv>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "worker/trainer/error/error.h"
#include "worker/trainer/fsdp/store.h"

namespace mixln::worker::trainer::fsdp {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLookEvery(5);

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

HostPort ParseRendezvous(const std::string& text) {
  const size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string::npos && colon > 0) {
    parsed.host = text.substr(0, colon);
    const char* end = text.data() + text.size();
    const auto result = std::from_chars(text.data() + colon + 1, end, parsed.port);
    if (result.ec == std::errc() && result.ptr == end && parsed.port != 0) return parsed;
  }
  throw error::ConfigError("rendezvous: must be host:port, not \"" + text + "\"");
}

// c10's errors carry a stack trace below their first line.
std::string FirstLine(const std::exception& problem) {
  const std::string text = problem.what();
  return text.substr(0, text.find('\n'));
}

[[noreturn]] void ThrowPeerLost(const std::string& name, const std::exception& problem) {
  throw error::PeerLostError("another rank was lost during an exchange of \"" + name +
                             "\": " + FirstLine(problem));
}

}  // namespace

Rendezvous::Rendezvous(RankOptions options) : options_(std::move(options)) {
  const HostPort rendezvous = ParseRendezvous(options_.rendezvous);
  c10d::TCPStoreOptions store;
  store.port = rendezvous.port;
  store.isServer = options_.rank == 0;
  store.waitWorkers = false;
  store.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(options_.timeout);
  if (options_.listening_fd >= 0) store.masterListenFd = options_.listening_fd;
  try {
    store_ = std::make_unique<Store>(Store{c10::make_intrusive<c10d::PrefixStore>(
        options_.group, c10::make_intrusive<c10d::TCPStore>(rendezvous.host, store))});
  } catch (const std::exception& problem) {
    ThrowNotTogether(options_, problem);
  }
}

Rendezvous::Rendezvous(RankOptions options, std::unique_ptr<Store> store)
    : options_(std::move(options)), store_(std::move(store)) {}

Rendezvous::~Rendezvous() = default;

void Rendezvous::Publish(const std::string& name, const std::string& text) {
  try {
    store_->c10d->set(name, std::vector<uint8_t>(text.begin(), text.end()));
  } catch (const std::exception& problem) {
    ThrowPeerLost(name, problem);
  }
}

std::string Rendezvous::Get(const std::string& name, std::optional<base::Duration> timeout) {
  const auto begin = Clock::now();
  try {
    // Looks again and again: a waiting store could not be interrupted.
    while (!store_->c10d->check({name})) {
      if (abandoned_) throw std::runtime_error("given up");
      if (timeout && Clock::now() - begin > *timeout) throw std::runtime_error("waited in vain");
      std::this_thread::sleep_for(kLookEvery);
    }
    const std::vector<uint8_t> bytes = store_->c10d->get(name);
    return {bytes.begin(), bytes.end()};
  } catch (const std::exception& problem) {
    ThrowPeerLost(name, problem);
  }
}

void ThrowNotTogether(const RankOptions& options, const std::exception& problem) {
  throw error::PeerLostError("the " + std::to_string(options.world_size) +
                             " ranks did not come together at " + options.rendezvous + ": " +
                             FirstLine(problem) + "; look whether the workers' hosts can reach each other");
}

}  // namespace mixln::worker::trainer::fsdp
