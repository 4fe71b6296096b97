#include "worker/trainer/gemm/instructions.h"

namespace mixln::worker::trainer::gemm {

Instructions OfThisCpu() {
#if defined(__x86_64__)
  return {.avx512 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512dq"),
          .avx512_bf16 = __builtin_cpu_supports("avx512bf16") != 0,
          .amx_bf16 = __builtin_cpu_supports("amx-bf16") != 0,
          .intel = __builtin_cpu_is("intel") != 0};
#else
  return {};
#endif
}

bool MultipliesBf16Fast(const Instructions& cpu) {
  return cpu.amx_bf16 || (cpu.avx512_bf16 && cpu.avx512 && !cpu.intel);
}

}  // namespace mixln::worker::trainer::gemm
