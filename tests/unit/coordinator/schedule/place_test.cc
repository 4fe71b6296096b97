#include "coordinator/schedule/place.h"

#include <gmock/gmock.h>

#include <string>

#include "coordinator/state/trials.h"

namespace mixln::coordinator::schedule {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr base::Time kNow{1'000'000};

void AddWorker(state::State& state, const std::string& id, int cpus, int gpus = 0) {
  state::WorkerRecord& record = state.workers[id];
  record.worker.set_id(id);
  record.worker.set_state(v1::WORKER_STATE_READY);
  record.session = 1;
  for (int i = 0; i < cpus + gpus; ++i) {
    v1::Slot& slot = *record.worker.add_slots();
    slot.set_index(i);
    slot.set_device(i < cpus ? v1::DEVICE_CPU : v1::DEVICE_GPU);
  }
}

void AddSweep(state::State& state, const std::string& id, int64_t created_seconds) {
  state.sweeps[id].set_id(id);
  state.sweeps[id].mutable_create_time()->set_seconds(created_seconds);
}

v1::Trial& AddTrial(state::State& state, const std::string& sweep, int index, int ranks,
                    v1::Device device = v1::DEVICE_CPU) {
  const std::string id = sweep + "-" + std::to_string(index);
  v1::Trial& trial = state.trials[id];
  trial.set_id(id);
  trial.set_sweep_id(sweep);
  trial.set_index(index);
  trial.mutable_spec()->mutable_resources()->set_ranks(ranks);
  trial.mutable_spec()->mutable_resources()->set_device(device);
  state::SetTrialState(state, trial, v1::TRIAL_STATE_PENDING, kNow);
  return trial;
}

// Carries the assignment out, as control does.
void Occupy(state::State& state, const Assignment& assignment) {
  v1::Trial& trial = state.trials.at(assignment.trial_id);
  v1::Attempt& attempt = *trial.add_attempts();
  for (const v1::RankPlacement& rank : assignment.ranks) *attempt.add_ranks() = rank;
  state.live[trial.id()];
  state::SetTrialState(state, trial, v1::TRIAL_STATE_RUNNING, kNow);
}

// "0@a/1": rank 0 on slot 1 of worker a.
std::vector<std::string> RanksOf(const Assignment& assignment) {
  std::vector<std::string> ranks;
  for (const v1::RankPlacement& rank : assignment.ranks) {
    ranks.push_back(std::to_string(rank.rank()) + "@" + rank.worker_id() + "/" + std::to_string(rank.slot()));
  }
  return ranks;
}

std::vector<std::string> TrialsOf(const std::vector<Assignment>& assignments) {
  std::vector<std::string> ids;
  for (const Assignment& assignment : assignments) ids.push_back(assignment.trial_id);
  return ids;
}

class PlaceTest : public ::testing::Test {
 protected:
  PlaceTest() { AddSweep(state_, "s", 1); }
  std::vector<Assignment> Placed() const { return Place(state_, kNow); }
  std::map<std::string, std::string> Reasons() const { return Explain(state_, kNow); }
  state::State state_;
};

TEST_F(PlaceTest, AGangThatDoesNotFitGetsNothing) {
  AddWorker(state_, "a", 1);
  AddWorker(state_, "b", 1);
  AddTrial(state_, "s", 0, 3);
  EXPECT_THAT(Placed(), IsEmpty());
}

TEST_F(PlaceTest, AGangPrefersOneHostOverFreeSlotsOnSeveral) {
  AddWorker(state_, "a", 1);
  AddWorker(state_, "b", 2);
  AddTrial(state_, "s", 0, 2);
  ASSERT_EQ(Placed().size(), 1U);
  EXPECT_THAT(RanksOf(Placed()[0]), ElementsAre("0@b/0", "1@b/1"));
}

TEST_F(PlaceTest, AmongHostsThatAreLargeEnoughTheSmallestHoleIsFilled) {
  AddWorker(state_, "a", 4);
  AddWorker(state_, "b", 2);
  AddTrial(state_, "s", 0, 2);
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@b/0", "1@b/1"));
}

TEST_F(PlaceTest, AGangThatNoHostHoldsTakesTheFewestHosts) {
  AddWorker(state_, "a", 1);
  AddWorker(state_, "b", 3);
  AddWorker(state_, "c", 2);
  AddTrial(state_, "s", 0, 4);  // b and a; with c and a it would be three hosts
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@b/0", "1@b/1", "2@b/2", "3@a/0"));
}

TEST_F(PlaceTest, ASlotOfALiveAttemptIsNotGivenTwice) {
  AddWorker(state_, "a", 2);
  AddTrial(state_, "s", 0, 1);
  Occupy(state_, Placed().at(0));
  AddTrial(state_, "s", 1, 1);
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@a/1"));
}

TEST_F(PlaceTest, APartThatHasEndedFreesItsSlots) {
  AddWorker(state_, "a", 1);
  AddWorker(state_, "b", 1);
  AddTrial(state_, "s", 0, 2);
  Occupy(state_, Placed().at(0));
  state_.trials.at("s-0").mutable_attempts(0)->add_ended_workers("b");
  AddTrial(state_, "s", 1, 1);
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@b/0"));
}

TEST_F(PlaceTest, AnUnknownAttemptOnAWorkerHoldsAllItsSlots) {
  AddWorker(state_, "a", 2);
  state_.workers.at("a").leftovers[{1, 7}].set_trial_id("forgotten-0");
  AddTrial(state_, "s", 0, 1);
  EXPECT_THAT(Placed(), IsEmpty());
}

TEST_F(PlaceTest, HigherPriorityGoesFirst) {
  AddWorker(state_, "a", 1);
  AddTrial(state_, "s", 0, 1);
  AddTrial(state_, "s", 1, 1).mutable_spec()->mutable_resources()->set_priority(5);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-1"));
}

TEST_F(PlaceTest, SweepsShareTheSlotsFairly) {
  AddSweep(state_, "later", 2);
  AddWorker(state_, "a", 4);
  for (int i = 0; i < 3; ++i) AddTrial(state_, "s", i, 1);
  for (int i = 0; i < 3; ++i) AddTrial(state_, "later", i, 1);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-0", "later-0", "s-1", "later-1"));
}

TEST_F(PlaceTest, TheSweepWithFewerLiveTrialsGoesFirst) {
  AddSweep(state_, "later", 2);
  AddWorker(state_, "a", 2);
  AddTrial(state_, "s", 0, 1);
  Occupy(state_, Placed().at(0));
  AddTrial(state_, "s", 1, 1);
  AddTrial(state_, "later", 0, 1);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("later-0"));
}

