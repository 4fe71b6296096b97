#include "worker/trainer/fsdp/unit.h"

#include <ATen/Functions.h>

#include <functional>
#include <numeric>
#include <stdexcept>

#include "worker/trainer/kernels/philox.h"

namespace mixln::worker::trainer::fsdp {
namespace {

// 64 bytes of bf16; twice that of fp32.
constexpr int64_t kAlignment = 32;

int64_t Aligned(int64_t offset) {
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

Unit::Unit(const std::vector<ParameterSpec>& parameters, bool bf16) {
  int64_t end = 0;
  for (const ParameterSpec& parameter : parameters) {
    Segment segment;
    segment.name = parameter.name;
    segment.shape = parameter.shape;
    segment.offset = parameter.joined ? end : Aligned(end);
    segment.size =
        std::accumulate(parameter.shape.begin(), parameter.shape.end(), int64_t{1}, std::multiplies<>());
    segment.decays = parameter.shape.size() > 1;
    end = segment.offset + segment.size;
    segments_.push_back(std::move(segment));
  }
  master_ = at::zeros({Aligned(end)}, at::kFloat);
  gradient_ = at::zeros_like(master_);
  exp_avg_ = at::zeros_like(master_);
  exp_avg_sq_ = at::zeros_like(master_);
  if (bf16) compute_ = at::zeros({Aligned(end)}, at::kBFloat16);
}

const Segment& Unit::Find(const std::string& name) const {
  for (const Segment& segment : segments_) {
    if (segment.name == name) return segment;
  }
  throw std::out_of_range("the unit has no parameter " + name);
}

at::Tensor Unit::View(const at::Tensor& flat, const Segment& segment) {
  return flat.narrow(0, segment.offset, segment.size).view(segment.shape);
}

at::Tensor Unit::Joined(const at::Tensor& flat, const std::string& name, int joined) const {
  const Segment* first = &Find(name);
  int64_t size = first->size;
  for (int i = 1; i <= joined; ++i) size += first[i].size;
  return flat.narrow(0, first->offset, size).view({-1, first->shape.at(1)});
}

at::Tensor Unit::Matrix(const std::string& name, int joined) const {
  return Joined(compute_.defined() ? compute_ : master_, name, joined);
}

at::Tensor Unit::MatrixGradient(const std::string& name, int joined) const {
  return Joined(gradient_, name, joined);
}

void Unit::CastMaster() {
  if (compute_.defined()) compute_.copy_(master_);
}

void Initialize(Unit& unit, const std::vector<ParameterSpec>& parameters, uint64_t seed) {
  for (const ParameterSpec& parameter : parameters) {
    at::Tensor master = unit.Master(unit.Find(parameter.name));
    if (parameter.shape.size() == 1) {
      master.fill_(parameter.start_value);
    } else {
      kernels::FillNormal(seed, parameter.name, parameter.standard_deviation, 0, master.numel(),
                          master.data_ptr<float>());
    }
  }
  unit.CastMaster();
}

}  // namespace mixln::worker::trainer::fsdp
