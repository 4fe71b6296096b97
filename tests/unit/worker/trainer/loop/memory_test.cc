#include "worker/trainer/loop/memory.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::loop {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

// llama-71m with the paper's vocabulary: 12 layers of 4·512² + 3·512·1368 and two tables of 32000·512, in all
// 70,565,888 matrix elements. A token keeps 8·512 + 2·(6·512 + 3·1368) = 18,448 bytes of a layer.
engine::EngineOptions Llama71M() {
  engine::EngineOptions options;
  options.vocab_size = 32000;
  options.hidden_size = 512;
  options.intermediate_size = 1368;
  options.layers = 12;
  options.heads = 8;
  options.kv_heads = 8;
  options.bf16 = true;
  return options;
}

config::TrialConfig Trial(int32_t world_size = 1, int32_t rank = 0) {
  config::TrialConfig config;
  config.world_size = world_size;
  config.rank = rank;
  config.gpu = -1;
  config.spec.data.context = 256;
  config.spec.train.batch = {.sequences = 8};
  return config;
}

cpu::Pool Host(int64_t bytes, const std::string& name = "a") {
  return {name, "on the host", bytes};
}

std::string Refusal(const std::vector<Draw>& draws) {
  try {
    CheckMemory(draws);
    return "";
  } catch (const error::OutOfMemoryError& problem) {
    return problem.what();
  }
}

std::string Refusal(const config::TrialConfig& config, const engine::EngineOptions& options, int64_t bytes) {
  return Refusal(DrawsOf(config, options, false, cpu::Cpu(), {Host(bytes)}));
}

