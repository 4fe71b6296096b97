#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/trainer/device/device.h"
#include "worker/trainer/fsdp/rendezvous.h"

namespace mixln::worker::trainer::fsdp {

// A collective under way. Tensors given to it must stay as they are until Wait returns.
class Pending {
 public:
  Pending() = default;
  explicit Pending(std::function<void()> wait) : wait_(std::move(wait)) {}

  bool valid() const { return wait_ != nullptr; }
  // Throws error::PeerLostError when a peer is gone, or did not take part in time.
  void Wait() { std::exchange(wait_, nullptr)(); }

 private:
  std::function<void()> wait_;
};

// What the ranks of one attempt do together. All ranks call the same ones in the same order; one thread of a
// rank calls them. Sums are taken in the order of ranks, so that they are the same bits in every run with the
// same number of ranks, and whatever the ranks are joined by. All throw error::PeerLostError.
class Collectives {
 public:
  explicit Collectives(std::shared_ptr<Rendezvous> rendezvous) : rendezvous_(std::move(rendezvous)) {}
  virtual ~Collectives() = default;
  Collectives(const Collectives&) = delete;
  Collectives& operator=(const Collectives&) = delete;

  int rank() const { return rendezvous_->options().rank; }
  int world_size() const { return rendezvous_->options().world_size; }
  Rendezvous& rendezvous() { return *rendezvous_; }
  // What joins the ranks, for people.
  virtual std::string_view name() const = 0;

  // Whether the ranks have memory in common: what one writes there before a Barrier, all read after it.
  virtual bool has_common_memory() const = 0;
  // `elements` of it, zeros, for the life of this object; all ranks ask for the same ones in the same order.
  virtual at::Tensor Common(int64_t elements, at::ScalarType type) = 0;
  // Memory for what ReduceScatter is given, for the life of this object.
  virtual at::Tensor Allocate(int64_t elements, at::ScalarType type) = 0;

  // Bytes of this rank that tensors' own allocator does not know of, with its share of what is in common.
  virtual int64_t mapped_bytes() const = 0;

  // Fills `whole` [world_size · n]: each rank's n elements, in the order of ranks, from where they already
  // lie in its own `whole`. Memory in common has them since the last Barrier.
  virtual Pending AllGather(const at::Tensor& whole) = 0;

  // Adds to `part` [n] of rank r the r-th part of every rank's `whole` [world_size · n], fp32, in the order
  // of ranks. `whole` comes from Allocate.
  virtual Pending ReduceScatter(const at::Tensor& whole, const at::Tensor& part) = 0;
  // Waits until no other rank reads `whole` any more, whose ReduceScatter was waited for.
  virtual void Reclaim(const at::Tensor& whole) = 0;

  // Sums over ranks, in place. Tensors are contiguous.
  virtual void Sum(const at::Tensor& tensor) = 0;
  // The same of numbers on the host.
  void Sum(std::span<double> numbers);

  // Until all ranks have called it.
  virtual void Barrier() = 0;

 private:
  std::shared_ptr<Rendezvous> rendezvous_;
};

// Brings ranks that compute on such a device together, as the device joins them; those on CPUs over memory
// where they all are on one host and can map each other's, else over Gloo. Throws error::PeerLostError when
// they do not all come.
std::unique_ptr<Collectives> Connect(const RankOptions& options, const device::Device& device);

}  // namespace mixln::worker::trainer::fsdp