TEST_F(PlaceTest, WithinASweepTheGridsOrderHoldsBeyondTenCells) {
  AddWorker(state_, "a", 3);
  for (int i : {10, 2, 1}) AddTrial(state_, "s", i, 1);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-1", "s-2", "s-10"));
}

TEST_F(PlaceTest, ASmallTrialDoesNotDelayTheGangAtTheHead) {
  AddWorker(state_, "a", 2);
  AddTrial(state_, "s", 0, 1);
  Occupy(state_, Placed().at(0));
  AddTrial(state_, "s", 1, 2);
  AddTrial(state_, "s", 2, 1);
  EXPECT_THAT(Placed(), IsEmpty());
}

TEST_F(PlaceTest, ASmallTrialFillsAHoleOfAnotherKindThanTheHeadNeeds) {
  AddWorker(state_, "a", 2, 1);
  AddTrial(state_, "s", 0, 1);
  Occupy(state_, Placed().at(0));
  AddTrial(state_, "s", 1, 2);
  AddTrial(state_, "s", 2, 1, v1::DEVICE_GPU);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-2"));
}

TEST_F(PlaceTest, AGangLargerThanThePresentWorkersHoldsNobodyUp) {
  AddWorker(state_, "a", 1);
  AddTrial(state_, "s", 0, 2);
  AddTrial(state_, "s", 1, 1);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-1"));
}

