#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

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

// c10d's process group, and the store by which it was made (group.h: c10d's headers are kept out of here).
struct Group;

// What the ranks of one attempt do together. All ranks call the same ones in the same order; one thread of a
// rank calls them. Results are the same bits in every run with the same number of ranks.
class Collectives {
 public:
  explicit Collectives(std::unique_ptr<Group> group);
  ~Collectives();

  int rank() const { return rank_; }
  int world_size() const { return world_size_; }

  // Fills `whole` [world_size · n]: each rank's n elements, in the order of ranks, from where they already
  // lie in its own `whole`.
  Pending AllGather(const at::Tensor& whole);

  // Gives rank r the r-th part of every rank's `whole` [world_size · n], in the order of ranks: `parts` of
  // the same size. Their sum is a reduce-scatter in a fixed order.
  Pending Exchange(const at::Tensor& whole, const at::Tensor& parts);

  // Sums over ranks, in place.
  void Sum(const at::Tensor& tensor);
  void Sum(std::span<double> numbers);

  // Small texts, by name. Any thread may call these. Get waits until the name has been set; it throws
  // error::PeerLostError once Abandon was called.
  void Publish(const std::string& name, const std::string& text);
  std::string Get(const std::string& name);
  // This rank is about to end: nobody is to wait any longer.
  void Abandon() { abandoned_ = true; }

 private:
  std::unique_ptr<Group> group_;
  int rank_;
  int world_size_;
  std::atomic<bool> abandoned_ = false;
};

}  // namespace mixln::worker::trainer::fsdp
