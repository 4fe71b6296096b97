#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mixln::worker::trainer::kernels {

// Philox4x32-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): four random 32-bit words
// as a pure function of a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// Writes elements [begin, begin + count) of the tensor called `name` to `out`: normal with mean 0 and the
// given standard deviation. Each element is a pure function of (seed, name, its index), so any part of a
// tensor can be drawn alone.
void FillNormal(uint64_t seed, std::string_view name, double standard_deviation, int64_t begin, int64_t count,
                float* out);

}  // namespace mixln::worker::trainer::kernels