TEST_F(PlaceTest, AutoTakesAGpuAndWaitsForABusyOne) {
  AddWorker(state_, "a", 4, 1);
  AddTrial(state_, "s", 0, 1, v1::DEVICE_AUTO);
  const std::vector<Assignment> first = Placed();
  EXPECT_THAT(RanksOf(first.at(0)), ElementsAre("0@a/4"));
  Occupy(state_, first.at(0));
  AddTrial(state_, "s", 1, 1, v1::DEVICE_AUTO);
  EXPECT_THAT(Placed(), IsEmpty());
}

TEST_F(PlaceTest, AutoTakesACpuWhereThereIsNoGpu) {
  AddWorker(state_, "a", 1);
  AddTrial(state_, "s", 0, 1, v1::DEVICE_AUTO);
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-0"));
}

TEST_F(PlaceTest, OnlyAReadyAndConnectedWorkerTakesTrials) {
  for (v1::WorkerState worker_state :
       {v1::WORKER_STATE_DRAINING, v1::WORKER_STATE_UNKNOWN, v1::WORKER_STATE_LOST}) {
    AddWorker(state_, v1::WorkerState_Name(worker_state), 1);
    state_.workers.at(v1::WorkerState_Name(worker_state)).worker.set_state(worker_state);
  }
  AddWorker(state_, "disconnected", 1);
  state_.workers.at("disconnected").session = 0;
  AddTrial(state_, "s", 0, 1);
  EXPECT_THAT(Placed(), IsEmpty());
}

TEST_F(PlaceTest, ATrialInBackoffWaitsAndKeepsItsReason) {
  AddWorker(state_, "a", 1);
  AddTrial(state_, "s", 0, 1);
  state_.not_before["s-0"] = kNow + base::Seconds(1);
  EXPECT_THAT(Placed(), IsEmpty());
  EXPECT_THAT(Reasons(), IsEmpty());
}

TEST_F(PlaceTest, AWaitingTrialSaysWhatItWaitsForAndHowManyAreAhead) {
  AddWorker(state_, "a", 2);
  AddTrial(state_, "s", 0, 1);
  Occupy(state_, Placed().at(0));
  AddTrial(state_, "s", 1, 2);
  AddTrial(state_, "s", 2, 1);
  const auto reasons = Reasons();
  EXPECT_EQ(reasons.at("s-1"), "waiting for 2 cpu slots: 1 of 2 free");
  EXPECT_EQ(reasons.at("s-2"), "waiting for 1 cpu slot: 1 of 2 free, 1 trial ahead");
}

TEST_F(PlaceTest, WithoutAWorkerTheReasonSaysSo) {
  AddTrial(state_, "s", 0, 1);
  EXPECT_EQ(Reasons().at("s-0"), "waiting for a worker: none is connected and ready");
}

TEST_F(PlaceTest, AGangBeyondThePresentWorkersSaysWhatTheyOffer) {
  AddWorker(state_, "a", 1);
  AddTrial(state_, "s", 0, 2);
  EXPECT_EQ(Reasons().at("s-0"), "waiting for 2 cpu slots: the 1 ready worker offers 1");
}

v1::TrialSpec SpecOf(int ranks, v1::Device device) {
  v1::TrialSpec spec;
  spec.mutable_resources()->set_ranks(ranks);
  spec.mutable_resources()->set_device(device);
  return spec;
}

TEST(Fits, IsOpenWhileNoWorkerIsKnown) {
  EXPECT_TRUE(Fits({}, SpecOf(64, v1::DEVICE_GPU)).ok());
}

