// Whole command lines against a coordinator in this process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "fake_coordinator.h"
#include "fake_world.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class Commands : public testing::Test {
 protected:
  Commands() { world.variables["MIXLN_COORDINATOR"] = coordinator.address; }

  v1::Sweep& AddSweep(const std::string& id, int succeeded, int running = 0) {
    v1::Sweep& sweep = coordinator.sweeps[id];
    sweep.set_id(id);
    sweep.set_uid("uid-" + id);
    sweep.mutable_counts()->set_succeeded(succeeded);
    sweep.mutable_counts()->set_running(running);
    return sweep;
  }
  v1::Trial& AddTrial(const std::string& sweep, int index, v1::TrialState state) {
    v1::Trial& trial = coordinator.trials[sweep + "-" + std::to_string(index)];
    trial.set_id(sweep + "-" + std::to_string(index));
    trial.set_sweep_id(sweep);
    trial.set_index(index);
    trial.set_state(state);
    trial.mutable_spec()->mutable_train()->set_steps(100);
    return trial;
  }
  static v1::WatchSweepResponse Change(const std::string& sweep, int index, const std::string& state) {
    v1::WatchSweepResponse change;
    change.mutable_sweep()->set_id(sweep);
    v1::TrialCounts& counts = *change.mutable_sweep()->mutable_counts();
    if (state == "RUNNING") counts.set_running(1);
    if (state == "SUCCEEDED") counts.set_succeeded(1);
    if (state == "DIVERGED") counts.set_diverged(1);
    if (state == "PRUNED") counts.set_pruned(1);
    if (state == "FAILED") counts.set_failed(1);
    if (state == "CANCELLED") counts.set_cancelled(1);
    auto* trial = change.add_trials();
    trial->set_trial_id(sweep + "-" + std::to_string(index));
    trial->set_index(index);
    trial->set_state(state);
    trial->set_steps(100);
    return change;
  }

  FakeCoordinator coordinator;
  FakeWorld world;
};

