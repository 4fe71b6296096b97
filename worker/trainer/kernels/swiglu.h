#pragma once

#include <cstdint>

#include "worker/trainer/kernels/bf16.h"

// SwiGLU (Shazeer 2020): silu(gate)∘up, silu(z) = z/(1 + e^−z). A row of `gate_up` is the gate's `columns`
// elements and then up's.
namespace mixln::worker::trainer::kernels {

void SwigluRows(const float* gate_up, float* out, int64_t columns, int64_t begin, int64_t end);
void SwigluRows(const Bf16* gate_up, Bf16* out, int64_t columns, int64_t begin, int64_t end);

// Replaces gate_up by its gradient.
void SwigluRowsBackward(float* gate_up, const float* dout, int64_t columns, int64_t begin, int64_t end);
void SwigluRowsBackward(Bf16* gate_up, const Bf16* dout, int64_t columns, int64_t begin, int64_t end);

}  // namespace mixln::worker::trainer::kernels
