#include "worker/trainer/fsdp/collectives.h"

#include <ATen/Functions.h>
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>

#include <cmath>
#include <functional>
#include <thread>
#include <tuple>

#include "base/file/unique_fd.h"
#include "worker/trainer/cpu/device.h"
#include "worker/trainer/error/error.h"
#include "worker/trainer/fsdp/gloo.h"

// The same things said to ranks that Gloo joins, that share memory, and that their device joins: threads of
// this process, each with collectives of its own. Expected sums are taken here, one number after the other.
namespace mixln::worker::trainer::fsdp {
namespace {

std::string FreeAddress() {
  const base::UniqueFd any(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(any.get(), reinterpret_cast<sockaddr*>(&address), size);
  getsockname(any.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
}

enum class Way { kMemory, kGloo, kDevice };

// A device that joins its ranks itself, as GPUs do; by Gloo, as it is the CPU.
device::Device WithJoin() {
  device::Device device = cpu::Cpu();
  device.join = [](const device::Meeting& meeting) -> c10::intrusive_ptr<c10d::Backend> {
    const auto options = c10d::ProcessGroupGloo::Options::create(meeting.timeout);
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname("127.0.0.1"));
    return c10::make_intrusive<c10d::ProcessGroupGloo>(meeting.store, meeting.rank, meeting.world_size,
                                                       options);
  };
  return device;
}

std::unique_ptr<Collectives> Join(Way way, const RankOptions& options) {
  static const device::Device joining = WithJoin();
  if (way == Way::kGloo) return JoinByGloo(std::make_shared<Rendezvous>(options), cpu::Cpu());
  return Connect(options, way == Way::kDevice ? joining : cpu::Cpu());
}

// Runs `work` on each rank, and returns what each has thrown.
std::vector<std::string> OnRanks(Way way, int world_size, const std::function<void(Collectives&)>& work,
                                 base::Duration timeout = base::Seconds(60)) {
  const std::string rendezvous = FreeAddress();
  std::vector<std::string> problems(static_cast<size_t>(world_size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < world_size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        RankOptions options;
        options.rank = rank;
        options.world_size = world_size;
        options.rendezvous = rendezvous;
        options.address = "127.0.0.1";
        options.group = "test";
        options.timeout = timeout;
        const auto ranks = Join(way, options);
        EXPECT_EQ(ranks->has_common_memory(), way == Way::kMemory);
        work(*ranks);
      } catch (const std::exception& problem) {
        problems[static_cast<size_t>(rank)] = problem.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return problems;
}

// A number for each rank and element with all bits of a float in use, so that the order of sums shows.
float Number(int64_t rank, int64_t element, int64_t round = 0) {
  return std::sin(static_cast<float>(1 + rank + 7 * element + 1000003 * round)) *
         std::exp(static_cast<float>(element % 13));
}

class CollectivesTest : public testing::TestWithParam<std::tuple<Way, int>> {
 protected:
  void Run(const std::function<void(Collectives&)>& work) {
    const auto [way, world_size] = GetParam();
    EXPECT_THAT(OnRanks(way, world_size, work), testing::Each(""));
  }
};

TEST_P(CollectivesTest, GatherEveryRanksPart) {
  Run([](Collectives& ranks) {
    constexpr int64_t kPart = 1001;
    const int64_t elements = kPart * ranks.world_size();
    at::Tensor whole = ranks.has_common_memory() ? ranks.Common(elements, at::kBFloat16)
                                                 : ranks.Allocate(elements, at::kBFloat16);
    for (int round = 1; round <= 3; ++round) {
      whole.narrow(0, ranks.rank() * kPart, kPart).fill_(10 * round + ranks.rank());
      ranks.Barrier();
      ranks.AllGather(whole).Wait();
      for (int64_t rank = 0; rank < ranks.world_size(); ++rank) {
        EXPECT_TRUE((whole.narrow(0, rank * kPart, kPart) == 10 * round + rank).all().item<bool>());
      }
      ranks.Barrier();  // all have looked
    }
  });
}

TEST_P(CollectivesTest, AddEachPartInTheOrderOfRanks) {
  Run([](Collectives& ranks) {
    for (const int64_t part : {1, 31, 5000, 12289}) {
      const int64_t elements = part * ranks.world_size();
      at::Tensor whole = ranks.Allocate(elements, at::kFloat);
      at::Tensor sum = at::full({part}, 0.1F);
      std::vector<float> expected(static_cast<size_t>(part), 0.1F);
      for (int64_t round = 0; round < 3; ++round) {
        ranks.Reclaim(whole);
        for (int64_t i = 0; i < elements; ++i) whole.data_ptr<float>()[i] = Number(ranks.rank(), i, round);
        ranks.ReduceScatter(whole, sum).Wait();
        for (int64_t i = 0; i < part; ++i) {
          for (int64_t rank = 0; rank < ranks.world_size(); ++rank)
            expected[static_cast<size_t>(i)] += Number(rank, ranks.rank() * part + i, round);
        }
      }
      EXPECT_TRUE(sum.equal(at::from_blob(expected.data(), {part}, at::kFloat))) << part;
    }
  });
}

TEST_P(CollectivesTest, SumAnyNumberOfElements) {
  Run([](Collectives& ranks) {
    for (const int64_t elements : {1, 3, 1000, 70001, 200000}) {  // a stage holds 65,536 floats
      const at::Tensor tensor = at::empty({elements}, at::kFloat);
      std::vector<float> expected(static_cast<size_t>(elements));
      for (int64_t i = 0; i < elements; ++i) {
        tensor.data_ptr<float>()[i] = Number(ranks.rank(), i);
        expected[static_cast<size_t>(i)] = Number(0, i);
        for (int64_t rank = 1; rank < ranks.world_size(); ++rank)
          expected[static_cast<size_t>(i)] += Number(rank, i);
      }
      ranks.Sum(tensor);
      EXPECT_TRUE(tensor.equal(at::from_blob(expected.data(), {elements}, at::kFloat))) << elements;
    }
    double numbers[] = {1.0 + ranks.rank(), 0.5};
    ranks.Sum(numbers);
    EXPECT_EQ(numbers[0], ranks.world_size() * (ranks.world_size() + 1) / 2);
    EXPECT_EQ(numbers[1], 0.5 * ranks.world_size());
  });
}

TEST_P(CollectivesTest, LetASumPassAReductionThatIsNotWaitedFor) {
  Run([](Collectives& ranks) {
    const at::Tensor whole = ranks.Allocate(4 * ranks.world_size(), at::kFloat);
    const at::Tensor sum = at::zeros({4});
    for (int round = 1; round <= 5; ++round) {
      ranks.Reclaim(whole);
      whole.fill_(round);
      Pending reduction = ranks.ReduceScatter(whole, sum);
      for (int i = 0; i < 3; ++i) {
        double one = 1;
        ranks.Sum(std::span(&one, 1));
        EXPECT_EQ(one, ranks.world_size());
      }
      reduction.Wait();
      EXPECT_EQ(sum[0].item<float>(), static_cast<float>(ranks.world_size() * round * (round + 1) / 2));
    }
  });
}

std::string NameOf(Way way) {
  return way == Way::kMemory ? "Memory" : way == Way::kGloo ? "Gloo" : "Device";
}

INSTANTIATE_TEST_SUITE_P(Ways, CollectivesTest,
                         testing::Combine(testing::Values(Way::kMemory, Way::kGloo, Way::kDevice),
                                          testing::Values(1, 2, 3, 4)),
                         [](const auto& info) {
                           return NameOf(std::get<0>(info.param)) + std::to_string(std::get<1>(info.param));
                         });

TEST(Collectives, ASilentRankIsNamedOnceTheTimeIsOver) {
  const auto problems = OnRanks(
      Way::kMemory, 2,
      [](Collectives& ranks) {
        if (ranks.rank() == 0) {
          EXPECT_THROW(ranks.Barrier(), error::PeerLostError);
        }
      },
      base::Seconds(1));
  EXPECT_THAT(problems, testing::Each(""));
}

TEST(Collectives, TextsAreLeftByNameAndWaitedFor) {
  const auto problems = OnRanks(Way::kMemory, 2, [](Collectives& ranks) {
    Rendezvous& rendezvous = ranks.rendezvous();
    const std::string own = std::to_string(ranks.rank());
    rendezvous.Publish("greeting/" + own, "from " + own);
    EXPECT_EQ(rendezvous.Get("greeting/0"), "from 0");
    EXPECT_EQ(rendezvous.Get("greeting/1"), "from 1");
    ranks.Barrier();
    EXPECT_THROW(rendezvous.Get("never", base::Seconds(0.01)), error::PeerLostError);
    rendezvous.Abandon();
    EXPECT_THROW(rendezvous.Get("never"), error::PeerLostError);
    ranks.Barrier();
  });
  EXPECT_THAT(problems, testing::Each(""));
}

}  // namespace
}  // namespace mixln::worker::trainer::fsdp