constexpr char kSweepFile[] = R"(apiVersion: mixln/v1
kind: Sweep
metadata: {name: demo}
spec:
  model: {preset: llama-9m}
  norm: {placement: mix, alpha: 0.25}
  data: {source: [corpus/*.txt], tokenizer: {train: {vocab: 512}}, reading: packed, context: 32}
  train: {steps: 100, batch: {sequences: 2}, lr: 1.0e-3, warmup_steps: 10, precision: fp32, seed: 0}
  sweep:
    strategy: grid
    parameters: {norm.alpha: [0, 0.5, 1], train.seed: [0, 1]}
)";

std::string Corpus() {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "Document " + std::to_string(i) + " says little.\n\n";
  return text;
}

TEST_F(Commands, GetSweepsListsNamesAndStates) {
  AddSweep("demo", 2, 1);
  EXPECT_EQ(world.Run({"get", "sweeps"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("demo"), HasSubstr("1 running, 2 succeeded")));
}

TEST_F(Commands, GetNamesIsForScripts) {
  AddSweep("a", 1);
  AddSweep("b", 1);
  EXPECT_EQ(world.Run({"get", "sweeps", "-o", "name"}), 0);
  EXPECT_EQ(world.Out(), "a\nb\n");
  EXPECT_EQ(world.Err(), "");
}

TEST_F(Commands, GetTrialsReadsAllPages) {
  AddSweep("demo", 2);
  AddTrial("demo", 0, v1::TRIAL_STATE_SUCCEEDED);
  AddTrial("demo", 1, v1::TRIAL_STATE_SUCCEEDED);
  EXPECT_EQ(world.Run({"get", "trials", "demo", "-o", "name"}), 0);
  EXPECT_EQ(world.Out(), "demo-0\ndemo-1\n");
}

TEST_F(Commands, JsonIsTheApisMessageWithItsFieldNames) {
  AddSweep("demo", 2);
  EXPECT_EQ(world.Run({"get", "sweep", "uid-demo", "-o", "json"}), 0);  // found by uid
  const auto json = nlohmann::json::parse(world.Out());
  EXPECT_EQ(json["id"], "demo");
  EXPECT_EQ(json["counts"]["succeeded"], 2);
  EXPECT_EQ(json["counts"]["failed"], 0);  // defaults are printed
}

TEST_F(Commands, YamlSaysTheSame) {
  AddSweep("demo", 2);
  EXPECT_EQ(world.Run({"get", "sweep", "demo", "-o", "yaml"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("id: demo\n"), HasSubstr("  succeeded: 2\n")));
}

TEST_F(Commands, AMisspeltNameIsAnsweredWithTheNearest) {
  AddSweep("alpha-demo", 1);
  EXPECT_EQ(world.Run({"results", "alpha-dmeo"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("no sweep is called \"alpha-dmeo\": did you mean \"alpha-demo\"?"));
}

TEST_F(Commands, DescribeTrialSaysWhyItWaitsAndHowAttemptsEnded) {
  auto& trial = AddTrial("demo", 0, v1::TRIAL_STATE_PENDING);
  trial.set_reason("all 2 CPU slots are taken");
  auto* attempt = trial.add_attempts();
  attempt->mutable_fence()->set_term(3);
  attempt->mutable_fence()->set_epoch(12);
  attempt->set_cause(v1::FAILURE_CAUSE_TRAINER_CRASH);
  attempt->set_message("rank 0 was ended by signal 9");
  attempt->mutable_create_time()->set_seconds(1000);
  attempt->mutable_end_time()->set_seconds(1060);
  attempt->add_ranks()->set_worker_id("w1");
  EXPECT_EQ(world.Run({"describe", "trial", "demo/0"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("Waits:       all 2 CPU slots are taken"), HasSubstr("3-12"),
                                 HasSubstr("w1 slot 0"), HasSubstr("TRAINER_CRASH"), HasSubstr("1m00s"),
                                 HasSubstr("ended by signal 9")));
}

TEST_F(Commands, DescribeOfAFailedTrialShowsTheErrorOfTheRankThatFailedFirst) {
  auto& trial = AddTrial("demo", 0, v1::TRIAL_STATE_FAILED);
  AddTrial("demo", 1, v1::TRIAL_STATE_PENDING).set_retry_of("demo-0");
  trial.set_reason("io: rank 1 on gpu-3 exited with code 74: no room (after 2 retries without progress)");
  trial.set_retries(2);
  auto* attempt = trial.add_attempts();
  attempt->set_cause(v1::FAILURE_CAUSE_IO);
  attempt->set_message("rank 1 on gpu-3 exited with code 74; its last words:\nno room\nbye");
  attempt->mutable_end_time()->set_seconds(1060);
  EXPECT_EQ(world.Run({"describe", "trial", "demo-0"}), 0);
  EXPECT_THAT(world.Out(), HasSubstr("State:       FAILED\n"
                                     "Error:       IO, rank 1 on gpu-3 exited with code 74; its last words:\n"
                                     "             no room\n"
                                     "             bye\n"
                                     "Retries:     2 without progress\n"
                                     "Tried again: demo-1\n"));
  EXPECT_THAT(world.Err(), Not(HasSubstr("mixlnctl retry")));
}

TEST_F(Commands, WaitExitsByHowTheSweepEnded) {
  AddSweep("demo", 0, 1);
  const std::vector<std::pair<std::string, int>> ends{
      {"SUCCEEDED", 0}, {"DIVERGED", 0}, {"PRUNED", 0}, {"FAILED", 100}, {"CANCELLED", 103}};
  for (const auto& [state, code] : ends) {
    coordinator.watches = {{Change("demo", 0, "RUNNING"), Change("demo", 0, state)}};
    EXPECT_EQ(world.Run({"wait", "demo"}), code) << state;
  }
}

TEST_F(Commands, AFailedTrialWhoseRetrySucceededIsNoFailure) {
  AddSweep("demo", 0, 1);
  auto retried = Change("demo", 0, "FAILED");
  auto& counts = *retried.mutable_sweep()->mutable_counts();
  counts.set_failed(0);
  counts.set_superseded(1);
  counts.set_running(1);
  auto done = Change("demo", 1, "SUCCEEDED");
  done.mutable_sweep()->mutable_counts()->set_superseded(1);
  coordinator.watches = {{retried, done}};
  EXPECT_EQ(world.Run({"wait", "demo"}), 0) << world.Err();
  coordinator.watches = {{retried, done}};
  EXPECT_EQ(world.Run({"watch", "demo"}), 0);
}

TEST_F(Commands, WaitForATrialThatFailedSaysWhichOneTriesItAgain) {
  AddSweep("demo", 0, 1);
  AddTrial("demo", 0, v1::TRIAL_STATE_FAILED).set_reason("out of memory");
  AddTrial("demo", 1, v1::TRIAL_STATE_RUNNING).set_retry_of("demo-0");
  coordinator.watches = {{Change("demo", 0, "FAILED")}};
  EXPECT_EQ(world.Run({"wait", "demo-0"}), 100);
  EXPECT_THAT(world.Err(), HasSubstr("trial demo-0: FAILED, out of memory; tried again as demo-1"));
}

TEST_F(Commands, WaitForNothingThatExistsIs102) {
  EXPECT_EQ(world.Run({"wait", "nothing"}), 102);
}

TEST_F(Commands, WaitThatRunsOutOfTimeIs101AndSaysSo) {
  AddSweep("demo", 0, 1);
  EXPECT_EQ(world.Run({"wait", "demo", "--timeout", "0.2s"}), 101);
  EXPECT_THAT(world.Err(), HasSubstr("not ended within 0.2 s"));
}

TEST_F(Commands, WaitForATrialDoesNotWaitForTheOthers) {
  AddSweep("demo", 0, 2);
  AddTrial("demo", 1, v1::TRIAL_STATE_RUNNING);
  coordinator.watches = {{Change("demo", 0, "RUNNING"), Change("demo", 1, "SUCCEEDED")}};
  EXPECT_EQ(world.Run({"wait", "demo-1"}), 0);
}

TEST_F(Commands, WatchPrintsALineAChangeOutsideATerminalAndEndsWithTheResults) {
  AddSweep("demo", 0, 1);
  auto* row = coordinator.results.add_rows();
  row->set_placement(v1::PLACEMENT_MIX);
  row->set_alpha(0.25);
  row->set_perplexity_mean(33.12);
  row->set_best(true);
  auto* without_alpha = coordinator.results.add_rows();
  without_alpha->set_placement(v1::PLACEMENT_DEEPNORM);
  without_alpha->set_perplexity_mean(34.87);
  coordinator.results.set_unigram_perplexity(812.5);
  coordinator.watches = {{Change("demo", 0, "RUNNING"), Change("demo", 0, "SUCCEEDED")}};
  world.io.unicode = false;
  EXPECT_EQ(world.Run({"watch", "demo"}), 0);
  EXPECT_THAT(world.Out(), StartsWith("demo-0  RUNNING\ndemo-0  SUCCEEDED\n"));
  EXPECT_THAT(world.Out(),
              AllOf(HasSubstr("*   0.25"), HasSubstr("33.12"), HasSubstr("(unigram model): 812.50")));
  EXPECT_THAT(world.Out(), HasSubstr("\n       -            -  34.87 "));
  EXPECT_THAT(world.Out(), Not(HasSubstr("\x1b")));
}

TEST_F(Commands, WatchOnATerminalRedrawsInPlace) {
  AddSweep("demo", 0, 1);
  coordinator.watches = {{Change("demo", 0, "RUNNING")}, {Change("demo", 0, "SUCCEEDED")}};
  world.io.out_is_terminal = true;
  world.io.width = 100;
  EXPECT_EQ(world.Run({"watch", "demo"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("\x1b[J"), HasSubstr("░░░")));
}

TEST_F(Commands, WatchOutlivesACoordinatorThatGoesAway) {
  AddSweep("demo", 0, 1);
  coordinator.watches = {{Change("demo", 0, "RUNNING")}, {Change("demo", 0, "SUCCEEDED")}};
  EXPECT_EQ(world.Run({"watch", "demo"}), 0);
  EXPECT_THAT(world.Err(),
              AllOf(HasSubstr("went away; the sweep runs on; reconnecting"), HasSubstr("connected again")));
}

TEST_F(Commands, CtrlCLeavesTheSweepRunningAndSaysHowToComeBack) {
  AddSweep("demo", 0, 1);
  world.io.interrupted = [] { return true; };
  EXPECT_EQ(world.Run({"watch", "demo"}), 101);
  EXPECT_THAT(world.Err(), HasSubstr("left sweep demo running: `mixlnctl watch demo` comes back to it"));
  EXPECT_TRUE(coordinator.cancelled.empty());
}

TEST_F(Commands, CancelWithAMisspeltNameCancelsNothing) {
  AddSweep("demo", 0, 1);
  EXPECT_EQ(world.Run({"cancel", "demo", "dem"}), 1);
  EXPECT_TRUE(coordinator.cancelled.empty());
  EXPECT_EQ(world.Run({"cancel", "demo"}), 0);
  EXPECT_THAT(coordinator.cancelled, ElementsAre("demo"));
}

TEST_F(Commands, PauseAndResumeTakeSweepsAndTrialsAndNothingWhenOneNameIsWrong) {
  AddSweep("demo", 0, 1);
  AddTrial("demo", 0, v1::TRIAL_STATE_RUNNING);
  EXPECT_EQ(world.Run({"pause", "demo", "dem"}), 1);
  EXPECT_TRUE(coordinator.asked.empty());
  EXPECT_EQ(world.Run({"pause", "demo", "demo/0"}), 0) << world.Err();
  EXPECT_THAT(world.Err(), HasSubstr("`mixlnctl resume demo` lets it go on"));
  EXPECT_EQ(world.Run({"resume", "demo"}), 0);
  EXPECT_THAT(coordinator.asked, ElementsAre("pause demo", "pause demo-0", "resume demo"));
}

TEST_F(Commands, RetryTakesTrialsAndWithFailedWholeSweeps) {
  AddSweep("demo", 0, 1);
  AddTrial("demo", 0, v1::TRIAL_STATE_FAILED);
  EXPECT_EQ(world.Run({"retry", "demo-0", "demo"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("`mixlnctl retry --failed demo`"));
  EXPECT_TRUE(coordinator.asked.empty());
  EXPECT_EQ(world.Run({"retry", "demo-0"}), 0);
  EXPECT_THAT(world.Err(), HasSubstr("again as demo-0-again; `mixlnctl wait demo-0-again`"));
  EXPECT_EQ(world.Run({"retry", "--failed", "demo"}), 0);
  EXPECT_THAT(world.Err(), HasSubstr("trying 1 failed trial of sweep demo again as demo-7"));
  EXPECT_THAT(coordinator.asked, ElementsAre("retry demo-0", "retry demo"));
}

TEST_F(Commands, DrainFindsAWorkerByTheBeginningOfItsIdOrByItsHost) {
  for (const char* id : {"c0700f7e8b085dee", "c0ff00000000beef"}) {
    v1::Worker& worker = coordinator.workers.emplace_back();
    worker.set_id(id);
    worker.set_hostname(std::string("host-") + id[2]);
    worker.add_slots()->set_trial_id("demo-0");
  }
  EXPECT_EQ(world.Run({"drain", "c0"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("is 2 workers: name one of c0700f7e8b085dee, c0ff00000000beef"));
  EXPECT_EQ(world.Run({"drain", "host-8"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("no worker is called \"host-8\""));
  EXPECT_EQ(world.Run({"drain", "host-7", "--reason", "new disk"}), 0);
  EXPECT_THAT(world.Err(), HasSubstr("1 running rank stops with a checkpoint"));
  EXPECT_EQ(world.Run({"undrain", "c07"}), 0);
  EXPECT_THAT(coordinator.asked, ElementsAre("drain c0700f7e8b085dee new disk", "undrain c0700f7e8b085dee"));
}

TEST_F(Commands, DeleteRefusesASweepThatRuns) {
  AddSweep("demo", 0, 1);
  EXPECT_EQ(world.Run({"delete", "demo"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("1 trial that have not ended: `mixlnctl cancel demo`"));
  AddSweep("demo", 1, 0);
  EXPECT_EQ(world.Run({"delete", "demo"}), 0);
  EXPECT_THAT(coordinator.deleted, ElementsAre("demo"));
}

TEST_F(Commands, LogsAreCopiedAsTheyAre) {
  AddTrial("demo", 0, v1::TRIAL_STATE_RUNNING).add_attempts();
  coordinator.log = "step 1\nstep 2\n";
  EXPECT_EQ(world.Run({"logs", "demo-0"}), 0);
  EXPECT_EQ(world.Out(), "step 1\nstep 2\n");
}

TEST_F(Commands, AFollowedLogGoesOnWhereItsStreamBroke) {
  AddTrial("demo", 0, v1::TRIAL_STATE_RUNNING).add_attempts();
  coordinator.log = "step 1\nstep 2\n";
  coordinator.log_breaks = {0, 10, 10};  // before the first byte, in the middle of a line, and again there
  EXPECT_EQ(world.Run({"logs", "-f", "--tail", "2", "demo-0"}), 0) << world.Err();
  EXPECT_EQ(world.Out(), "step 1\nstep 2\n");
  EXPECT_THAT(world.Err(), HasSubstr("waiting for the log"));
  ASSERT_EQ(coordinator.log_reads.size(), 4u);
  EXPECT_EQ(coordinator.log_reads[0].tail_lines(), 2);
  // Lines that came after the first look are not cut again.
  EXPECT_EQ(coordinator.log_reads[1].tail_lines(), 0);
}

TEST_F(Commands, ALogThatIsNotFollowedOrCannotGrowIsNotWaitedFor) {
  v1::Attempt& attempt = *AddTrial("demo", 0, v1::TRIAL_STATE_FAILED).add_attempts();
  coordinator.log = "step 1\n";
  coordinator.log_breaks = {3};
  EXPECT_EQ(world.Run({"logs", "demo-0"}), 1);
  attempt.mutable_end_time()->set_seconds(1);
  coordinator.log_breaks = {3};
  EXPECT_EQ(world.Run({"logs", "-f", "demo-0"}), 1);
  EXPECT_EQ(coordinator.log_reads.size(), 2u);
}

TEST_F(Commands, ALogThatNobodyCanReadIsNoWantOfACoordinator) {
  AddTrial("demo", 0, v1::TRIAL_STATE_RUNNING).add_attempts();
  coordinator.log_breaks = {0};
  coordinator.log_break_words = "no worker is connected that could read this log";
  EXPECT_EQ(world.Run({"logs", "demo-0"}), 1);
  EXPECT_EQ(world.Err(), "error: no worker is connected that could read this log\n");
}

TEST_F(Commands, LogsOfATrialThatNeverRanSayWhy) {
  AddTrial("demo", 0, v1::TRIAL_STATE_PENDING).set_reason("no slot is free");
  EXPECT_EQ(world.Run({"logs", "demo-0"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("has no log yet: it is PENDING, no slot is free"));
}

TEST_F(Commands, SubmitSendsAbsoluteSortedPathsAndSaysWhatIsNext) {
  world.Write("corpus/b.txt", Corpus());
  world.Write("corpus/a.txt", Corpus());
  EXPECT_EQ(world.Run({"submit", world.Write("sweep.yaml", kSweepFile)}), 0) << world.Err();
  ASSERT_EQ(coordinator.created.size(), 1u);
  const auto& request = coordinator.created[0];
  EXPECT_EQ(request.sweep_id(), "demo");
  EXPECT_EQ(request.source_text(), kSweepFile);
  EXPECT_THAT(request.spec().base().data().source(), ElementsAre((world.folder / "corpus/a.txt").string(),
                                                                 (world.folder / "corpus/b.txt").string()));
  EXPECT_THAT(world.Err(), HasSubstr("mixlnctl watch demo"));
}

TEST_F(Commands, SubmitTriesAgainWithTheSameRequestId) {
  world.Write("corpus/a.txt", Corpus());
  coordinator.unavailable = 1;
  EXPECT_EQ(world.Run({"submit", world.Write("sweep.yaml", kSweepFile)}), 0) << world.Err();
  ASSERT_EQ(coordinator.created.size(), 2u);
  EXPECT_EQ(coordinator.created[0].request_id(), coordinator.created[1].request_id());
  EXPECT_EQ(coordinator.created[0].request_id().size(), 32u);
}

TEST_F(Commands, SubmittingTheSameAgainIsNoErrorAndAnotherSpecIs) {
  world.Write("corpus/a.txt", Corpus());
  const std::string file = world.Write("sweep.yaml", kSweepFile);
  EXPECT_EQ(world.Run({"submit", file}), 0);
  EXPECT_EQ(world.Run({"submit", file}), 0);
  EXPECT_THAT(world.Out(), HasSubstr("exists already with the same spec"));
  coordinator.sweeps["demo"].mutable_spec()->mutable_base()->mutable_train()->set_steps(7);
  EXPECT_EQ(world.Run({"submit", file}), 1);
  EXPECT_THAT(world.Err(), AllOf(HasSubstr("exists with another spec"), HasSubstr("--name")));
}

TEST_F(Commands, DryRunShowsTheCellsAndAsksNoCoordinator) {
  world.Write("corpus/a.txt", Corpus());
  world.variables["MIXLN_COORDINATOR"] = "127.0.0.1:1";
  EXPECT_EQ(world.Run({"submit", "--dry-run", world.Write("sweep.yaml", kSweepFile)}), 0) << world.Err();
  // llama-9m has 4 layers: alpha 0.5 gives 2 post layers. 100 steps of 2 * 32 tokens.
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("demo-5"), HasSubstr("2/4"), HasSubstr("6.40K")));
  EXPECT_THAT(world.Err(), HasSubstr("would train 6 trials; nothing was submitted"));
}

TEST_F(Commands, ABadFileIsExplainedInFullAndNothingIsSent) {
  std::string text = kSweepFile;
  text.replace(text.find("steps: 100"), 10, "stpes: 100");
  text.replace(text.find("alpha: 0.25"), 11, "alpha: 1.25");
  const std::string file = world.Write("sweep.yaml", text);
  world.io.err_is_terminal = true;
  EXPECT_EQ(world.Run({"submit", file}), 1);
  EXPECT_THAT(world.Err(), AllOf(HasSubstr(file + ":8:"), HasSubstr("steps"), HasSubstr(file + ":6:"),
                                 HasSubstr("1.25"), HasSubstr(file + ":7:"), HasSubstr("no file matches"),
                                 HasSubstr("\n  "), HasSubstr("^"), HasSubstr("nothing was started")));
  EXPECT_TRUE(coordinator.created.empty());
}

TEST_F(Commands, SubmitReadsStandardInput) {
  world.in.str(kSweepFile);
  EXPECT_EQ(world.Run({"submit", "-", "--skip-data-check"}), 0) << world.Err();
  EXPECT_THAT(coordinator.created[0].spec().base().data().source(), ElementsAre("corpus/*.txt"));
}

TEST_F(Commands, NodesSayWhatEachWorkerOffers) {
  v1::Worker worker;
  worker.set_id("w1");
  worker.set_hostname("host");
  worker.set_state(v1::WORKER_STATE_READY);
  for (int i = 0; i < 2; ++i) worker.add_slots()->set_device(v1::DEVICE_CPU);
  worker.mutable_slots(0)->set_trial_id("demo-0");
  coordinator.workers.push_back(worker);
  EXPECT_EQ(world.Run({"nodes"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("READY"), HasSubstr("1/2"), HasSubstr("2 x CPU")));
  EXPECT_THAT(world.Out(), Not(HasSubstr("REASON")));
  coordinator.workers[0].set_reason("drained by a user: new disk");
  EXPECT_EQ(world.Run({"nodes"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("REASON"), HasSubstr("drained by a user: new disk")));
}

TEST_F(Commands, TopPrintsTheClusterOnceOutsideATerminal) {
  AddSweep("demo", 1, 1);
  AddTrial("demo", 0, v1::TRIAL_STATE_SUCCEEDED);
  AddTrial("demo", 1, v1::TRIAL_STATE_RUNNING).mutable_progress()->set_tokens_per_second(1200);
  EXPECT_EQ(world.Run({"top"}), 0);
  EXPECT_THAT(world.Out(),
              AllOf(HasSubstr("1.20K tokens/s"), HasSubstr("! no worker is ready"),
                    HasSubstr("1 running, 1 succeeded"), HasSubstr("demo-1"), Not(HasSubstr("\x1b"))));
}

TEST_F(Commands, TopLeavesTheTerminalAsItWas) {
  world.io.out_is_terminal = true;
  world.io.interrupted = [] { return true; };
  EXPECT_EQ(world.Run({"top"}), 0);
  EXPECT_THAT(world.Out(), AllOf(StartsWith("\x1b[?1049h\x1b[?25l\x1b[H"), HasSubstr("0/0 workers"),
                                 testing::EndsWith("\x1b[?25h\x1b[?1049l")));
}

TEST_F(Commands, VersionShowsBothSides) {
  EXPECT_EQ(world.Run({"version"}), 0);
  EXPECT_THAT(world.Out(), AllOf(HasSubstr("client"), HasSubstr("cluster c1, term 7")));
}

TEST_F(Commands, ACoordinatorOfAnotherMajorVersionIsExplained) {
  coordinator.version = "9.0.0";
  EXPECT_EQ(world.Run({"get", "sweeps"}), 1);
  EXPECT_THAT(world.Err(), HasSubstr("9.0.0"));
}

TEST(WithoutACoordinator, EveryCommandSaysSoAtOnce) {
  FakeWorld world;
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(world.Run({"get", "sweeps", "--coordinator", "127.0.0.1:1"}), 1);  // port 1: nobody listens there
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
  EXPECT_EQ(world.Err(),
            "error: no coordinator answers at 127.0.0.1:1 (connection refused): start one with `mixlnctl "
            "up`, or name "
            "another with --coordinator\n");
}

TEST(WithoutACoordinator, VersionWorks) {
  FakeWorld world;
  EXPECT_EQ(world.Run({"version", "--coordinator", "127.0.0.1:1"}), 0);
  EXPECT_THAT(world.Out(), HasSubstr("client"));
}

}  // namespace
}  // namespace mixln::services::mixlnctl
