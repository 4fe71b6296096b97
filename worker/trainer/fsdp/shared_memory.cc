#include "worker/trainer/fsdp/shared_memory.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <deque>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

#include "worker/pulse/pulse.h"
#include "worker/trainer/fsdp/meeting.h"

namespace mixln::worker::trainer::fsdp {
namespace {

std::vector<Place*> PlacesOf(const HostMemory& memory, int world_size) {
  std::vector<Place*> places;
  for (int rank = 0; rank < world_size; ++rank) places.push_back(&memory.place(rank));
  return places;
}

class SharedMemory : public Collectives {
 public:
  SharedMemory(std::shared_ptr<Rendezvous> rendezvous, std::unique_ptr<HostMemory> memory,
               const device::Device& device)
      : Collectives(std::move(rendezvous)),
        device_(device),
        memory_(std::move(memory)),
        meeting_(
            rank(), PlacesOf(*memory_, world_size()), [this](int peer) { return memory_->HasEnded(peer); },
            Collectives::rendezvous().options().timeout) {}

  std::string_view name() const override { return "shared memory"; }
  bool has_common_memory() const override { return true; }
  at::Tensor Common(int64_t elements, at::ScalarType type) override {
    const size_t bytes = static_cast<size_t>(elements) * at::elementSize(type);
    common_bytes_ += static_cast<int64_t>(bytes);
    return Over(memory_->TakeCommon(bytes), elements, type);
  }
  at::Tensor Allocate(int64_t elements, at::ScalarType type) override {
    const size_t bytes = static_cast<size_t>(elements) * at::elementSize(type);
    own_bytes_ += static_cast<int64_t>(bytes);
    return Over(memory_->Take(bytes), elements, type);
  }

  int64_t mapped_bytes() const override { return own_bytes_ + common_bytes_ / world_size(); }

  Pending AllGather(const at::Tensor& whole) override {
    if (!memory_->IsCommon(whole.const_data_ptr()))
      throw std::logic_error("an all-gather over shared memory is of memory in common");
    return Pending([] {});
  }

  Pending ReduceScatter(const at::Tensor& whole, const at::Tensor& part) override {
    const size_t offset = memory_->OffsetOf(whole.const_data_ptr());
    const uint32_t number = Next();
    reduced_[offset] = number;
    meeting_.Begin(number, offset);
    open_.push_back({number, [this, number, part] { AddParts(number, part); }});
    return Pending([this, number] { FinishUpTo(number); });
  }

  void Reclaim(const at::Tensor& whole) override {
    const auto last = reduced_.find(memory_->OffsetOf(whole.const_data_ptr()));
    if (last != reduced_.end()) meeting_.AwaitDone(last->second);
  }

  void Sum(const at::Tensor& tensor) override {
    const at::Tensor flat = tensor.view(-1);
    const int64_t most = static_cast<int64_t>(HostMemory::kStageBytes) / flat.element_size();
    for (int64_t first = 0; first < flat.numel(); first += most)
      SumPiece(flat.narrow(0, first, std::min(most, flat.numel() - first)));
  }

  void Barrier() override {
    const uint32_t number = Next();
    meeting_.Begin(number);
    FinishUpTo(number - 1);
    meeting_.AwaitBegun(number);
    meeting_.Leave(number);
  }

 private:
  struct Open {
    uint32_t number;
    std::function<void()> finish;
  };

  static at::Tensor Over(std::byte* memory, int64_t elements, at::ScalarType type) {
    return at::from_blob(memory, {elements}, at::dtype(type));
  }

  // Meetings are left in order, so one that comes later ends those before it.
  void FinishUpTo(uint32_t number) {
    while (!open_.empty() && static_cast<int32_t>(open_.front().number - number) <= 0) {
      const Open open = std::move(open_.front());
      open_.pop_front();
      meeting_.AwaitBegun(open.number);
      open.finish();
      meeting_.Leave(open.number);
    }
  }
  uint32_t Next() {
    if (open_.size() >= Meeting::kKept) FinishUpTo(open_.front().number);
    pulse::BeginCollective();
    return meeting_.Next();
  }

  void AddParts(uint32_t number, const at::Tensor& part) {
    std::vector<at::Tensor> parts;
    parts.reserve(static_cast<size_t>(world_size()));
    for (int peer = 0; peer < world_size(); ++peer) {
      auto* whole = reinterpret_cast<float*>(memory_->At(peer, meeting_.Given(peer, number)));
      parts.push_back(at::from_blob(whole + rank() * part.numel(), part.sizes(), part.options()));
    }
    device_.add_in_order(part, parts);
  }

  void SumPiece(const at::Tensor& piece) {
    const uint32_t number = Next();
    const size_t at = number % Meeting::kKept;
    const auto given = [&](int peer) {
      return at::from_blob(memory_->stage(peer, at), piece.sizes(), piece.options());
    };
    given(rank()).copy_(piece);
    meeting_.Begin(number);
    FinishUpTo(number - 1);
    meeting_.AwaitBegun(number);
    piece.copy_(given(0));
    for (int peer = 1; peer < world_size(); ++peer) piece.add_(given(peer));
    meeting_.Leave(number);
  }

  const device::Device& device_;
  std::unique_ptr<HostMemory> memory_;
  Meeting meeting_;
  int64_t own_bytes_ = 0;
  int64_t common_bytes_ = 0;
  std::deque<Open> open_;               // begun and not waited for
  std::map<size_t, uint32_t> reduced_;  // by offset: the last meeting in which others read it
};

}  // namespace

std::unique_ptr<Collectives> JoinByMemory(std::shared_ptr<Rendezvous> rendezvous,
                                          std::unique_ptr<HostMemory> memory, const device::Device& device) {
  return std::make_unique<SharedMemory>(std::move(rendezvous), std::move(memory), device);
}

}  // namespace mixln::worker::trainer::fsdp
