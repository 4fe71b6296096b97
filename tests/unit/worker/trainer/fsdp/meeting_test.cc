#include "worker/trainer/fsdp/meeting.h"

#include <gmock/gmock.h>

#include <thread>

#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::fsdp {
namespace {

constexpr base::Duration kLong = base::Seconds(100);

struct Ranks {
  explicit Ranks(int count) : places(static_cast<size_t>(count)) {}
  Meeting Of(
      int rank, base::Duration timeout = kLong, std::function<bool(int)> ended = [](int) { return false; }) {
    std::vector<Place*> all;
    for (Place& place : places) all.push_back(&place);
    return Meeting(rank, all, std::move(ended), timeout);
  }
  std::vector<Place> places;
};

std::string Problem(const auto& work) {
  try {
    work();
  } catch (const error::PeerLostError& problem) {
    return problem.what();
  }
  return "none";
}

TEST(Meeting, WhatIsWrittenBeforeOneIsThereBehindIt) {
  constexpr int kRanks = 3;
  constexpr uint32_t kMeetings = 2000;
  Ranks ranks(kRanks);
  std::vector<uint64_t> written(
      kRanks);  // plain memory: thread sanitizer sees what the meetings do not order
  std::vector<uint64_t> wrong(kRanks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < kRanks; ++rank) {
    threads.emplace_back([&, rank] {
      Meeting meeting = ranks.Of(rank);
      for (uint32_t i = 1; i <= kMeetings; ++i) {
        const uint32_t number = meeting.Next();
        written[static_cast<size_t>(rank)] = i;
        meeting.Begin(number, 10 * i + static_cast<uint64_t>(rank));
        meeting.AwaitBegun(number);
        for (int peer = 0; peer < kRanks; ++peer) {
          const auto at = static_cast<size_t>(peer);
          if (written[at] != i || meeting.Given(peer, number) != 10 * i + at)
            ++wrong[static_cast<size_t>(rank)];
        }
        meeting.Leave(number);
        meeting.AwaitDone(number);  // before the next one is written
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, testing::Each(0U));
}

TEST(Meeting, ARankWaitsBeforeItOverwritesWhatAnotherMayStillRead) {
  Ranks ranks(2);
  Meeting ahead = ranks.Of(0, base::Seconds(0.01));
  Meeting behind = ranks.Of(1);
  for (uint32_t i = 0; i < Meeting::kKept; ++i) {
    const uint32_t number = ahead.Next();
    ahead.Begin(number, 7);
    ahead.Leave(number);
  }
  EXPECT_THAT(Problem([&] { ahead.Next(); }), testing::HasSubstr("rank 1 did not take part"));
  const uint32_t first = behind.Next();
  behind.Begin(first);
  EXPECT_EQ(behind.Given(0, first), 7U);
  behind.Leave(first);
  EXPECT_NO_THROW(ahead.AwaitDone(first));
}

TEST(Meeting, ARankThatEndsWithoutComingIsNamed) {
  Ranks ranks(3);
  Meeting meeting = ranks.Of(0, kLong, [](int rank) { return rank == 2; });
  meeting.Begin(meeting.Next());
  EXPECT_THAT(Problem([&] { meeting.AwaitBegun(1); }), testing::HasSubstr("rank 2 has ended"));
}

TEST(Meeting, ARankThatCameAndEndedIsNotLost) {
  Ranks ranks(3);
  Meeting meeting = ranks.Of(0, base::Seconds(0.2), [](int rank) { return rank == 2; });
  meeting.Begin(meeting.Next());
  Meeting other = ranks.Of(2);
  other.Begin(other.Next());
  EXPECT_THAT(Problem([&] { meeting.AwaitBegun(1); }), testing::HasSubstr("rank 1 did not take part"));
  Meeting last = ranks.Of(1);
  last.Begin(last.Next());
  EXPECT_NO_THROW(meeting.AwaitBegun(1));
}

}  // namespace
}  // namespace mixln::worker::trainer::fsdp
