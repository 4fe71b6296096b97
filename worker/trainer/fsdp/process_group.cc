#include "worker/trainer/fsdp/process_group.h"

#include <ATen/Functions.h>
#include <torch/csrc/distributed/c10d/Backend.hpp>

#include <chrono>
#include <exception>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "worker/pulse/pulse.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/fsdp/buffer_pool.h"
#include "worker/trainer/fsdp/store.h"

namespace mixln::worker::trainer::fsdp {
namespace {

[[noreturn]] void ThrowPeerLost(const std::string& what, const std::exception& problem) {
  const std::string text = problem.what();
  throw error::PeerLostError("another rank was lost during " + what + ": " + text.substr(0, text.find('\n')));
}

constexpr std::chrono::seconds kBeatEvery(1);

// Beats while it waits.
void Await(c10d::Work& work) {
  while (!work.isCompleted()) {
    try {
      work.wait(kBeatEvery);
    } catch (const std::exception&) {  // of the work, or that it takes longer
      pulse::Beat();
    }
  }
  work.wait();
}

// The same of a group whose wait returns early: it is asked again and again.
void Watch(c10d::Work& work) {
  constexpr std::chrono::microseconds kLookEvery(50);
  auto beaten = std::chrono::steady_clock::now();
  while (!work.isCompleted()) {
    std::this_thread::sleep_for(kLookEvery);
    if (const auto now = std::chrono::steady_clock::now(); now - beaten > kBeatEvery) {
      pulse::Beat();
      beaten = now;
    }
  }
  if (const std::exception_ptr problem = work.exception()) std::rethrow_exception(problem);
  work.wait();
}

class ByProcessGroup : public Collectives {
 public:
  ByProcessGroup(std::shared_ptr<Rendezvous> rendezvous, ProcessGroup group, const device::Device& device)
      : Collectives(std::move(rendezvous)), group_(std::move(group)), device_(device), received_(*this) {}

  std::string_view name() const override { return group_.name; }
  bool has_common_memory() const override { return false; }
  at::Tensor Common(int64_t, at::ScalarType) override {
    throw std::logic_error("ranks that a process group joins have no memory in common");
  }
  at::Tensor Allocate(int64_t elements, at::ScalarType type) override {
    return at::empty({elements}, device_.options(type));
  }

  int64_t mapped_bytes() const override { return 0; }

  Pending AllGather(const at::Tensor& whole) override {
    const int64_t part = whole.numel() / world_size();
    at::Tensor output = whole;
    at::Tensor input = whole.narrow(0, rank() * part, part);
    return Begin(
        "an all-gather", [&] { return group_.backend->_allgather_base(output, input); }, [] {},
        group_.host_waits);
  }

  // An all-to-all and a sum here, as the group's own reduce-scatter would sum in an order of its own.
  Pending ReduceScatter(const at::Tensor& whole, const at::Tensor& part) override {
    at::Tensor received = received_.Take(whole.numel(), at::kFloat);
    return Begin(
        "a reduce-scatter of gradients",
        [&] {
          at::Tensor output = received;
          at::Tensor input = whole;
          std::vector<int64_t> even;
          return group_.backend->alltoall_base(output, input, even, even);
        },
        [this, received, part]() mutable {
          std::vector<at::Tensor> parts;
          parts.reserve(static_cast<size_t>(world_size()));
          for (int64_t r = 0; r < world_size(); ++r)
            parts.push_back(received.narrow(0, r * part.numel(), part.numel()));
          device_.add_in_order(part, parts);
          received_.Give(received);
        },
        group_.host_waits);
  }
  void Reclaim(const at::Tensor&) override {}  // others have copies

  void Sum(const at::Tensor& tensor) override {
    const at::Tensor all = at::empty({world_size() * tensor.numel()}, device_.options(tensor.scalar_type()));
    const at::Tensor parts = all.view({world_size(), -1});
    const at::Tensor flat = tensor.view(-1);
    parts[rank()].copy_(flat);
    at::Tensor output = all;
    at::Tensor input = parts[rank()];
    // The host needs the sum, and hears here of a rank that is lost.
    Begin(
        "a sum", [&] { return group_.backend->_allgather_base(output, input); }, [] {}, true)
        .Wait();
    at::Tensor sum = parts[0].clone();
    for (int64_t r = 1; r < world_size(); ++r) sum.add_(parts[r]);
    flat.copy_(sum);
  }

  void Barrier() override {
    double nothing = 0;
    Collectives::Sum(std::span(&nothing, 1));
  }

 private:
  // Calls `start`, which returns a Work, and `then` once that is done, for the host too where it waits; what
  // fails at once is a lost peer too.
  template <typename Start, typename Then>
  Pending Begin(const char* what, Start start, Then then, bool host_waits) {
    pulse::BeginCollective();
    try {
      return Pending([work = start(), host_waits, waits = group_.host_waits, what, then]() mutable {
        try {
          if (!host_waits) {
            work->wait();
          } else if (waits) {
            Await(*work);
          } else {
            Watch(*work);
          }
        } catch (const std::exception& problem) {
          ThrowPeerLost(what, problem);
        }
        then();
      });
    } catch (const std::exception& problem) {
      ThrowPeerLost(what, problem);
    }
  }

  ProcessGroup group_;
  const device::Device& device_;
  BufferPool received_;
};

}  // namespace

std::unique_ptr<Collectives> JoinByProcessGroup(std::shared_ptr<Rendezvous> rendezvous, ProcessGroup group,
                                                const device::Device& device) {
  return std::make_unique<ByProcessGroup>(std::move(rendezvous), std::move(group), device);
}

std::unique_ptr<Collectives> JoinByDevice(std::shared_ptr<Rendezvous> rendezvous,
                                          const device::Device& device) {
  const RankOptions& ranks = rendezvous->options();
  try {
    ProcessGroup group;
    group.backend = device.join({rendezvous->store().c10d, ranks.rank, ranks.world_size,
                                 std::chrono::duration_cast<std::chrono::milliseconds>(ranks.timeout)});
    group.name = group.backend->getBackendName();
    group.host_waits = false;
    return JoinByProcessGroup(std::move(rendezvous), std::move(group), device);
  } catch (const std::exception& problem) {
    ThrowNotTogether(ranks, problem);
  }
}

}  // namespace mixln::worker::trainer::fsdp
