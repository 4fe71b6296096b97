#include "worker/agent/slots.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mixln::worker::agent {
namespace {

using testing::ElementsAre;

Machine Cores(std::vector<int> cpus) {
  Machine machine;
  machine.cpus = std::move(cpus);
  machine.memory_bytes = 1000;
  return machine;
}

TEST(Slots, TwoByDefaultWhereThereAreTwoCoresElseOne) {
  EXPECT_EQ(MakeSlots(Cores({0, 1, 2, 3}), 0)->size(), 2u);
  EXPECT_EQ(MakeSlots(Cores({5}), 0)->size(), 1u);
}

TEST(Slots, CoresAreDividedEvenlyAndNoneTwice) {
  const auto slots = MakeSlots(Cores({0, 1, 4, 5, 6}), 2);
  ASSERT_TRUE(slots.ok());
  EXPECT_THAT((*slots)[0].cpus(), ElementsAre(0, 1));
  EXPECT_THAT((*slots)[1].cpus(), ElementsAre(4, 5, 6));
  EXPECT_EQ((*slots)[1].index(), 1);
  EXPECT_EQ((*slots)[1].gpu(), -1);
  EXPECT_EQ((*slots)[1].device(), v1::DEVICE_CPU);
  EXPECT_EQ((*slots)[1].memory_bytes(), 500);
}

TEST(Slots, MoreThanCoresAreRefused) {
  EXPECT_TRUE(absl::IsInvalidArgument(MakeSlots(Cores({0, 1}), 3).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(MakeSlots(Cores({0, 1}), -1).status()));
}

TEST(Slots, AGpuEachWithItsShareOfTheCores) {
  Machine machine = Cores({0, 1, 2, 3});
  machine.gpus = {{0, "NVIDIA H200", 150}, {1, "NVIDIA H200", 150}};
  const auto slots = MakeSlots(machine, 0);
  ASSERT_EQ(slots->size(), 2u);
  EXPECT_EQ((*slots)[1].device(), v1::DEVICE_GPU);
  EXPECT_EQ((*slots)[1].gpu(), 1);
  EXPECT_EQ((*slots)[1].memory_bytes(), 150);
  EXPECT_THAT((*slots)[1].cpus(), ElementsAre(2, 3));
  EXPECT_FALSE(MakeSlots(machine, 3).ok());
}

TEST(Slots, ThisMachineOffersSome) {
  const auto slots = MakeSlots(ReadMachine(), 0);
  ASSERT_TRUE(slots.ok());
  EXPECT_FALSE(slots->empty());
}

}  // namespace
}  // namespace mixln::worker::agent
