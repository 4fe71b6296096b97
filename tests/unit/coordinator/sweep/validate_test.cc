#include "coordinator/sweep/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "coordinator/sweep/expand.h"
#include "good_file.h"

namespace mixln::coordinator::sweep {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

v1::SweepSpec Good() {
  return Parse(kGoodFile, "s.yaml", false).spec;
}

std::string Refusal(const v1::SweepSpec& spec, const std::string& name = "good", bool allow_large = false) {
  std::string all;
  for (const Problem& problem : Validate(name, spec, allow_large)) all += Format(problem) + "\n";
  return all;
}

// What Validate says of the good sweep after `edit` of its base.
template <typename Edit>
std::string After(Edit edit) {
  v1::SweepSpec spec = Good();
  edit(*spec.mutable_base());
  return Refusal(spec);
}

void AddParameter(v1::SweepSpec& spec, const std::string& path, const std::vector<std::string>& values) {
  v1::Parameter& parameter = *spec.mutable_sweep()->add_parameters();
  parameter.set_path(path);
  for (const std::string& value : values) parameter.add_values(value);
}

std::vector<std::string> Numbers(int count) {
  std::vector<std::string> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(std::to_string(i));
  return numbers;
}

TEST(Validate, AcceptsAGoodSweep) {
  EXPECT_EQ(Refusal(Good()), "");
}

TEST(Validate, ChecksTheName) {
  for (const char* good : {"a", "alpha-71m", "a--1"}) EXPECT_EQ(Refusal(Good(), good), "") << good;
  EXPECT_EQ(Refusal(Good(), std::string(53, 'a')), "");
  for (const std::string& bad :
       {std::string(), std::string("1a"), std::string("Alpha"), std::string("a_b"), std::string("-a"),
        std::string("a/b"), std::string(54, 'a'), std::string("a\0b", 3)}) {
    EXPECT_THAT(Refusal(Good(), bad), AllOf(StartsWith("metadata.name: "), HasSubstr("53"))) << bad;
  }
}

TEST(Validate, RefusesNumbersOutsideTheirRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  v1::SweepSpec unswept = Good();
  unswept.clear_sweep();
  for (const double alpha : {-0.1, 1.1, nan, std::numeric_limits<double>::infinity()}) {
    v1::SweepSpec spec = unswept;
    spec.mutable_base()->mutable_norm()->set_alpha(alpha);
    EXPECT_THAT(Refusal(spec), StartsWith("norm.alpha: must be in [0, 1], not ")) << alpha;
  }
  const auto refuses = [](const std::string& path, auto edit) {
    EXPECT_THAT(After(edit), StartsWith(path + ": must be "));
  };
  refuses("model.layers", [](auto& base) { base.mutable_model()->set_layers(0); });
  refuses("model.hidden_size", [](auto& base) { base.mutable_model()->set_hidden_size(-32); });
  refuses("model.layers", [](auto& base) { base.mutable_model()->set_layers(2'000'000'000); });
  refuses("model.norm_eps", [](auto& base) { base.mutable_model()->set_norm_eps(0); });
  refuses("init.std", [](auto& base) { base.mutable_init()->set_std(0); });
  refuses("data.context", [](auto& base) { base.mutable_data()->set_context(1); });
  refuses("data.validation_fraction", [](auto& base) { base.mutable_data()->set_validation_fraction(0); });
  refuses("data.validation_fraction", [](auto& base) { base.mutable_data()->set_validation_fraction(0.6); });
  refuses("data.tokenizer.train.vocab",
          [](auto& base) { base.mutable_data()->mutable_tokenizer()->mutable_train()->set_vocab(259); });
  refuses("train.steps", [](auto& base) { base.mutable_train()->set_steps(0); });
  refuses("train.steps", [](auto& base) { base.mutable_train()->set_steps(-1); });
  refuses("train.lr", [](auto& base) { base.mutable_train()->set_lr(0); });
  refuses("train.lr", [](auto& base) { base.mutable_train()->set_lr(-1e-3); });
  refuses("train.warmup_steps", [](auto& base) { base.mutable_train()->set_warmup_steps(-1); });
  refuses("train.beta1", [](auto& base) { base.mutable_train()->set_beta1(1); });
  refuses("train.beta2", [](auto& base) { base.mutable_train()->set_beta2(-0.1); });
  refuses("train.clip_norm", [=](auto& base) { base.mutable_train()->set_clip_norm(nan); });
  refuses("train.batch.sequences",
          [](auto& base) { base.mutable_train()->mutable_batch()->set_sequences(0); });
  refuses("resources.ranks", [](auto& base) { base.mutable_resources()->set_ranks(0); });
  refuses("retry.max_retries", [](auto& base) { base.mutable_retry()->set_max_retries(-1); });
}

TEST(Validate, RefusesShapesThatCannotBeBuilt) {
  EXPECT_THAT(After([](auto& base) { base.mutable_model()->set_heads(5); }),
              AllOf(StartsWith("model.heads: "), HasSubstr("do not divide hidden_size 32")));
  // 32 / 32 = 1 channel a head: rotary positions turn pairs.
  EXPECT_THAT(After([](auto& base) { base.mutable_model()->set_heads(32); }), HasSubstr("rotary"));
  EXPECT_THAT(After([](auto& base) {
                base.mutable_model()->set_heads(4);
                base.mutable_model()->set_kv_heads(3);
              }),
              StartsWith("model.kv_heads: 3 key and value heads do not divide 4 heads"));
}

TEST(Validate, RefusesABatchThatCannotBeShared) {
  const auto batch = [](int sequences, int micro, int ranks) {
    return After([=](auto& base) {
      base.mutable_train()->mutable_batch()->set_sequences(sequences);
      base.mutable_train()->mutable_batch()->set_micro_sequences(micro);
      base.mutable_resources()->set_ranks(ranks);
    });
  };
  EXPECT_EQ(batch(4, 2, 4), "");
  EXPECT_THAT(batch(4, 3, 1), HasSubstr("3 does not divide the global batch of 4"));
  EXPECT_THAT(batch(4, 8, 1), HasSubstr("8 is more than the global batch of 4"));
  EXPECT_THAT(batch(4, 0, 5), StartsWith("resources.ranks: 5 ranks cannot share"));
}

TEST(Validate, RefusesAWarmUpLongerThanTraining) {
  EXPECT_EQ(After([](auto& base) { base.mutable_train()->set_warmup_steps(30); }), "");
  EXPECT_THAT(After([](auto& base) { base.mutable_train()->set_warmup_steps(31); }),
              StartsWith("train.warmup_steps: "));
}

TEST(Validate, RefusesADecayThatDoesNotFitBetweenWarmUpAndTheEnd) {
  const auto wsd = [](int64_t warmup_steps, double decay_share) {
    return After([=](auto& base) {
      base.mutable_train()->set_schedule(v1::SCHEDULE_WSD);
      base.mutable_train()->set_warmup_steps(warmup_steps);
      base.mutable_train()->set_decay_share(decay_share);
    });
  };
  // Of 30 steps: a half is 15.
  EXPECT_EQ(wsd(15, 0.5), "");
  EXPECT_THAT(wsd(16, 0.5), AllOf(StartsWith("train.decay_share: "), HasSubstr("decay of 15")));
  EXPECT_THAT(wsd(0, 0), AllOf(StartsWith("train.decay_share: "), HasSubstr("nothing to decay in")));
  EXPECT_THAT(wsd(0, 1.5), StartsWith("train.decay_share: "));
  EXPECT_EQ(After([](auto& base) { base.mutable_train()->set_decay_share(0); }), "") << "cosine reads none";
}

TEST(Validate, WantsExactlyOneTokenizerAndOneVocabulary) {
  EXPECT_THAT(After([](auto& base) { base.mutable_data()->clear_tokenizer(); }),
              HasSubstr("neither model nor train"));
  EXPECT_THAT(After([](auto& base) { base.mutable_data()->mutable_tokenizer()->set_model("/m"); }),
              HasSubstr("both model and train"));
  EXPECT_EQ(After([](auto& base) { base.mutable_model()->set_vocab_size(400); }), "");
  EXPECT_THAT(After([](auto& base) { base.mutable_model()->set_vocab_size(500); }),
              AllOf(StartsWith("model.vocab_size: "), HasSubstr("500"), HasSubstr("400")));
}

TEST(Validate, WantsASource) {
  EXPECT_THAT(After([](auto& base) { base.mutable_data()->clear_source(); }), StartsWith("data.source: "));
  EXPECT_THAT(After([](auto& base) { base.mutable_data()->add_source(""); }), StartsWith("data.source[1]: "));
  EXPECT_THAT(After([](auto& base) { base.mutable_data()->add_source(std::string("a\0b", 3)); }),
              StartsWith("data.source[1]: "));
}

TEST(Validate, RefusesEnumNumbersThatDoNotExist) {
  EXPECT_THAT(After([](auto& base) { base.mutable_train()->set_precision(static_cast<v1::Precision>(77)); }),
              StartsWith("train.precision: is the unknown value number 77"));
  EXPECT_THAT(
      After([](auto& base) {
        for (int i = 0; i < 8; ++i) base.mutable_norm()->add_layer_placements(static_cast<v1::Placement>(77));
      }),
      HasSubstr("norm.layer_placements[0]: must be pre, post, sandwich, deepnorm, admin, lns, group:"));
}

TEST(Validate, RefusesPlacementsThatTheModelCannotHave) {
  v1::SweepSpec unswept = Good();
  unswept.clear_sweep();
  unswept.mutable_base()->mutable_norm()->Clear();
  const auto after = [&](auto edit) {
    v1::SweepSpec spec = unswept;
    edit(*spec.mutable_base());
    return Refusal(spec);
  };
  const auto with_layers = [&](std::vector<v1::Placement> placements) {
    return after([&](auto& base) {
      base.mutable_model()->set_preset("");
      base.mutable_model()->set_layers(static_cast<int>(placements.size()));
      for (const auto placement : placements) base.mutable_norm()->add_layer_placements(placement);
    });
  };
  EXPECT_EQ(with_layers({v1::PLACEMENT_SANDWICH, v1::PLACEMENT_ADMIN, v1::PLACEMENT_GROUP}), "");
  EXPECT_THAT(with_layers({v1::PLACEMENT_PRE, v1::PLACEMENT_DLCL}),
              HasSubstr("norm.layer_placements[1]: is dlcl, a placement of the whole model: write "
                        "norm.placement: dlcl instead"));
  EXPECT_THAT(with_layers({v1::PLACEMENT_MIX}), HasSubstr("norm.layer_placements[0]: must be pre, post,"));
  EXPECT_THAT(after([](auto& base) { base.mutable_norm()->set_placement(v1::PLACEMENT_CUSTOM); }),
              HasSubstr("norm.placement: is custom, but norm.layer_placements is missing"));
  EXPECT_THAT(after([](auto& base) {
                base.mutable_norm()->set_placement(v1::PLACEMENT_GROUP);
                base.mutable_model()->set_hidden_size(36);
                base.mutable_model()->set_heads(2);
              }),
              HasSubstr("norm.placement: group norms 8 groups of channels, which do not divide hidden_size "
                        "36: choose a multiple of 8"));
  EXPECT_THAT(after([](auto& base) {
                base.mutable_norm()->set_placement(v1::PLACEMENT_DEEPNORM);
                base.mutable_init()->set_scaled(true);
              }),
              HasSubstr("init.scaled: does not go with deepnorm"));
  EXPECT_EQ(after([](auto& base) {
              base.mutable_norm()->set_placement(v1::PLACEMENT_DLCL);
              base.mutable_norm()->set_kind(v1::NORM_KIND_LAYERNORM);
              base.mutable_init()->set_scaled(true);
            }),
            "");
}

TEST(Validate, FindsValuesThatAreOnlyWrongTogether) {
  v1::SweepSpec spec = Good();
  spec.clear_sweep();
  AddParameter(spec, "model.hidden_size", {"32", "48"});
  // Each value is right beside the other's first: 32 / 16 = 2 and 48 / 4 = 12 channels a head, but 48 / 16
  // = 3.
  AddParameter(spec, "model.heads", {"4", "16"});
  EXPECT_THAT(Refusal(spec),
              AllOf(StartsWith("sweep.parameters: model.hidden_size=48, model.heads=16: model.heads: "),
                    HasSubstr("3 channels")));
}

TEST(Validate, BlamesTheValueThatBreaksAnotherField) {
  v1::SweepSpec spec = Good();
  spec.clear_sweep();
  AddParameter(spec, "model.hidden_size", {"32", "33"});
  EXPECT_THAT(Refusal(spec),
              StartsWith("sweep.parameters.model.hidden_size[1]: model.heads: 2 heads do not divide"));
}

TEST(Validate, ChecksPathsAndTypesOfAGridThatNoFileSpelled) {
  v1::SweepSpec spec = Good();
  AddParameter(spec, "", {"1"});
  AddParameter(spec, "model..layers", {"1"});
  AddParameter(spec, "norm.post_layers", {"1"});
  AddParameter(spec, "data.source", {"a"});
  AddParameter(spec, std::string(1'000'000, 'x'), {"1"});
  AddParameter(spec, "train.seed", {"9"});
  AddParameter(spec, "train.steps", {});
  AddParameter(spec, "train.lr", {"1e-3", "fast"});
  AddParameter(spec, "data.tokenizer.model", {"relative.model"});
  EXPECT_EQ(Validate("good", spec, false).size(), 9U) << Refusal(spec);
}

TEST(Validate, SaysAHundredThingsAtMost) {
  v1::SweepSpec spec = Good();
  for (int i = 0; i < 5000; ++i) AddParameter(spec, "no.such.field", {"1"});
  EXPECT_EQ(Validate("good", spec, false).size(), 100U);
}

TEST(Validate, CountsTheGridBeforeItAllocates) {
  v1::SweepSpec spec = Good();
  spec.clear_sweep();
  AddParameter(spec, "train.seed", Numbers(10'000));
  EXPECT_EQ(Refusal(spec), "");
  spec.mutable_sweep()->mutable_parameters(0)->add_values("10000");
  EXPECT_THAT(Refusal(spec),
              AllOf(StartsWith("sweep.parameters: "), HasSubstr("10001"), HasSubstr("--allow-large")));
  EXPECT_EQ(Refusal(spec, "good", true), "");
  AddParameter(spec, "resources.priority", Numbers(100));
  EXPECT_THAT(Refusal(spec, "good", true),
              AllOf(HasSubstr("1000100 cells"), HasSubstr("1000000 is the most")));
  // 10001 x 100 x 10000^4 is more than 64 bits hold.
  for (const char* path : {"train.weight_decay", "train.clip_norm", "eval.tokens", "retry.max_retries"}) {
    AddParameter(spec, path, Numbers(10'000));
  }
  EXPECT_THAT(Refusal(spec, "good", true), HasSubstr("over 9223372036854775807 cells"));
}

TEST(Validate, WeighsTheGridBeforeItAllocates) {
  v1::SweepSpec spec = Good();
  spec.clear_sweep();
  AddParameter(spec, "train.seed", Numbers(10'000));
  spec.mutable_base()->mutable_data()->add_source(std::string(1'000'000, 'a'));
  EXPECT_THAT(Refusal(spec),
              AllOf(StartsWith("sweep.parameters: the cells would take "), HasSubstr("4096 is the most")));
  EXPECT_TRUE(Expand(spec).cells.empty());
}

}  // namespace
}  // namespace mixln::coordinator::sweep
