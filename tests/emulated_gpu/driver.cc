// The host in the place of CUDA's and LibTorch's libraries: "the device's" memory is the host's, products are
// loops written from BLAS's definition, attention is LibTorch's for CPUs, and Gloo joins ranks. With the
// kernels over the emulator it makes the plugin for GPUs whole, without a GPU.
//
// MIXLN_EMULATED_GPU says what machine this is: empty, one with a GPU; "none", "no driver", "old driver",
// "old gpu".
#include "worker/trainer/cuda/plugin/driver.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cstdlib>
#include <limits>
#include <string_view>

#include "worker/trainer/kernels/bf16.h"

namespace mixln::worker::trainer::cuda {
namespace {

std::string_view Kind() {
  const char* kind = std::getenv("MIXLN_EMULATED_GPU");
  return kind == nullptr ? "" : kind;
}

float Read(const void* data, at::ScalarType type, int64_t at) {
  return type == at::kBFloat16 ? kernels::Load(static_cast<const kernels::Bf16*>(data) + at)
                               : static_cast<const float*>(data)[at];
}

}  // namespace

Machine FindGpus() {
  if (Kind() == "none") return {};
  if (Kind() == "no driver") return {0, "this machine has no NVIDIA driver; install one, or train on CPUs"};
  if (Kind() == "old driver") return {0, "this machine's NVIDIA driver is too old: it knows CUDA 12.4"};
  return {1, ""};
}
Gpu Describe(int /*gpu*/) {
  const bool old = Kind() == "old gpu";
  return {"Emulated", old ? 7 : 9, old ? 5 : 0, /*peak_size=*/16};
}
at::Device Use(int /*gpu*/, bool deterministic) {
  at::globalContext().setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  at::globalContext().setDeterministicFillUninitializedMemory(false);
  return at::kCPU;
}
Stream CurrentStream() {
  return nullptr;
}
int64_t AvailableBytes() {
  return std::numeric_limits<int64_t>::max();
}
int64_t PeakBytes() {
  return 0;
}

// c[i, j] = Σ op(a)[i, l]·op(b)[l, j], columns behind columns.
void Multiply(const Gemm& gemm) {
  const auto element = [&](const Gemm::Operand& from, int64_t row, int64_t column) {
    return Read(from.data, gemm.operands,
                from.transposed ? column + row * from.lead : row + column * from.lead);
  };
  for (int64_t j = 0; j < gemm.n; ++j) {
    for (int64_t i = 0; i < gemm.m; ++i) {
      const int64_t at = i + j * gemm.c_lead;
      float sum = 0;
      for (int64_t l = 0; l < gemm.k; ++l) sum += element(gemm.a, i, l) * element(gemm.b, l, j);
      if (gemm.add) sum += Read(gemm.c, gemm.result, at);
      if (gemm.result == at::kBFloat16) {
        kernels::Store(sum, static_cast<kernels::Bf16*>(gemm.c) + at);
      } else {
        kernels::Store(sum, static_cast<float*>(gemm.c) + at);
      }
    }
  }
}

Flash FlashAttention(const Heads& heads) {
  const auto [output, lse] =
      at::_scaled_dot_product_flash_attention_for_cpu(heads.queries, heads.keys, heads.values, 0.0, true);
  return {output, lse, {}};
}
Heads FlashAttentionBackward(const Heads& heads, const Flash& flash, const at::Tensor& doutput) {
  const auto [dqueries, dkeys, dvalues] = at::_scaled_dot_product_flash_attention_for_cpu_backward(
      doutput, heads.queries, heads.keys, heads.values, flash.output, flash.lse, 0.0, true);
  return {dqueries, dkeys, dvalues};
}

c10::intrusive_ptr<c10d::Backend> Join(const device::Meeting& meeting) {
  const auto options = c10d::ProcessGroupGloo::Options::create(meeting.timeout);
  options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
  return c10::make_intrusive<c10d::ProcessGroupGloo>(meeting.store, meeting.rank, meeting.world_size,
                                                     options);
}

}  // namespace mixln::worker::trainer::cuda
