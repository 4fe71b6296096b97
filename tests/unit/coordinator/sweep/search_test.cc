// Strategies in the sweep file: read, refused where they make no sense, and expanded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "coordinator/sweep/expand.h"
#include "coordinator/sweep/validate.h"
#include "good_file.h"

namespace mixln::coordinator::sweep {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kGrid[] = "    parameters:\n      norm.alpha: [0, 0.5]\n      train.seed: [0, 1, 2]\n";

// The good file with this below `sweep:`.
std::string With(const std::string& sweep) {
  return Edited(kGrid, sweep);
}

const std::string kRandom = R"(    strategy: random
    samples: 20
    seed: 7
    parameters:
      norm.alpha: {uniform: [0, 1]}
      train.lr: {log_uniform: [1.0e-4, 1.0e-2]}
      train.batch.sequences: {uniform: [4, 8]}
      train.schedule: [cosine, wsd]
)";

const std::string kAsha = R"(    strategy: asha
    samples: 20
    asha: {min_steps: 5}
    parameters:
      train.lr: {log_uniform: [1.0e-4, 1.0e-2]}
)";

std::string AshaFile(const std::string& more = kAsha) {
  return With(more) + "  eval: {every_steps: 5}\n";
}

std::string Replaced(std::string text, const std::string& old, const std::string& replacement) {
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), replacement);
}

v1::SweepSpec SpecOf(const std::string& text) {
  ParseResult result = Parse(text, "s.yaml", false);
  EXPECT_EQ(ProblemsOf(text), "");
  return result.spec;
}

TEST(Search, ReadsARandomSearch) {
  const v1::SearchSpec search = SpecOf(With(kRandom)).sweep();
  EXPECT_EQ(search.strategy(), v1::STRATEGY_RANDOM);
  EXPECT_EQ(search.samples(), 20);
  EXPECT_EQ(search.seed(), 7);
  ASSERT_EQ(search.parameters_size(), 4);
  EXPECT_EQ(search.parameters(1).path(), "train.lr");
  EXPECT_EQ(search.parameters(1).distribution().kind(), v1::Distribution::KIND_LOG_UNIFORM);
  EXPECT_EQ(search.parameters(1).distribution().min(), 1e-4);
  EXPECT_EQ(search.parameters(1).distribution().max(), 1e-2);
  EXPECT_THAT(search.parameters(3).values(), ElementsAre("cosine", "wsd"));
}

TEST(Search, OneInFourGoesOnUnlessTheFileSaysOtherwise) {
  EXPECT_EQ(SpecOf(AshaFile()).sweep().asha().reduction_factor(), 4);
  EXPECT_EQ(SpecOf(AshaFile(Replaced(kAsha, "min_steps: 5", "min_steps: 5, reduction_factor: 2")))
                .sweep()
                .asha()
                .reduction_factor(),
            2);
}

TEST(Search, DrawsWhatTheTrialsTrainWith) {
  const Expansion expansion = Expand(SpecOf(With(kRandom)));
  ASSERT_EQ(expansion.cells.size(), 20U);
  EXPECT_THAT(expansion.notes, IsEmpty());
  std::set<double> lrs;
  for (const v1::Cell& cell : expansion.cells) {
    const v1::TrialSpec& spec = cell.spec();
    ASSERT_EQ(cell.parameters_size(), 4);
    EXPECT_EQ(std::stod(cell.parameters(0).value()), spec.norm().alpha());
    EXPECT_EQ(std::stod(cell.parameters(1).value()), spec.train().lr());
    EXPECT_EQ(std::stoi(cell.parameters(2).value()), spec.train().batch().sequences());
    EXPECT_EQ(cell.parameters(3).value() == "wsd", spec.train().schedule() == v1::SCHEDULE_WSD);
    lrs.insert(spec.train().lr());
  }
  EXPECT_EQ(lrs.size(), 20U);
}

TEST(Search, TheSameFileGivesTheSameCellsAndAnotherSeedOthers) {
  const auto parameters_of = [](const std::string& text) {
    std::string all;
    for (const v1::Cell& cell : Expand(SpecOf(text)).cells)
      for (const auto& parameter : cell.parameters()) all += parameter.value() + " ";
    return all;
  };
  EXPECT_EQ(parameters_of(With(kRandom)), parameters_of(With(kRandom)));
  EXPECT_NE(parameters_of(With(kRandom)), parameters_of(With(Replaced(kRandom, "seed: 7", "seed: 8"))));
}

// A model of 8 layers has 0 to 8 post layers, and so 9 different trials.
TEST(Search, MergesDrawsOfOneTrialAndSaysSo) {
  const Expansion expansion = Expand(SpecOf(
      With("    strategy: random\n    samples: 200\n    parameters: {norm.alpha: {uniform: [0, 1]}}\n")));
  EXPECT_EQ(expansion.cells.size(), 9U);
  EXPECT_THAT(expansion.notes,
              ElementsAre("191 of 200 draws give the same trial as another: 9 cells are left"));
  EXPECT_THAT(expansion.cells[0].notes(), ElementsAre(HasSubstr("drawn ")));
}

