#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// Passes over contiguous memory, element by element.
namespace mixln::worker::trainer::kernels {

// to = scale·from.
void ScaleTo(const float* from, float scale, float* to, int64_t count);
void ScaleTo(const float* from, float scale, Bf16* to, int64_t count);
void ScaleTo(const Bf16* from, float scale, float* to, int64_t count);

// to = from, of `rows` rows of `columns` elements.
void RoundRows(const float* from, int64_t from_stride, int64_t rows, int64_t columns, float* to,
               int64_t to_stride);
void RoundRows(const float* from, int64_t from_stride, int64_t rows, int64_t columns, Bf16* to,
               int64_t to_stride);

// to = a·x + b·y.
void AddTo(const float* x, float a, const float* y, float b, float* to, int64_t count);
void AddTo(const float* x, float a, const Bf16* y, float b, float* to, int64_t count);

// Σ x∘y, summed in fp32 over pieces and in fp64 over those; the order depends on the instruction set only.
double Dot(const float* x, const float* y, int64_t count);

// Over rows of `columns` elements: to = weight∘x.
void ScaleChannels(const float* x, const float* weight, float* to, int64_t columns, int64_t begin,
                   int64_t end);

// dx = weight∘dy; adds to weight_gradient[columns] the rows' share, Σ x∘dy.
void ScaleChannelsBackward(const float* x, const float* weight, const float* dy, float* dx,
                           float* weight_gradient, int64_t columns, int64_t begin, int64_t end);

}  // namespace mixln::worker::trainer::kernels