TEST(Memory, RefusesATrialThatCannotFitAndSaysHowMuchItNeeds) {
  // 18 bytes a parameter, 1.27 GB; 12 for the copy, 0.85 GB; and 2048 tokens in 12 layers, 0.45 GB.
  EXPECT_EQ(Refusal(Trial(), Llama71M(), 2'600'000'000), "");
  EXPECT_EQ(Refusal(Trial(), Llama71M(), 2'500'000'000),
            "the trial needs at least 2.6 GB on the host (1.3 GB for parameters, gradients and optimizer, "
            "0.8 GB for the copy that checkpoints are written from, 0.5 GB for 8 sequences at once), but "
            "2.5 GB are available: lower train.batch.micro_sequences, use sharding.activation_checkpointing, "
            "or train on a host with more memory, or on several");
}

TEST(Memory, MicroBatchesRanksAndActivationCheckpointingNeedLess) {
  config::TrialConfig micro = Trial();
  micro.spec.train.batch.micro_sequences = 1;
  EXPECT_EQ(Refusal(micro, Llama71M(), 2'200'000'000), "");
  EXPECT_EQ(Refusal(Trial(4), Llama71M(), 650'000'000), "");
  engine::EngineOptions recomputed = Llama71M();
  recomputed.activation_checkpointing = true;
  EXPECT_EQ(Refusal(Trial(), recomputed, 2'250'000'000), "");
}

TEST(Memory, IsWhatShapePrecisionAndShardingNeed) {
  const auto need = [](int32_t world_size, const auto& change) {
    engine::EngineOptions options = Llama71M();
    change(options);
    return DrawsOf(Trial(world_size), options, true, cpu::Cpu(), {Host(0)}).front().need;
  };
  constexpr int64_t kParameters = 70'565'888;
  constexpr int64_t kTable = 32000 * 512;
  const auto tied = need(1, [](auto& options) { options.tie_embeddings = true; });
  EXPECT_EQ(tied.state_bytes, 18 * (kParameters - kTable));
  EXPECT_EQ(tied.copy_bytes, 12 * (kParameters - kTable));
  const auto fp32 = need(1, [](auto& options) { options.bf16 = false; });
  EXPECT_EQ(fp32.state_bytes, 16 * kParameters);
  EXPECT_EQ(fp32.activation_bytes, 2048 * 12 * (8 * 512 + 4 * (6 * 512 + 3 * 1368)));
  // Two key-value heads of 64 in place of eight: keys and values are 128 wide, not 512.
  const auto grouped = need(1, [](auto& options) { options.kv_heads = 2; });
  EXPECT_EQ(grouped.state_bytes, 18 * (kParameters - 12 * 2 * 512 * (512 - 128)));
  EXPECT_EQ(grouped.activation_bytes, 2048 * 12 * (18'448 - 2 * 2 * (512 - 128)));
  const auto each = need(4, [](auto&) {});
  EXPECT_EQ(each.state_bytes, 18 * kParameters / 4 + 4 * 2 * (4 * 512 * 512 + 3 * 512 * 1368));
  const auto no_sync = need(4, [](auto& options) { options.accumulate = fsdp::Accumulate::kNoSync; });
  EXPECT_EQ(no_sync.state_bytes, 18 * kParameters / 4 + 4 * kParameters);
}

TEST(Memory, ARankWithoutRowsComputesOne) {
  config::TrialConfig trial = Trial(4, 3);
  trial.spec.train.batch.sequences = 3;
  const std::vector<Draw> draws = DrawsOf(trial, Llama71M(), true, cpu::Cpu(), {Host(0)});
  EXPECT_EQ(draws.front().rows, 1);
  EXPECT_EQ(draws.front().need.activation_bytes, 256 * 12 * 18'448);
}

TEST(Memory, RanksThatShareMemoryKeepOneCopyOfTheParameters) {
  engine::EngineOptions options = Llama71M();
  options.reshard_after_forward = false;  // with copies of their own: 2 bytes for each of 70.6 million more
  const auto draws = [&](bool common_memory) {
    return DrawsOf(Trial(4), options, common_memory, cpu::Cpu(), {Host(700'000'000)});
  };
  EXPECT_EQ(Refusal(draws(true)), "");
  EXPECT_THAT(Refusal(draws(false)), HasSubstr("0.8 GB on the host"));
}

// Each takes 0.67 GB: (18 + 12)·70.6 million / 4, two layers' gradients, and two sequences.
std::vector<Draw> FourRanks(const std::vector<cpu::Pool>& hosts) {
  std::vector<Draw> all;
  for (int32_t rank = 0; rank < 4; ++rank) {
    for (const Draw& draw :
         DrawsOf(Trial(4, rank), Llama71M(), true, cpu::Cpu(), {hosts.at(static_cast<size_t>(rank))}))
      all.push_back(draw);
  }
  return all;
}

TEST(Memory, RanksOfOneHostTakeItsMemoryTogether) {
  const std::vector<cpu::Pool> large(4, Host(2'700'000'000));
  EXPECT_EQ(Refusal(FourRanks(large)), "");
  // They look one after the other, and the least that one has seen counts.
  for (const size_t rank : {0, 2, 3}) {
    std::vector<cpu::Pool> seen = large;
    seen[rank] = Host(2'600'000'000);
    EXPECT_THAT(
        Refusal(FourRanks(seen)),
        HasSubstr(
            "needs at least 2.7 GB on the host for its 4 ranks there (1.4 GB for parameters, gradients and "
            "optimizer, 0.8 GB for the copy that checkpoints are written from, 0.5 GB for 8 sequences at "
            "once), but 2.6 GB are available"))
        << rank;
  }
}

TEST(Memory, RanksOfSeveralHostsDoNot) {
  const cpu::Pool a = Host(1'400'000'000, "a");
  const cpu::Pool b = Host(1'400'000'000, "b");
  EXPECT_EQ(Refusal(FourRanks({a, a, b, b})), "");
  EXPECT_THAT(Refusal(FourRanks({a, a, a, b})), HasSubstr("2.0 GB on the host for its 3 ranks there"));
}

TEST(Memory, TheTightestPoolDecides) {
  const cpu::Pool cgroup = {"a/1", "within the limit of the cgroup /w", 1'000'000'000};
  EXPECT_THAT(Refusal(DrawsOf(Trial(), Llama71M(), false, cpu::Cpu(), {Host(9'000'000'000), cgroup})),
              HasSubstr("2.6 GB within the limit of the cgroup /w (1.3 GB"));
}

TEST(Memory, OnAGpuTheHostHasTheCopyAndTheGpuTheRest) {
  config::TrialConfig trial = Trial();
  trial.gpu = 0;
  device::Device gpu = cpu::Cpu();
  gpu.available_bytes = [] { return int64_t{1'800'000'000}; };
  const auto refusal = [&](int64_t host) {
    return Refusal(DrawsOf(trial, Llama71M(), false, gpu, {Host(host)}));
  };
  EXPECT_EQ(refusal(900'000'000), "");
  EXPECT_EQ(refusal(500'000'000),
            "the trial needs at least 0.8 GB on the host (0.8 GB for the copy that checkpoints are written "
            "from), but 0.5 GB are available: train on a host with more memory, or on several");
  gpu.available_bytes = [] { return int64_t{1'600'000'000}; };
  EXPECT_THAT(refusal(900'000'000), AllOf(HasSubstr("1.7 GB on the GPU of rank 0 (1.3 GB for parameters"),
                                          Not(HasSubstr("the copy")), HasSubstr("or more resources.ranks")));
}

TEST(Memory, EachRankHearsWhatAllTake) {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listening, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listening, 8), 0);
  getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size);
  const auto draws_of = [](int rank) {
    return DrawsOf(Trial(2, rank), Llama71M(), true, cpu::Cpu(), {Host(2'000'000'000)});
  };
  std::vector<std::string> refusals(2);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 2; ++rank) {
    threads.emplace_back([&, rank] {
      fsdp::RankOptions options;
      options.rank = rank;
      options.world_size = 2;
      options.rendezvous = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
      if (rank == 0) options.listening_fd = listening;
      options.address = "127.0.0.1";
      options.group = "test";
      const auto ranks = fsdp::Connect(options, cpu::Cpu());
      refusals[static_cast<size_t>(rank)] = Refusal(DrawsOfAll(draws_of(rank), *ranks));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(refusals[0], HasSubstr("on the host for its 2 ranks there"));
  EXPECT_EQ(refusals[0], Refusal({draws_of(0).front(), draws_of(1).front()}));
  EXPECT_EQ(refusals[1], refusals[0]);
}

}  // namespace
}  // namespace mixln::worker::trainer::loop
