// The instructions that a CPU could multiply bf16 with, and whether it is worth it.
#pragma once

namespace mixln::worker::trainer::gemm {

struct Instructions {
  bool avx512 = false;  // as much of it as products of bf16 need, which are then possible
  bool avx512_bf16 = false;
  bool amx_bf16 = false;
  bool intel = false;
};

Instructions OfThisCpu();

// Whether products of bf16 are faster than those of fp32. AVX-512's instruction for bf16 does twice the work
// of fp32's on AMD's cores, and half of it on Intel's, which have AMX for this; a core without either
// emulates it (docs/performance.md, "bf16 on the CPU").
bool MultipliesBf16Fast(const Instructions& cpu);

}  // namespace mixln::worker::trainer::gemm
