#include "coordinator/sweep/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "coordinator/sweep/expand.h"
#include "good_file.h"

namespace mixln::coordinator::sweep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

TEST(Parse, ReadsTheFileAndFillsInDefaults) {
  const ParseResult result = Parse(kGoodFile, "s.yaml", false);
  EXPECT_EQ(ProblemsOf(kGoodFile), "");
  EXPECT_EQ(result.name, "good");
  const v1::TrialSpec& base = result.spec.base();
  EXPECT_EQ(base.model().layers(), 8);
  EXPECT_EQ(base.norm().placement(), v1::PLACEMENT_MIX);
  EXPECT_DOUBLE_EQ(base.train().lr(), 0.003);
  ASSERT_EQ(base.data().source_size(), 1);
  EXPECT_EQ(base.data().source(0), "corpus/*.txt");
  EXPECT_EQ(base.data().tokenizer().train().vocab(), 400);
  EXPECT_DOUBLE_EQ(base.train().beta2(), 0.999);
  EXPECT_EQ(base.train().precision(), v1::PRECISION_BF16);
  ASSERT_EQ(result.spec.sweep().parameters_size(), 2);
  EXPECT_EQ(result.spec.sweep().parameters(1).path(), "train.seed");
  EXPECT_EQ(result.spec.sweep().parameters(1).values(2), "2");
}

TEST(Parse, ReadsTheScheduleOfWarmUpStableAndDecay) {
  const ParseResult result =
      Parse(Edited("warmup_steps: 5", "warmup_steps: 5, schedule: wsd, decay_share: 0.2"), "s.yaml", false);
  EXPECT_TRUE(result.problems.empty());
  EXPECT_EQ(result.spec.base().train().schedule(), v1::SCHEDULE_WSD);
  EXPECT_EQ(result.spec.base().train().decay_share(), 0.2);
  EXPECT_EQ(ProblemsOf(Edited("warmup_steps: 5", "warmup_steps: 28, schedule: wsd, decay_share: 0.2")),
            "s.yaml:11:103: train.decay_share: warm-up of 28 steps and decay of 6 are longer than training, "
            "30 steps: shorten one of them\n");
}

TEST(Parse, TakesOneSourceAsAListOfOne) {
  const ParseResult result = Parse(Edited("[\"corpus/*.txt\"]", "all.txt"), "s.yaml", false);
  EXPECT_TRUE(result.problems.empty());
  ASSERT_EQ(result.spec.base().data().source_size(), 1);
  EXPECT_EQ(result.spec.base().data().source(0), "all.txt");
}

TEST(Parse, ReadsNumbersInEveryUsualSpelling) {
  for (const char* lr : {"3.0e-3", "3e-3", "3E-3", ".003", "0.003", "+0.003", "30e-4"}) {
    const ParseResult result = Parse(Edited("3.0e-3", lr), "s.yaml", false);
    EXPECT_TRUE(result.problems.empty()) << lr;
    EXPECT_DOUBLE_EQ(result.spec.base().train().lr(), 0.003) << lr;
  }
}

TEST(Parse, ASweepWithoutParametersIsFine) {
  std::string text = kGoodFile;
  text.resize(text.find("  sweep:"));
  EXPECT_EQ(ProblemsOf(text), "");
}

TEST(Parse, NamesAMisspeltFieldWithItsPlaceAndASuggestion) {
  EXPECT_EQ(ProblemsOf(Edited("  train: {steps", "  trian: {steps")),
            "s.yaml:11:3: trian: unknown field `trian`, did you mean `train`?\n");
  EXPECT_EQ(ProblemsOf(Edited("warmup_steps", "warmupsteps")),
            "s.yaml:11:57: train.warmupsteps: unknown field `warmupsteps`, did you mean `warmup_steps`?\n");
}

TEST(Parse, SaysWhereAFieldInTheWrongGroupBelongs) {
  EXPECT_THAT(ProblemsOf(Edited("layers: 8", "layers: 8, alpha: 0.5")),
              HasSubstr("did you mean spec.norm.alpha?"));
}

