#include "emulator.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

dim3 blockIdx;
dim3 gridDim;
dim3 threadIdx;

namespace emulator {
namespace {

constexpr size_t kStack = 64 * 1024;

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(kStack);
  bool done = false;
  Place place = Place::kBarrier;
};

std::vector<std::unique_ptr<Fiber>> fibers;
std::vector<double> slots;
ucontext_t scheduler;
Fiber* running = nullptr;
const std::function<void()>* body = nullptr;
std::mt19937 random_order(1);

void Main() {
  (*body)();
  running->done = true;
  swapcontext(&running->context, &scheduler);
}

void Make(Fiber& fiber) {
  fiber.done = false;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.data();
  fiber.context.uc_stack.ss_size = fiber.stack.size();
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, Main, 0);
}

void RunBlock(unsigned threads) {
  std::vector<unsigned> order(threads);
  std::iota(order.begin(), order.end(), 0U);
  for (unsigned t = 0; t < threads; ++t) Make(*fibers[t]);
  while (true) {
    std::shuffle(order.begin(), order.end(), random_order);
    for (const unsigned t : order) {
      running = fibers[t].get();
      threadIdx = {t, 0, 0};
      swapcontext(&scheduler, &running->context);
    }
    const Fiber& first = *fibers.front();
    for (unsigned t = 0; t < threads; ++t) {
      if (fibers[t]->done == first.done && (first.done || fibers[t]->place == first.place)) continue;
      std::fprintf(stderr, "emulator: thread %u does not wait where thread 0 does\n", t);
      std::abort();
    }
    if (first.done) return;
  }
}

}  // namespace

void Run(dim3 blocks, unsigned threads, const std::function<void()>& kernel) {
  while (fibers.size() < threads) fibers.push_back(std::make_unique<Fiber>());
  slots.resize(threads);
  body = &kernel;
  gridDim = blocks;
  for (unsigned z = 0; z < blocks.z; ++z) {
    for (unsigned y = 0; y < blocks.y; ++y) {
      for (unsigned x = 0; x < blocks.x; ++x) {
        blockIdx = {x, y, z};
        RunBlock(threads);
      }
    }
  }
}

void Wait(Place place) {
  Fiber* self = running;
  const dim3 thread = threadIdx;
  self->place = place;
  swapcontext(&self->context, &scheduler);
  threadIdx = thread;
}

double& Slot(unsigned thread) {
  return slots[thread];
}

}  // namespace emulator

cudaError_t cudaGetLastError() {
  return cudaSuccess;
}
const char* cudaGetErrorString(cudaError_t /*error*/) {
  return "no memory";
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
cudaError_t cudaMallocManaged(void** memory, size_t bytes) {
  *memory = std::malloc(bytes);
  return *memory == nullptr ? 2 : cudaSuccess;
}
cudaError_t cudaFree(void* memory) {
  std::free(memory);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return cudaSuccess;
}
