#include "worker/trainer/loop/collapse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

namespace mixln::worker::trainer::loop {
namespace {

using testing::HasSubstr;

// A real run of tests/bench/collapse, as judge.py recorded it.
struct RecordedRun {
  std::string name;
  std::vector<std::string> layer_placements = {"post"};
  config::Train train;
  double entropy = 0;
  int64_t collapsed = 0;         // step from which the run was lost; 0: it was not
  std::vector<double> excesses;  // means over blocks
};

// From a name such as "healthy-mix-8-lr0.001-s0".
std::vector<std::string> LayerPlacements(const std::string& name) {
  std::stringstream words(name);
  std::string placement;
  std::getline(words, placement, '-');
  std::getline(words, placement, '-');
  if (placement == "mix") return {"post", "pre"};
  return {placement};
}

std::vector<RecordedRun> RecordedRuns() {
  std::ifstream file(MIXLN_SOURCE_DIR "/tests/unit/worker/trainer/loop/collapse_runs.csv");
  std::vector<RecordedRun> runs;
  for (std::string line; std::getline(file, line);) {
    std::stringstream fields(line);
    std::vector<std::string> words;
    for (std::string word; std::getline(fields, word, ',');) words.push_back(word);
    RecordedRun& run = runs.emplace_back();
    run.name = words.at(0);
    run.layer_placements = LayerPlacements(run.name);
    run.train.schedule = words.at(2) == "constant" ? config::Schedule::kConstant : config::Schedule::kCosine;
    run.train.steps = std::stoll(words.at(3));
    run.train.warmup_steps = std::stoll(words.at(4));
    run.train.lr = 1;
    run.train.min_lr_ratio = 0.1;
    run.entropy = std::stod(words.at(5));
    run.collapsed = std::stoll(words.at(6));
    for (size_t i = 7; i < words.size(); ++i) run.excesses.push_back(std::stod(words.at(i)));
  }
  return runs;
}

// Feeds steps first+1 … last of the run; the step at which it was found to have collapsed, 0: it was not.
int64_t Replay(const RecordedRun& run, int64_t first, int64_t last, checkpoint::LossHistory& history,
               std::string* words = nullptr) {
  config::Norm norm;
  norm.layer_placements = run.layer_placements;
  const int64_t length = CollapseBlockSteps(run.train);
  for (int64_t step = first + 1; step <= last; ++step) {
    const auto block = static_cast<size_t>((step - 1) / length);
    if (block >= run.excesses.size()) break;
    const double loss = run.entropy + run.excesses[block];
    const std::string why = Collapse(norm, run.train, {step, loss, run.entropy, run.entropy}, history);
    if (why.empty()) continue;
    if (words != nullptr) *words = why;
    return step;
  }
  return 0;
}

int64_t Replay(const RecordedRun& run, std::string* words = nullptr) {
  checkpoint::LossHistory history;
  return Replay(run, 0, run.train.steps, history, words);
}

TEST(Collapse, IsFoundWithinATenthOfTheRun) {
  int found = 0;
  for (const RecordedRun& run : RecordedRuns()) {
    if (run.collapsed == 0) continue;
    const int64_t step = Replay(run);
    EXPECT_GT(step, 0) << run.name;
    EXPECT_LE(step - run.collapsed, run.train.steps / 10) << run.name;
    std::cout << run.name << ": collapsed at " << run.collapsed << ", found at " << step << "\n";
    ++found;
  }
  EXPECT_GE(found, 8);
}

TEST(Collapse, NoHealthyRunIsTakenForOne) {
  int healthy = 0;
  for (const RecordedRun& run : RecordedRuns()) {
    if (run.collapsed > 0) continue;
    EXPECT_EQ(Replay(run), 0) << run.name;
    ++healthy;
  }
  EXPECT_GE(healthy, 30);
}

TEST(Collapse, AResumedRunJudgesAsAnUninterruptedOne) {
  for (const RecordedRun& run : RecordedRuns()) {
    checkpoint::LossHistory whole;
    const int64_t step = Replay(run, 0, run.train.steps, whole);
    for (const int64_t cut : {int64_t{1}, run.train.steps / 7, run.train.steps / 3}) {
      if (step > 0 && cut >= step) continue;
      checkpoint::LossHistory history;
      Replay(run, 0, cut, history);
      checkpoint::LossHistory kept = history;
      EXPECT_EQ(Replay(run, cut, run.train.steps, kept), step) << run.name << " cut at " << cut;
      EXPECT_EQ(kept, whole);
    }
  }
}

RecordedRun Example(std::vector<double> excesses) {
  RecordedRun run;
  run.train.steps = 500;
  run.train.lr = 1;
  run.train.schedule = config::Schedule::kConstant;
  run.entropy = 7.25;
  run.excesses = std::move(excesses);
  return run;
}

TEST(Collapse, NamesTheEvidence) {
  std::string words;
  EXPECT_EQ(Replay(Example({1, 0, -1, -2, -2.5, 0.5, 0.05, 0.05, 0.05, 0.05}), &words), 100);
  EXPECT_THAT(words, HasSubstr("since step 61 the loss stays 0.050 nats above"));
  EXPECT_THAT(words, HasSubstr("entropy 7.250; step 100 has loss 7.300"));
  EXPECT_THAT(words, HasSubstr("after 2.500 nats below it at step 50"));
}

TEST(Collapse, WithoutANormOfTheStreamARestOnThePlateauIsNone) {
  RecordedRun run = Example({1, 0.1, 0.05, 0.05, 0.05, 0.05, 0.05, 0.05});
  EXPECT_GT(Replay(run), 0);
  run.layer_placements = {"pre", "sandwich"};
  EXPECT_EQ(Replay(run), 0);
}

TEST(Collapse, ASpikeThatComesBackIsNone) {
  EXPECT_EQ(Replay(Example({1, 0, -1, -2, -2.5, 0.5, 0.3, 0.1, -0.2, -0.6, -1.5, -2.5})), 0);
  EXPECT_EQ(Replay(Example({1, 0, -1, -2, -2.5, -0.5, -0.5, -0.5, -0.5, -0.5})), 0);  // a worse run is a run
}

TEST(Collapse, OneThatClimbsWithoutEndIsOne) {
  EXPECT_GT(Replay(Example({1, 0, -1, -2, -2.5, 0.5, 1, 2, 3, 4})), 0);
}

TEST(Collapse, WarmUpAndSmallLearningRatesAreNotJudgedBeforeARunHasLearned) {
  RecordedRun run = Example(std::vector<double>(50, 0.05));
  EXPECT_EQ(Replay(run), 40);
  run.train.warmup_steps = 100;
  EXPECT_EQ(Replay(run), 110);
  run.excesses.assign(50, 1.0);  // far from the unigram model
  EXPECT_EQ(Replay(run), 0);
}

}  // namespace
}  // namespace mixln::worker::trainer::loop