TEST(Parse, SuggestsThePathOfASweptParameter) {
  EXPECT_THAT(ProblemsOf(Edited("norm.alpha: [", "norm.alhpa: [")),
              AllOf(StartsWith("s.yaml:14:7: "), HasSubstr("did you mean `norm.alpha`?")));
  EXPECT_THAT(ProblemsOf(Edited("norm.alpha: [", "alpha: [")), HasSubstr("did you mean `norm.alpha`?"));
  EXPECT_THAT(ProblemsOf(Edited("norm.alpha: [", "spec.norm.alpha: [")),
              HasSubstr("did you mean `norm.alpha`?"));
  EXPECT_THAT(ProblemsOf(Edited("norm.alpha: [0, 0.5]", "data.source: [a, b]")), HasSubstr("is a list"));
  EXPECT_THAT(ProblemsOf(Edited("norm.alpha: [0, 0.5]", "norm: [a, b]")), HasSubstr("norm.placement"));
}

TEST(Parse, RefusesValuesOfAnotherType) {
  EXPECT_EQ(ProblemsOf(Edited("steps: 30", "steps: many")),
            "s.yaml:11:18: train.steps: must be a whole number in plain digits, such as 1000, not `many`\n");
  for (const char* steps : {"1_000", "1e3", "30.0", "0x1E", "030", "''", "'30'", "[30]", "{a: 1}", "~", ""}) {
    EXPECT_THAT(ProblemsOf(Edited("steps: 30", std::string("steps: ") + steps)),
                AllOf(StartsWith("s.yaml:11:"), HasSubstr(": train.steps: "), HasSubstr("a whole number")))
        << steps;
  }
  for (const char* lr : {"fast", "1.0.0", "1e", "e3", "0.1f", "-", "."}) {
    EXPECT_THAT(ProblemsOf(Edited("3.0e-3", lr)), HasSubstr("must be a number")) << lr;
  }
  EXPECT_THAT(ProblemsOf(Edited("steps: 30", "deterministic: yes, steps: 30")),
              HasSubstr("did you mean `true`?"));
  EXPECT_THAT(ProblemsOf(Edited("{placement: mix, alpha: 0.25}", "5")),
              HasSubstr("must be a group of fields"));
}

TEST(Parse, RefusesAnUnknownEnumValueWithASuggestion) {
  EXPECT_THAT(ProblemsOf(Edited("placement: mix", "placement: miks")),
              AllOf(HasSubstr("did you mean `mix`?"), HasSubstr("pre, post, mix")));
  EXPECT_THAT(ProblemsOf(Edited("placement: mix", "placement: unspecified")), HasSubstr("unknown value"));
}

TEST(Parse, RefusesNumbersBeyondTheirType) {
  EXPECT_THAT(ProblemsOf(Edited("layers: 8", "layers: 3000000000")), HasSubstr("-2147483648 to 2147483647"));
  EXPECT_THAT(ProblemsOf(Edited("steps: 30", "steps: 9223372036854775808")), HasSubstr("out of range"));
  EXPECT_THAT(ProblemsOf(Edited("3.0e-3", "1e999")), HasSubstr("too large"));
}

TEST(Parse, RefusesWhatIsNotFinite) {
  for (const char* alpha : {".nan", ".inf", "-.inf", "nan"}) {
    EXPECT_THAT(ProblemsOf(Edited("alpha: 0.25", std::string("alpha: ") + alpha)), HasSubstr("finite"))
        << alpha;
    EXPECT_THAT(ProblemsOf(Edited("[0, 0.5]", std::string("[0, ") + alpha + "]")),
                HasSubstr("s.yaml:14:23: "))
        << alpha;
  }
}

TEST(Parse, PlacesAProblemOfASweptValueAtThatValue) {
  EXPECT_THAT(ProblemsOf(Edited("[0, 0.5]", "[0, -0.5]")),
              AllOf(StartsWith("s.yaml:14:23: sweep.parameters.norm.alpha[1]: "), HasSubstr("[0, 1]")));
  EXPECT_THAT(ProblemsOf(Edited("[0, 1, 2]", "[0, one, 2]")),
              StartsWith("s.yaml:15:23: sweep.parameters.train.seed[1]: "));
  EXPECT_THAT(ProblemsOf(Edited("[0, 1, 2]", "[0, [1], 2]")), StartsWith("s.yaml:15:23: "));
  // The first value is the one in which every other problem is looked for.
  EXPECT_THAT(ProblemsOf(Edited("[0, 0.5]", "[7, 0.5]")),
              StartsWith("s.yaml:14:20: sweep.parameters.norm.alpha[0]: "));
  EXPECT_THAT(ProblemsOf(Edited("[0, 0.5]", "0.5")), HasSubstr("must be a list"));
  EXPECT_THAT(ProblemsOf(Edited("[0, 0.5]", "[]")), HasSubstr("has no values"));
}

