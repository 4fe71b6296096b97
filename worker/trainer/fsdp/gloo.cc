#include "worker/trainer/fsdp/gloo.h"

#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include <charconv>
#include <chrono>

#include "worker/trainer/error/error.h"
#include "worker/trainer/fsdp/group.h"

namespace mixln::worker::trainer::fsdp {
namespace {

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

}  // namespace

std::unique_ptr<Collectives> ConnectGloo(const GlooOptions& options) {
  const HostPort rendezvous = ParseRendezvous(options.rendezvous);
  const auto timeout = std::chrono::duration_cast<std::chrono::milliseconds>(options.timeout);
  try {
    c10d::TCPStoreOptions store_options;
    store_options.port = rendezvous.port;
    store_options.isServer = options.rank == 0;
    store_options.waitWorkers = false;
    store_options.timeout = timeout;
    if (options.listening_fd >= 0) store_options.masterListenFd = options.listening_fd;
    const auto store = c10::make_intrusive<c10d::PrefixStore>(
        options.group, c10::make_intrusive<c10d::TCPStore>(rendezvous.host, store_options));
    const auto gloo = c10d::ProcessGroupGloo::Options::create(timeout);
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(options.address));
    return std::make_unique<Collectives>(std::make_unique<Group>(Group{
        c10::make_intrusive<c10d::ProcessGroupGloo>(store, options.rank, options.world_size, gloo), store}));
  } catch (const std::exception& problem) {
    const std::string text = problem.what();
    throw error::PeerLostError("the " + std::to_string(options.world_size) +
                               " ranks did not come together at " + options.rendezvous + ": " +
                               text.substr(0, text.find('\n')) +
                               "; look whether the workers' hosts can reach each other");
  }
}

}  // namespace mixln::worker::trainer::fsdp
