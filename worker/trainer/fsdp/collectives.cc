#include "worker/trainer/fsdp/collectives.h"

#include <ATen/Functions.h>

#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "worker/trainer/error/error.h"
#include "worker/trainer/fsdp/group.h"

namespace mixln::worker::trainer::fsdp {
namespace {

[[noreturn]] void ThrowPeerLost(const std::string& what, const std::exception& problem) {
  const std::string text = problem.what();
  throw error::PeerLostError("another rank was lost during " + what + ": " + text.substr(0, text.find('\n')));
}

// Calls `start`, which returns a Work; what fails at once is a lost peer too.
template <typename Start>
Pending Begin(const char* what, Start start) {
  try {
    return Pending([work = start(), what] {
      try {
        work->wait();
      } catch (const std::exception& problem) {
        ThrowPeerLost(what, problem);
      }
    });
  } catch (const std::exception& problem) {
    ThrowPeerLost(what, problem);
  }
}

}  // namespace

Collectives::Collectives(std::unique_ptr<Group> group)
    : group_(std::move(group)), rank_(group_->backend->getRank()), world_size_(group_->backend->getSize()) {}

Collectives::~Collectives() = default;

Pending Collectives::AllGather(const at::Tensor& whole) {
  return Begin("an all-gather of parameters", [&] {
    const int64_t part = whole.numel() / world_size_;
    at::Tensor output = whole;
    at::Tensor input = whole.narrow(0, rank_ * part, part);
    return group_->backend->_allgather_base(output, input);
  });
}

Pending Collectives::Exchange(const at::Tensor& whole, const at::Tensor& parts) {
  return Begin("a reduce-scatter of gradients", [&] {
    at::Tensor output = parts;
    at::Tensor input = whole;
    std::vector<int64_t> even;
    return group_->backend->alltoall_base(output, input, even, even);
  });
}

void Collectives::Sum(const at::Tensor& tensor) {
  std::vector<at::Tensor> tensors = {tensor};
  Begin("an all-reduce", [&] { return group_->backend->allreduce(tensors); }).Wait();
}

void Collectives::Sum(std::span<double> numbers) {
  Sum(at::from_blob(numbers.data(), {static_cast<int64_t>(numbers.size())}, at::dtype(at::kDouble)));
}

void Collectives::Publish(const std::string& name, const std::string& text) {
  try {
    group_->store->set(name, std::vector<uint8_t>(text.begin(), text.end()));
  } catch (const std::exception& problem) {
    ThrowPeerLost("an exchange of \"" + name + "\"", problem);
  }
}

std::string Collectives::Get(const std::string& name) {
  try {
    // Looks again and again: a waiting store could not be interrupted.
    while (!group_->store->check({name})) {
      if (abandoned_) throw std::runtime_error("given up");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    const std::vector<uint8_t> bytes = group_->store->get(name);
    return {bytes.begin(), bytes.end()};
  } catch (const std::exception& problem) {
    ThrowPeerLost("an exchange of \"" + name + "\"", problem);
  }
}

}  // namespace mixln::worker::trainer::fsdp