TEST(Parse, RefusesFieldsThatAreComputed) {
  EXPECT_THAT(ProblemsOf(Edited("alpha: 0.25", "post_layers: 2")),
              AllOf(StartsWith("s.yaml:6:26: norm.post_layers: "), HasSubstr("leave it out")));
  EXPECT_THAT(ProblemsOf(Edited("norm.alpha: [", "norm.post_layers: [")), HasSubstr("sweep norm.alpha"));
}

TEST(Parse, RefusesRepeatedKeys) {
  EXPECT_EQ(ProblemsOf(Edited("steps: 30", "steps: 30, steps: 30")),
            "s.yaml:11:22: train.steps: is given twice, first in line 11: keep one\n");
  EXPECT_THAT(ProblemsOf(Edited("train.seed", "norm.alpha")), HasSubstr("given twice, first in line 14"));
}

TEST(Parse, SaysWhatIsMissing) {
  EXPECT_THAT(ProblemsOf(Edited("warmup_steps: 5", "weight_decay: 0")),
              AllOf(StartsWith("s.yaml:11:3: train.warmup_steps: is missing"), HasSubstr("0 for none")));
  EXPECT_THAT(ProblemsOf(Edited("hidden_size: 32, intermediate_size: 64, layers: 8, heads: 2",
                                "tie_embeddings: true")),
              StartsWith("s.yaml:5:3: model.preset: is missing: name one of llama-9m, "));
  EXPECT_EQ(ProblemsOf("a: 1\n"),
            "s.yaml:1:1: a: unknown field `a`; docs/sweep-file.md lists all fields\n"
            "s.yaml:1:1: apiVersion: is missing: write apiVersion: mixln/v1\n"
            "s.yaml:1:1: kind: is missing: write kind: Sweep\n"
            "s.yaml:1:1: spec: is missing: it says what to train; docs/sweep-file.md has an example\n"
            "s.yaml:1:1: metadata.name: is missing: give lower-case letters, digits and hyphens, at most 53, "
            "the first a "
            "letter\n");
}

TEST(Parse, RefusesAFileOfAnotherKindOrVersion) {
  EXPECT_THAT(ProblemsOf(Edited("mixln/v1", "mixln/v2")),
              StartsWith("s.yaml:1:13: apiVersion: `mixln/v2` is not known"));
  EXPECT_THAT(ProblemsOf(Edited("Sweep", "Deployment")), StartsWith("s.yaml:2:7: kind: "));
}

TEST(Parse, ExplainsWhatIsNotYaml) {
  EXPECT_THAT(ProblemsOf(Edited("{name: good}", "{name: good")), HasSubstr("is not YAML"));
  EXPECT_THAT(ProblemsOf(""), HasSubstr("is empty"));
  EXPECT_THAT(ProblemsOf("- 1\n- 2\n"), HasSubstr("must be a group of fields, key: value, not a list"));
  EXPECT_THAT(ProblemsOf(std::string(kGoodFile) + "---\na: 1\n"), HasSubstr("second document"));
  EXPECT_THAT(ProblemsOf(Edited("good", "g\xF6od")), StartsWith("s.yaml:3:19: is not text in UTF-8"));
  EXPECT_THAT(ProblemsOf(Edited("good", "go\x04od")), StartsWith("s.yaml:3:20: is not text"));
}

