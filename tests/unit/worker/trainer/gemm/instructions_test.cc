#include "worker/trainer/gemm/instructions.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "worker/trainer/gemm/product.h"

namespace mixln::worker::trainer::gemm {
namespace {

// The words of a line of /proc/cpuinfo, which describes each core alike.
std::set<std::string> WordsOf(const std::string& field) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word != field) continue;
    std::set<std::string> all;
    while (words >> word) all.insert(word);
    return all;
  }
  return {};
}

TEST(Instructions, Bf16IsWorthItWithAmxAndWithAvx512OfAmd) {
  EXPECT_FALSE(MultipliesBf16Fast({})) << "AVX2 only";
  EXPECT_FALSE(MultipliesBf16Fast({.avx512 = true, .intel = true})) << "Skylake-X";
  EXPECT_FALSE(MultipliesBf16Fast({.avx512 = true, .avx512_bf16 = true, .intel = true})) << "Cooper Lake";
  EXPECT_TRUE(MultipliesBf16Fast({.avx512 = true, .avx512_bf16 = true, .amx_bf16 = true, .intel = true}))
      << "Sapphire Rapids";
  EXPECT_TRUE(MultipliesBf16Fast({.avx512 = true, .avx512_bf16 = true})) << "Zen 4";
}

TEST(Instructions, AreThoseThatTheKernelLists) {
  const std::set<std::string> flags = WordsOf("flags");
  const Instructions cpu = OfThisCpu();
  EXPECT_EQ(cpu.avx512,
            flags.contains("avx512bw") && flags.contains("avx512vl") && flags.contains("avx512dq"));
  EXPECT_EQ(cpu.avx512_bf16, flags.contains("avx512_bf16"));
  EXPECT_EQ(cpu.amx_bf16, flags.contains("amx_bf16"));
  EXPECT_EQ(cpu.intel, WordsOf("vendor_id").contains("GenuineIntel"));
}

TEST(Instructions, DecideWhatIsMultiplied) {
  EXPECT_EQ(HasBf16(), OfThisCpu().avx512);
  EXPECT_EQ(MultipliedAs(at::kBFloat16), MultipliesBf16Fast(OfThisCpu()) ? at::kBFloat16 : at::kFloat);
  EXPECT_EQ(MultipliedAs(at::kFloat), at::kFloat);
}

}  // namespace
}  // namespace mixln::worker::trainer::gemm
