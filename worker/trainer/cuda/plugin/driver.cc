#include "worker/trainer/cuda/plugin/driver.h"

#include <ATen/Context.h>
#include <ATen/Functions.h>
#include <ATen/cuda/CUDAContext.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <cublas_v2.h>
#include <cuda_runtime_api.h>

#include <cstdlib>
#include <stdexcept>
#include <tuple>

namespace mixln::worker::trainer::cuda {
namespace {

int current_gpu = 0;

// 13000 is CUDA 13.0.
std::string VersionName(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

cudaDataType TypeOf(at::ScalarType type) {
  return type == at::kBFloat16 ? CUDA_R_16BF : CUDA_R_32F;
}

}  // namespace

Machine FindGpus() {
  // As NVML, by which an agent finds its GPUs, and nvidia-smi count them.
  setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", /*overwrite=*/0);
  Machine machine;
  const cudaError_t error = cudaGetDeviceCount(&machine.gpus);
  if (error == cudaSuccess || error == cudaErrorNoDevice) return machine;
  machine.gpus = 0;
  int driver = 0;
  if (error == cudaErrorInsufficientDriver && cudaDriverGetVersion(&driver) == cudaSuccess) {
    machine.problem = driver == 0
                          ? "this machine has no NVIDIA driver; install one, or train on CPUs"
                          : "this machine's NVIDIA driver is too old: it knows CUDA " + VersionName(driver) +
                                ", and this release needs " + VersionName(CUDART_VERSION) + "; update it";
  } else {
    machine.problem = std::string("CUDA finds none: ") + cudaGetErrorString(error);
  }
  return machine;
}

Gpu Describe(int gpu) {
  cudaDeviceProp properties{};
  C10_CUDA_CHECK(cudaGetDeviceProperties(&properties, gpu));
  Gpu found;
  found.model = properties.name;
  found.major = properties.major;
  found.minor = properties.minor;
  return found;
}

at::Device Use(int gpu, bool deterministic) {
  if (deterministic) setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
  at::Context& context = at::globalContext();
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  context.setDeterministicFillUninitializedMemory(false);  // nothing here reads what it has not written
  context.lazyInitDevice(at::kCUDA);
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(gpu));
  current_gpu = gpu;
  return {at::kCUDA, static_cast<c10::DeviceIndex>(gpu)};
}

Stream CurrentStream() {
  return c10::cuda::getCurrentCUDAStream(static_cast<c10::DeviceIndex>(current_gpu)).stream();
}

int64_t AvailableBytes() {
  size_t free = 0;
  size_t total = 0;
  C10_CUDA_CHECK(cudaMemGetInfo(&free, &total));
  return static_cast<int64_t>(free);
}

int64_t PeakBytes() {
  const auto stats =
      c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(current_gpu));
  return stats.reserved_bytes[0].peak;
}

void Multiply(const Gemm& gemm) {
  const float alpha = 1;
  const float beta = gemm.add ? 1 : 0;
  const auto size = [](int64_t count) { return static_cast<int>(count); };
  const auto operation = [](const Gemm::Operand& operand) {
    return operand.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  const cublasStatus_t status =
      cublasGemmEx(at::cuda::getCurrentCUDABlasHandle(), operation(gemm.a), operation(gemm.b), size(gemm.m),
                   size(gemm.n), size(gemm.k), &alpha, gemm.a.data, TypeOf(gemm.operands), size(gemm.a.lead),
                   gemm.b.data, TypeOf(gemm.operands), size(gemm.b.lead), &beta, gemm.c, TypeOf(gemm.result),
                   size(gemm.c_lead), CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT);
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error(std::string("the GPU failed to multiply matrices: ") +
                             cublasGetStatusString(status));
  }
}

Flash FlashAttention(const Heads& heads) {
  auto [output, lse, queries_before, keys_before, queries, keys, seed, offset, mask] =
      at::_scaled_dot_product_flash_attention(heads.queries, heads.keys, heads.values, /*dropout_p=*/0.0,
                                              /*is_causal=*/true);
  return {output, lse, {queries_before, keys_before, seed, offset}};
}

Heads FlashAttentionBackward(const Heads& heads, const Flash& flash, const at::Tensor& doutput) {
  const int64_t time = heads.queries.size(2);
  const auto [dqueries, dkeys, dvalues] = at::_scaled_dot_product_flash_attention_backward(
      doutput, heads.queries, heads.keys, heads.values, flash.output, flash.lse, flash.more[0], flash.more[1],
      time, time, /*dropout_p=*/0.0, /*is_causal=*/true, flash.more[2], flash.more[3]);
  return {dqueries, dkeys, dvalues};
}

}  // namespace mixln::worker::trainer::cuda