TEST(Parse, ReportsAllProblemsAtOnceInTheOrderOfTheFile) {
  std::string text = Edited("layers: 8", "layers: 0");
  text.replace(text.find("alpha: 0.25"), 11, "alpha: 7   ");
  text.replace(text.find("warmup_steps"), 12, "warmupsteps ");
  const ParseResult result = Parse(text, "s.yaml", false);
  std::vector<std::string> paths;
  for (const Problem& problem : result.problems) paths.push_back(problem.path);
  // norm.alpha is wrong although the sweep replaces it.
  EXPECT_THAT(paths, testing::ElementsAre("model.layers", "norm.alpha", "train.warmupsteps"));
}

TEST(Parse, KnowsAZeroSizeFromOneThatThePresetGives) {
  const std::string sizes = "hidden_size: 32, intermediate_size: 64, layers: 8, heads: 2";
  EXPECT_EQ(ProblemsOf(Edited(sizes, "preset: llama-9m")), "");
  EXPECT_THAT(ProblemsOf(Edited(sizes, "preset: llama-9m, layers: 0")),
              StartsWith("s.yaml:5:37: model.layers: must be at least 1"));
  EXPECT_THAT(ProblemsOf(Edited(sizes, "preset: llama-9")), HasSubstr("did you mean `llama-9m`?"));
}

TEST(Parse, TakesAVectorOfPlacementsInsteadOfAlpha) {
  const std::string vector = "layer_placements: [post, pre, pre, pre, pre, pre, pre, post]";
  std::string text = Edited("placement: mix, alpha: 0.25", vector);
  EXPECT_THAT(ProblemsOf(text), HasSubstr("no effect beside norm.layer_placements"));
  text.replace(text.find("      norm.alpha: [0, 0.5]\n"), 27, "");
  EXPECT_EQ(ProblemsOf(text), "");
  text.replace(text.find("pre, post]"), 10, "post]");
  EXPECT_THAT(ProblemsOf(text), HasSubstr("7 entries for a model of 8 layers"));
}

TEST(Parse, HoldsAgainstDeepAndCyclicYaml) {
  EXPECT_NE(ProblemsOf(std::string(100'000, '[')), "");
  EXPECT_NE(ProblemsOf(std::string(100'000, '{')), "");
  std::string indented;
  for (int depth = 0; depth < 2000; ++depth)
    indented += std::string(static_cast<size_t>(depth), ' ') + "a:\n";
  EXPECT_NE(ProblemsOf(indented), "");
  EXPECT_NE(ProblemsOf("&a {apiVersion: *a, kind: *a, metadata: *a, spec: *a}"), "");
  EXPECT_NE(
      ProblemsOf(
          "apiVersion: mixln/v1\nkind: Sweep\nmetadata: {name: a}\nspec: &a\n  model: *a\n  sweep: *a\n"),
      "");
}

// Whatever a few flipped, lost, doubled or swapped bytes make of a file, it is read or refused; and what is
// read expands.
TEST(Parse, SurvivesRandomMutationsOfAGoodFile) {
  std::mt19937 random(20240613);
  const std::string alphabet = "{}[]:,-#&*!|>'\"%@` \n\t0123456789.eabz_~?<\x04\xC3\xFF";
  int accepted = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = kGoodFile;
    const auto below = [&](size_t bound) { return static_cast<size_t>(random()) % bound; };
    for (size_t edit = 0, edits = 1 + below(2); edit < edits; ++edit) {
      const size_t at = below(text.size());
      const size_t length = std::min(1 + below(12), text.size() - at);
      switch (below(5)) {
        case 0: text[at] = alphabet[below(alphabet.size())]; break;
        case 1: text.erase(at, length); break;
        case 2: text.insert(at, text.substr(at, length)); break;
        case 3: text.insert(at, 1, alphabet[below(alphabet.size())]); break;
        default: std::swap(text[at], text[below(text.size())]); break;
      }
    }
    const ParseResult result = Parse(text, "s.yaml", false);
    for (const Problem& problem : result.problems) {
      EXPECT_GE(problem.line, 1) << text;
      EXPECT_GE(problem.column, 1) << text;
      EXPECT_NE(problem.message, "") << text;
    }
    if (!result.problems.empty()) continue;
    ++accepted;
    EXPECT_FALSE(Expand(result.spec).cells.empty()) << text;
  }
  EXPECT_GT(accepted, 100);
  EXPECT_LT(accepted, 3000);
}

}  // namespace
}  // namespace mixln::coordinator::sweep
