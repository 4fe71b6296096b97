#include "worker/trainer/fsdp/gloo.h"

#include <ATen/Functions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <chrono>
#include <stdexcept>
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

// Beats while it waits.
void Await(c10d::Work& work) {
  constexpr std::chrono::seconds kBeatEvery(1);
  while (!work.isCompleted()) {
    try {
      work.wait(kBeatEvery);
    } catch (const std::exception&) {  // of the work, or that it takes longer
      pulse::Beat();
    }
  }
  work.wait();
}

// Calls `start`, which returns a Work, and `then` once that is done; what fails at once is a lost peer too.
template <typename Start, typename Then>
Pending Begin(const char* what, Start start, Then then) {
  pulse::BeginCollective();
  try {
    return Pending([work = start(), what, then]() mutable {
      try {
        Await(*work);
      } catch (const std::exception& problem) {
        ThrowPeerLost(what, problem);
      }
      then();
    });
  } catch (const std::exception& problem) {
    ThrowPeerLost(what, problem);
  }
}

class Gloo : public Collectives {
 public:
  Gloo(std::shared_ptr<Rendezvous> rendezvous, c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo)
      : Collectives(std::move(rendezvous)), gloo_(std::move(gloo)), received_(*this) {}

  std::string_view name() const override { return "Gloo"; }
  bool has_common_memory() const override { return false; }
  at::Tensor Common(int64_t, at::ScalarType) override {
    throw std::logic_error("ranks that Gloo joins have no memory in common");
  }
  at::Tensor Allocate(int64_t elements, at::ScalarType type) override { return at::empty({elements}, type); }

  int64_t mapped_bytes() const override { return 0; }

  Pending AllGather(const at::Tensor& whole) override {
    const int64_t part = whole.numel() / world_size();
    at::Tensor output = whole;
    at::Tensor input = whole.narrow(0, rank() * part, part);
    return Begin(
        "an all-gather", [&] { return gloo_->_allgather_base(output, input); }, [] {});
  }

  // An all-to-all and a sum here, as Gloo's own reduce-scatter would sum in an order of its own.
  Pending ReduceScatter(const at::Tensor& whole, const at::Tensor& part) override {
    at::Tensor received = received_.Take(whole.numel(), at::kFloat);
    return Begin(
        "a reduce-scatter of gradients",
        [&] {
          at::Tensor output = received;
          at::Tensor input = whole;
          std::vector<int64_t> even;
          return gloo_->alltoall_base(output, input, even, even);
        },
        [this, received, part]() mutable {
          std::vector<const float*> parts;
          for (int64_t r = 0; r < world_size(); ++r)
            parts.push_back(received.const_data_ptr<float>() + r * part.numel());
          AddInOrder(part.data_ptr<float>(), parts, part.numel());
          received_.Give(received);
        });
  }
  void Reclaim(const at::Tensor&) override {}  // others have copies

  void Sum(const at::Tensor& tensor) override {
    const at::Tensor all = at::empty({world_size() * tensor.numel()}, tensor.options());
    const at::Tensor parts = all.view({world_size(), -1});
    const at::Tensor flat = tensor.view(-1);
    parts[rank()].copy_(flat);
    AllGather(all).Wait();
    flat.copy_(parts[0]);
    for (int64_t r = 1; r < world_size(); ++r) flat.add_(parts[r]);
  }

  void Barrier() override {
    double nothing = 0;
    Sum(at::from_blob(&nothing, {1}, at::dtype(at::kDouble)));
  }

 private:
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo_;
  BufferPool received_;
};

}  // namespace

std::unique_ptr<Collectives> JoinByGloo(std::shared_ptr<Rendezvous> rendezvous) {
  const RankOptions& ranks = rendezvous->options();
  try {
    const auto gloo = c10d::ProcessGroupGloo::Options::create(
        std::chrono::duration_cast<std::chrono::milliseconds>(ranks.timeout));
    gloo->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(ranks.address));
    auto group = c10::make_intrusive<c10d::ProcessGroupGloo>(rendezvous->store().c10d, ranks.rank,
                                                             ranks.world_size, gloo);
    return std::make_unique<Gloo>(std::move(rendezvous), std::move(group));
  } catch (const std::exception& problem) {
    ThrowNotTogether(ranks, problem);
  }
}

}  // namespace mixln::worker::trainer::fsdp
