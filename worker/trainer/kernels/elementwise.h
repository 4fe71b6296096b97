#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// Passes over contiguous memory, element by element.
namespace mixln::worker::trainer::kernels {

// to = scale·from.
void ScaleTo(const float* from, float scale, float* to, int64_t count);
void ScaleTo(const float* from, float scale, Bf16* to, int64_t count);
void ScaleTo(const Bf16* from, float scale, float* to, int64_t count);

// to = a·x + b·y.
void AddTo(const float* x, float a, const float* y, float b, float* to, int64_t count);
void AddTo(const float* x, float a, const Bf16* y, float b, float* to, int64_t count);

}  // namespace mixln::worker::trainer::kernels