TEST(Search, AshaWithoutSamplesTakesEveryCombination) {
  const Expansion expansion =
      Expand(SpecOf(AshaFile("    strategy: asha\n    asha: {min_steps: 5}\n    parameters: {train.seed: [0, "
                             "1, 2], norm.alpha: [0, 1]}\n")));
  EXPECT_EQ(expansion.cells.size(), 6U);
}

TEST(Search, RefusesWhatDoesNotGoWithTheStrategy) {
  const std::string samples = "    samples: 5\n    seed: 3\n    asha: {min_steps: 5}\n";
  EXPECT_THAT(ProblemsOf(With(samples + kGrid)),
              AllOf(StartsWith("s.yaml:13:14: sweep.samples: is not for strategy grid"),
                    HasSubstr("s.yaml:14:11: sweep.seed: has nothing to draw"),
                    HasSubstr("s.yaml:15:5: sweep.asha: is for strategy asha")));
  EXPECT_THAT(ProblemsOf(With(std::string("    strategy: random\n") + kGrid)),
              StartsWith("s.yaml:12:3: sweep.samples: is missing: give the number of cells to draw"));
  EXPECT_THAT(ProblemsOf(With(std::string("    strategy: asha\n") + kGrid)),
              StartsWith("s.yaml:12:3: sweep.asha.min_steps: is missing"));
  EXPECT_THAT(ProblemsOf(With("    parameters: {norm.alpha: {uniform: [0, 1]}}\n")),
              AllOf(StartsWith("s.yaml:13:18: sweep.parameters.norm.alpha: is a range"),
                    HasSubstr("strategy: random")));
  EXPECT_THAT(
      ProblemsOf(With("    strategy: asha\n    asha: {min_steps: 5}\n"
                      "    parameters: {norm.alpha: {uniform: [0, 1]}}\n")),
      HasSubstr("s.yaml:15:18: sweep.parameters.norm.alpha: is a range: say with sweep.samples how many"));
}

TEST(Search, AMisspeltStrategyIsTheOnlyProblem) {
  EXPECT_EQ(ProblemsOf(With(Replaced(kRandom, "random", "randon"))),
            "s.yaml:13:15: sweep.strategy: unknown value `randon`, did you mean `random`? One of grid, "
            "random, asha\n");
}

TEST(Search, RefusesRangesThatCannotBeDrawnFrom) {
  const auto refusal = [](const std::string& parameter) {
    return ProblemsOf(
        With("    strategy: random\n    samples: 3\n    parameters:\n      " + parameter + "\n"));
  };
  EXPECT_THAT(refusal("norm.alpha: {uniform: [1, 0]}"),
              HasSubstr("16:7: sweep.parameters.norm.alpha: must go from the least"));
  EXPECT_THAT(refusal("train.lr: {log_uniform: [0, 1]}"), HasSubstr("must begin above 0, not at 0"));
  EXPECT_THAT(refusal("norm.placement: {uniform: [pre, post]}"), HasSubstr("has no range: give a list"));
  EXPECT_THAT(refusal("norm.alpha: {unform: [0, 1]}"),
              HasSubstr("unknown field `unform`, did you mean `uniform`?"));
  EXPECT_THAT(refusal("norm.alpha: {uniform: [0, 1], log_uniform: [1, 2]}"), HasSubstr("must be one range"));
  EXPECT_THAT(refusal("norm.alpha: {uniform: [0, 0.5, 1]}"),
              HasSubstr("must be the least and the greatest value"));
  EXPECT_THAT(refusal("norm.alpha: 0.5"), HasSubstr("must be a list of values, such as [0, 1], or a range"));
  EXPECT_THAT(refusal("train.seed: {uniform: [0, 0.5]}"),
              HasSubstr("16:33: sweep.parameters.train.seed.uniform[1]: must be a whole number"));
  EXPECT_THAT(refusal("norm.alpha: {uniform: [0, 1.5]}"),
              HasSubstr("16:33: sweep.parameters.norm.alpha.uniform[1]: must be in [0, 1], not 1.5"));
  EXPECT_THAT(refusal("model.layers: {uniform: [0, 4]}"),
              HasSubstr("sweep.parameters.model.layers.uniform[0]: must be at least 1"));
}

TEST(Search, RefusesDrawsWhoseValuesDoNotGoTogetherAndSaysOneOfThem) {
  const std::string problems =
      ProblemsOf(With("    strategy: random\n    samples: 50\n    parameters: {model.heads: [2, 3], "
                      "train.seed: {uniform: [0, 9]}}\n"));
  EXPECT_THAT(problems, AllOf(StartsWith("s.yaml:15:5: sweep.parameters: model.heads=3, train.seed="),
                              HasSubstr("model.heads: 3 heads do not divide hidden_size 32")));
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 1);
}

