#include "worker/trainer/fsdp/unit.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "worker/trainer/kernels/philox.h"

namespace mixln::worker::trainer::fsdp {

Unit::State Unit::Zeros(at::Tensor master) {
  State state;
  state.master = std::move(master);
  state.gradient = at::zeros_like(state.master);
  state.exp_avg = at::zeros_like(state.master);
  state.exp_avg_sq = at::zeros_like(state.master);
  return state;
}

Unit::Unit(const device::Device& device, const std::vector<ParameterSpec>& parameters, Compute compute,
           const Sharding& sharding)
    : device_(&device), layout_(MakeLayout(parameters)), compute_(compute), sharding_(sharding) {
  Collectives* ranks = sharding_.ranks;
  owned_ = ranks == nullptr ? Range{0, layout_.matrices}
                            : OwnedBy(ranks->rank(), ranks->world_size(), layout_.matrices);
  padded_ = ranks == nullptr ? layout_.matrices : owned_.elements * ranks->world_size();
  kept_ = ranks == nullptr || ranks->has_common_memory();
  if (kept_) {
    const auto zeros = [&](at::ScalarType type) {
      return ranks == nullptr ? at::zeros({padded_}, device.options(type)) : ranks->Common(padded_, type);
    };
    if (compute_ != Compute::kBf16) fp32_ = zeros(at::kFloat);
    if (compute_ != Compute::kFp32) bf16_ = zeros(at::kBFloat16);
  }
  matrices_ =
      Zeros(fp32_.defined() ? Owned(fp32_) : at::zeros({owned_.elements}, device.options(at::kFloat)));
  vectors_ = Zeros(at::zeros({layout_.vectors}, device.options(at::kFloat)));
  if (ranks == nullptr) gradient_ = matrices_.gradient;
  MakePieces();
}

at::Tensor Unit::Owned(const at::Tensor& whole) const {
  return whole.narrow(0, owned_.begin, owned_.elements);
}

void Unit::MakePieces() {
  for (const Segment& segment : layout_.segments) {
    Piece piece;
    piece.segment = &segment;
    piece.replicated = segment.is_vector();
    const State& state = piece.replicated ? vectors_ : matrices_;
    const Range whole{segment.offset, segment.size};
    piece.range = piece.replicated ? Range{0, segment.size} : Overlap(whole, owned_);
    const int64_t first = piece.replicated ? 0 : owned_.begin;
    const int64_t at = piece.range.elements == 0 ? 0 : segment.offset + piece.range.begin - first;
    const auto view = [&](const at::Tensor& flat) { return flat.narrow(0, at, piece.range.elements); };
    piece.master = view(state.master);
    piece.gradient = view(state.gradient);
    piece.exp_avg = view(state.exp_avg);
    piece.exp_avg_sq = view(state.exp_avg_sq);
    if (!piece.replicated && bf16_.defined()) piece.compute = view(Owned(bf16_));
    pieces_.push_back(std::move(piece));
  }
}

const Segment& Unit::FindSegment(const std::string& name) const {
  for (const Segment& segment : layout_.segments) {
    if (segment.name == name) return segment;
  }
  throw std::out_of_range("the unit has no parameter " + name);
}

at::Tensor Unit::Vector(const std::string& name) const {
  const Segment& segment = FindSegment(name);
  return vectors_.master.narrow(0, segment.offset, segment.size);
}

at::Tensor Unit::VectorGradient(const std::string& name) const {
  const Segment& segment = FindSegment(name);
  return vectors_.gradient.narrow(0, segment.offset, segment.size);
}

MatrixRange Unit::Find(const std::string& name, int joined) const {
  const Segment* first = &FindSegment(name);
  MatrixRange matrix{first->offset, first->size, first->shape.at(1)};
  for (int i = 1; i <= joined; ++i) matrix.size += first[i].size;
  return matrix;
}

at::Tensor Unit::View(const at::Tensor& flat, const MatrixRange& matrix) const {
  return flat.narrow(0, matrix.offset, matrix.size).view({-1, matrix.columns});
}

at::Tensor Unit::Weight(const MatrixRange& matrix) const {
  return View(compute_ == Compute::kFp32 ? fp32_ : bf16_, matrix);
}

at::Tensor Unit::Fp32Weight(const MatrixRange& matrix) const {
  return View(fp32_, matrix);
}

at::Tensor Unit::Gradient(const MatrixRange& matrix) const {
  return View(gradient_, matrix);
}

void Unit::StartGather() {
  if (!sharded() || gathered_ || gathering_.valid()) return;
  at::Tensor& whole = compute_ == Compute::kBf16 ? bf16_ : fp32_;
  if (!kept_) {
    whole = sharding_.pool->Take(padded_, compute_ == Compute::kBf16 ? at::kBFloat16 : at::kFloat);
    Owned(whole).copy_(matrices_.master);
  }
  gathering_ = sharding_.ranks->AllGather(whole);
}

void Unit::WaitGather() {
  if (!sharded() || gathered_) return;
  StartGather();
  gathering_.Wait();
  gathered_ = true;
  if (compute_ != Compute::kBoth || kept_) return;
  bf16_ = sharding_.pool->Take(padded_, at::kBFloat16);
  bf16_.copy_(fp32_);
}

void Unit::Release() {
  if (!sharded() || kept_) return;
  if (gathering_.valid()) WaitGather();
  if (!gathered_) return;
  for (at::Tensor* whole : {&fp32_, &bf16_}) {
    if (whole->defined()) sharding_.pool->Give(*whole);
  }
  gathered_ = false;
}

void Unit::TakeGradient() {
  if (!sharded() || gradient_.defined()) return;
  gradient_ = sharding_.pool->Take(padded_, at::kFloat);
  sharding_.ranks->Reclaim(gradient_);
  gradient_.zero_();
}

void Unit::StartReduce() {
  if (!sharded() || sharding_.accumulate == Accumulate::kNoSync) return;
  reducing_ = sharding_.ranks->ReduceScatter(gradient_, matrices_.gradient);
}

void Unit::WaitReduce() {
  if (!reducing_.valid()) return;
  reducing_.Wait();
  sharding_.pool->Give(gradient_);
}

void Unit::Reduce() {
  if (!sharded() || sharding_.accumulate != Accumulate::kNoSync || !gradient_.defined()) return;
  reducing_ = sharding_.ranks->ReduceScatter(gradient_, matrices_.gradient);
  WaitReduce();
}

void Unit::Refresh() {
  if (kept_ && bf16_.defined()) Owned(bf16_).copy_(matrices_.master);
  Release();
}

void Unit::SquareGradient(const at::Tensor& sums) const {
  device_->sum_of_squares(matrices_.gradient, sums.narrow(0, 0, 1));
  if (counts_vectors()) device_->sum_of_squares(vectors_.gradient, sums.narrow(0, 1, 1));
}

void Initialize(Unit& unit, const std::vector<ParameterSpec>& parameters, uint64_t seed) {
  for (const Piece& piece : unit.pieces()) {
    const auto parameter = std::find_if(parameters.begin(), parameters.end(), [&](const ParameterSpec& its) {
      return its.name == piece.segment->name;
    });
    at::Tensor master = piece.master;
    if (piece.segment->is_vector()) {
      master.fill_(parameter->start_value);
    } else {
      constexpr int64_t kElements = 16384;   // of a thread at least
      const at::Tensor host = master.cpu();  // on CPUs the master itself
      float* data = host.data_ptr<float>();
      at::parallel_for(0, piece.range.elements, kElements, [&](int64_t begin, int64_t end) {
        kernels::FillNormal(seed, parameter->name, parameter->standard_deviation, piece.range.begin + begin,
                            end - begin, data + begin);
      });
      master.copy_(host);
    }
  }
  unit.Refresh();
}

}  // namespace mixln::worker::trainer::fsdp