TEST(Fits, CountsAllKnownWorkersTogetherBusyOrAway) {
  state::State state;
  AddWorker(state, "a", 1);
  AddWorker(state, "b", 1);
  state.workers.at("b").worker.set_state(v1::WORKER_STATE_LOST);
  EXPECT_TRUE(Fits(state, SpecOf(2, v1::DEVICE_CPU)).ok());
  const absl::Status status = Fits(state, SpecOf(3, v1::DEVICE_CPU));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("3 ranks can never be placed: all 2 known workers together offer 2 cpu"));
}

TEST(Fits, DoesNotMixKindsWithinAGang) {
  state::State state;
  AddWorker(state, "a", 1, 1);
  EXPECT_FALSE(Fits(state, SpecOf(2, v1::DEVICE_AUTO)).ok());
  EXPECT_TRUE(Fits(state, SpecOf(1, v1::DEVICE_GPU)).ok());
}

// Workers a, with two slots, and b, with one, have artifacts folders of their own. s-0 has a checkpoint in
// a's.
class CheckpointTest : public PlaceTest {
 protected:
  CheckpointTest() {
    AddWorker(state_, "a", 2);
    AddWorker(state_, "b", 1);
    for (const std::string id : {"a", "b"}) {
      state_.workers.at(id).worker.set_artifacts_id("folder-" + id);
      state_.workers.at(id).worker.set_hostname("host-" + id);
    }
    AddCheckpoint(AddTrial(state_, "s", 0, 1), "folder-a");
  }
  void AddCheckpoint(v1::Trial& trial, const std::string& folder) {
    v1::Checkpoint& checkpoint = *trial.add_checkpoints();
    checkpoint.set_step(40);
    checkpoint.set_artifacts_id(folder);
    state_.checkpoint_until[trial.id()] = kNow + base::Seconds(1);
  }
  void Take(const std::string& worker, int slots) {
    for (int i = 0; i < slots; ++i)
      AddTrial(state_, "other", i, 1).mutable_spec()->mutable_resources()->set_priority(9);
    state_.workers.at(worker == "a" ? "b" : "a").session = 0;
    const std::vector<Assignment> placed = Placed();
    for (int i = 0; i < slots; ++i) Occupy(state_, placed.at(static_cast<size_t>(i)));
    for (auto& [id, record] : state_.workers) record.session = 1;
  }
};

TEST_F(CheckpointTest, ATrialGoesWhereItsCheckpointIs) {
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@a/0"));  // b would be the better fit
}

TEST_F(CheckpointTest, ItWaitsForThatWorkerAndSaysSo) {
  state_.workers.at("a").session = 0;
  EXPECT_THAT(Placed(), IsEmpty());
  EXPECT_THAT(Reasons().at("s-0"),
              HasSubstr("waiting for 1 slot on host-a, where its checkpoint of step 40 is"));
}

TEST_F(CheckpointTest, OnceItHasWaitedItTakesAnyWorkerButThatOneFirst) {
  state_.checkpoint_until.clear();
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@a/0"));
  state_.workers.at("a").session = 0;
  EXPECT_THAT(RanksOf(Placed().at(0)), ElementsAre("0@b/0"));
}

TEST_F(CheckpointTest, WhileItWaitsItKeepsSlotsThereAndNoOthers) {
  state_.trials.at("s-0").mutable_spec()->mutable_resources()->set_ranks(2);
  AddSweep(state_, "other", 2);
  Take("a", 1);
  AddTrial(state_, "s", 1, 1);
  AddTrial(state_, "s", 2, 1);
  const std::vector<Assignment> placed = Placed();
  ASSERT_THAT(TrialsOf(placed), ElementsAre("s-1"));  // s-2 would need the slot that is kept on a
  EXPECT_THAT(RanksOf(placed[0]), ElementsAre("0@b/0"));
}

TEST_F(CheckpointTest, ACheckpointOfAnUnknownFolderBindsNothing) {
  AddCheckpoint(AddTrial(state_, "s", 1, 1), "");
  state_.checkpoint_until.erase("s-1");
  EXPECT_THAT(TrialsOf(Placed()), ElementsAre("s-0", "s-1"));
}

}  // namespace
}  // namespace mixln::coordinator::schedule