TEST(Search, AMistakeThatEveryDrawHasIsThatOfTheField) {
  EXPECT_EQ(ProblemsOf(Replaced(With(kRandom), "heads: 2", "heads: 3")),
            "s.yaml:5:69: model.heads: 3 heads do not divide hidden_size 32: choose one that leaves no "
            "remainder\n");
}

TEST(Search, RungsAreAtEvaluationsAndBeforeTheEnd) {
  EXPECT_THAT(
      ProblemsOf(AshaFile(Replaced(kAsha, "min_steps: 5", "min_steps: 7"))),
      HasSubstr("s.yaml:15:23: sweep.asha.min_steps: trials are compared by their evaluations: 7 is not a "
                "multiple of eval.every_steps, 5"));
  EXPECT_THAT(ProblemsOf(AshaFile(Replaced(kAsha, "min_steps: 5", "min_steps: 30"))),
              HasSubstr("30 is not below train.steps, 30"));
  EXPECT_THAT(ProblemsOf(AshaFile(
                  Replaced(kAsha, "min_steps: 5", "min_steps: 5, reduction_factor: 1, max_steps: 5"))),
              AllOf(HasSubstr("sweep.asha.reduction_factor: must be in [2, 1000], not 1"),
                    HasSubstr("sweep.asha.max_steps: must be more than min_steps, 5, not 5")));
}

TEST(Search, TheApiRefusesHostileSearches) {
  v1::SweepSpec spec = SpecOf(With(kRandom));
  const auto refusal = [&](auto edit) {
    v1::SweepSpec edited = spec;
    edit(*edited.mutable_sweep());
    std::string all;
    for (const Problem& problem : Validate("good", edited, false)) all += Format(problem) + "\n";
    return all;
  };
  EXPECT_EQ(refusal([](auto&) {}), "");
  EXPECT_THAT(refusal([](auto& s) { s.set_strategy(static_cast<v1::Strategy>(9)); }),
              StartsWith("sweep.strategy: is the unknown value number 9: give one of grid, random, asha"));
  EXPECT_THAT(refusal([](auto& s) { s.set_samples(-1); }),
              StartsWith("sweep.samples: must be at least 1, not -1"));
  EXPECT_THAT(refusal([](auto& s) { s.set_samples(2'000'000'000); }),
              StartsWith("sweep.parameters: the sweep has 2000000000 cells"));
  EXPECT_THAT(refusal([](auto& s) { s.set_samples(20'000); }), HasSubstr("--allow-large"));
  EXPECT_THAT(
      refusal([](auto& s) { s.mutable_parameters(0)->mutable_distribution()->set_max(std::nan("")); }),
      StartsWith("sweep.parameters.norm.alpha: must go from the least"));
  EXPECT_THAT(
      refusal([](auto& s) {
        s.mutable_parameters(0)->mutable_distribution()->set_kind(static_cast<v1::Distribution::Kind>(5));
      }),
      StartsWith("sweep.parameters.norm.alpha: has the unknown distribution number 5"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_parameters(2)->mutable_distribution()->set_max(1e17); }),
              StartsWith("sweep.parameters.train.batch.sequences: must go from one whole number to another"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_parameters(2)->mutable_distribution()->set_max(3e9); }),
              StartsWith("sweep.parameters.train.batch.sequences.uniform[1]: `3000000000` is out of range"));
  EXPECT_THAT(refusal([](auto& s) { s.mutable_parameters(0)->add_values("0"); }),
              HasSubstr("has values and a range"));
  EXPECT_THAT(refusal([](auto& s) { s.clear_parameters(); }), StartsWith("sweep.parameters: is missing"));
}

TEST(Retention, IsReadAndItsMistakesAreFound) {
  const v1::SweepSpec spec =
      SpecOf(With(kGrid) + "  retention: {checkpoints: 3, seconds_after_end: 86400}\n");
  EXPECT_EQ(spec.retention().checkpoints(), 3);
  EXPECT_EQ(spec.retention().seconds_after_end(), 86400);
  EXPECT_FALSE(SpecOf(kGoodFile).has_retention());
  EXPECT_THAT(ProblemsOf(With(kGrid) + "  retention: {checkpoints: 1, seconds_after_end: -1}\n"),
              AllOf(StartsWith("s.yaml:16:28: retention.checkpoints: must be at least 2, not 1"),
                    HasSubstr("s.yaml:16:50: retention.seconds_after_end: must be at least 1")));
  EXPECT_THAT(ProblemsOf(With(kGrid) + "  retention: {checkpoint: 3}\n"),
              HasSubstr("did you mean `checkpoints`?"));
}

}  // namespace
}  // namespace mixln::coordinator::sweep
