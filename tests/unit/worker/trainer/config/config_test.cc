#include "worker/trainer/config/config.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "mixln/v1/rank.pb.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::config {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::nlohmann::json;
using ::testing::HasSubstr;

// A possible trial, in which every field has a value that is not its type's zero where that is possible.
v1::RankConfig Example() {
  v1::RankConfig config;
  config.set_trial_id("alpha-3");
  config.mutable_fence()->set_term(18446744073709551615U);  // needs all 64 bits
  config.mutable_fence()->set_epoch(7);
  config.set_rank(0);
  config.set_world_size(1);
  config.set_dataset_dir("/data/abc");
  config.set_attempt_dir("/artifacts/3");
  config.set_threads(2);
  config.set_gpu(-1);
  auto& spec = *config.mutable_spec();
  auto& model = *spec.mutable_model();
  model.set_preset("llama-9m");
  model.set_vocab_size(1024);
  model.set_hidden_size(96);
  model.set_intermediate_size(256);
  model.set_layers(4);
  model.set_heads(4);
  model.set_kv_heads(2);
  model.set_rope_theta(10000);
  model.set_norm_eps(1e-6);
  spec.mutable_norm()->set_placement(v1::PLACEMENT_MIX);
  spec.mutable_norm()->set_alpha(0.25);
  spec.mutable_norm()->set_post_layers(1);
  for (const auto placement : {v1::PLACEMENT_POST, v1::PLACEMENT_PRE, v1::PLACEMENT_PRE, v1::PLACEMENT_PRE}) {
    spec.mutable_norm()->add_layer_placements(placement);
  }
  spec.mutable_init()->set_std(0.02);
  spec.mutable_norm()->set_kind(v1::NORM_KIND_LAYERNORM);
  spec.mutable_init()->set_embedding_std(0.632);
  spec.mutable_init()->set_scaled(true);
  spec.mutable_data()->add_source("/corpus/a.txt");
  spec.mutable_data()->mutable_tokenizer()->set_model("/t5.model");
  spec.mutable_data()->mutable_tokenizer()->mutable_train()->set_vocab(1024);
  spec.mutable_data()->set_reading(v1::READING_PACKED);
  spec.mutable_data()->set_context(128);
  spec.mutable_data()->set_validation_fraction(0.05);
  spec.mutable_data()->set_split(v1::DOCUMENT_SPLIT_PARAGRAPH);
  auto& train = *spec.mutable_train();
  train.set_steps(5'000'000'000);  // needs more than 32 bits
  train.mutable_batch()->set_sequences(8);
  train.mutable_batch()->set_micro_sequences(4);
  train.set_lr(1e-3);
  train.set_warmup_steps(10);
  train.set_schedule(v1::SCHEDULE_COSINE);
  train.set_min_lr_ratio(0.1);
  train.set_decay_share(0.2);
  train.set_beta1(0.9);
  train.set_beta2(0.999);
  train.set_adam_eps(1e-8);
  train.set_weight_decay(0.01);
  train.set_clip_norm(1);
  train.set_precision(v1::PRECISION_BF16);
  train.set_seed(-3);
  train.set_deterministic(true);
  spec.mutable_eval()->set_every_steps(100);
  spec.mutable_eval()->set_tokens(10000);
  spec.mutable_checkpoint()->set_every_steps(200);
  spec.mutable_resources()->set_device(v1::DEVICE_CPU);
  spec.mutable_resources()->set_ranks(1);
  spec.mutable_resources()->set_priority(-1);
  spec.mutable_retry()->set_max_retries(3);
  spec.mutable_limits()->set_max_runtime_seconds(3600);
  spec.mutable_sharding()->set_accumulate(v1::ACCUMULATE_NO_SYNC);
  spec.mutable_sharding()->set_reshard_after_forward(true);
  spec.mutable_sharding()->set_activation_checkpointing(true);
  config.set_address("10.0.0.7");
  spec.mutable_limits()->set_detect_collapse(true);
  return config;
}

// As the agent writes it.
std::string Print(const v1::RankConfig& config) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(config, &text, options).ok());
  return text;
}

// The error's words; empty when there is none.
std::string Refusal(const json& file) {
  try {
    ParseTrialConfig(file.dump());
    return "";
  } catch (const error::ConfigError& problem) {
    return problem.what();
  }
}

// Calls `visit` for every field of the message and those below it, with its JSON path ("spec", "model").
void ForEachField(const google::protobuf::Descriptor& message, std::vector<std::string> path,
                  const std::function<void(const FieldDescriptor&, const std::vector<std::string>&)>& visit) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    path.push_back(field.name());
    visit(field, path);
    if (field.message_type() != nullptr) ForEachField(*field.message_type(), path, visit);
    path.pop_back();
  }
}

json::json_pointer Pointer(const std::vector<std::string>& path) {
  json::json_pointer pointer;
  for (const auto& name : path) pointer /= name;
  return pointer;
}

std::string Dotted(const std::vector<std::string>& path) {
  std::string text;
  for (const auto& name : path) text += (text.empty() ? "" : ".") + name;
  return text;
}

TEST(Config, ReadsWhatProtobufPrints) {
  const TrialConfig config = ParseTrialConfig(Print(Example()));
  EXPECT_EQ(config.trial_id, "alpha-3");
  EXPECT_EQ(config.fence.term, 18446744073709551615U);
  EXPECT_EQ(config.gpu, -1);
  EXPECT_EQ(config.spec.train.steps, 5'000'000'000);
  EXPECT_EQ(config.spec.train.seed, -3);
  EXPECT_EQ(config.spec.train.precision, Precision::kBf16);
  EXPECT_EQ(config.spec.norm.placement, "mix");
  EXPECT_EQ(config.spec.norm.alpha, 0.25);
  EXPECT_THAT(config.spec.norm.layer_placements, testing::ElementsAre("post", "pre", "pre", "pre"));
  EXPECT_EQ(config.spec.data.tokenizer.train_vocab, 1024);
}

TEST(Config, KnowsEveryPlacementOfTheSchema) {
  const auto& placements = *v1::Placement_descriptor();
  for (int i = 1; i < placements.value_count(); ++i) {
    const std::string& name = placements.value(i)->name();
    json file = json::parse(Print(Example()));
    file["spec"]["norm"]["placement"] = name;
    EXPECT_EQ(Refusal(file), "");
    file["spec"]["norm"]["layer_placements"] = {name, name, name, name};
    const bool of_layers = name != "PLACEMENT_MIX" && name != "PLACEMENT_CUSTOM";
    EXPECT_EQ(Refusal(file).empty(), of_layers) << name;
  }
}

TEST(Config, NeedsEveryFieldOfTheProtoButTheTokenizersTraining) {
  ForEachField(*v1::RankConfig::descriptor(), {}, [](const FieldDescriptor& field, const auto& path) {
    json file = json::parse(Print(Example()));
    json& parent = file.at(Pointer(path).parent_pointer());
    ASSERT_EQ(parent.erase(field.name()), 1U) << Dotted(path) << " has no value in Example()";
    if (Dotted(path) == "spec.data.tokenizer.train") {
      EXPECT_EQ(Refusal(file), "");
    } else {
      EXPECT_EQ(Refusal(file), Dotted(path) + ": is missing");
    }
  });
}

TEST(Config, RefusesAWrongTypeInEveryField) {
  ForEachField(*v1::RankConfig::descriptor(), {}, [](const FieldDescriptor& field, const auto& path) {
    json file = json::parse(Print(Example()));
    // Wrong for the field, but near: a number for a string and the other way round; a string for an object.
    json& value = file.at(Pointer(path));
    value = value.is_string() ? json(7) : json("7x");
    EXPECT_THAT(Refusal(file), HasSubstr(Dotted(path) + ": is ")) << field.full_name();
  });
}

TEST(Config, KeepsTheValueOfEveryField) {
  const json original = json::parse(Print(Example()));
  auto read = [](const json& file) {
    TrialConfig config = ParseTrialConfig(file.dump());
    config.spec_json.clear();  // the text itself would always differ
    return config;
  };
  const TrialConfig unchanged = read(original);
  ForEachField(*v1::RankConfig::descriptor(), {}, [&](const FieldDescriptor& field, const auto& path) {
    if (field.message_type() != nullptr) return;
    // Another possible value. Sizes that depend on each other change together.
    json file = original;
    json& value = file.at(Pointer(path));
    const std::string name = Dotted(path);
    if (name == "rank") {
      file["world_size"] = 2;
      json with_two = file;
      value = 1;
      EXPECT_FALSE(read(file) == read(with_two)) << name;
      return;
    }
    if (name == "spec.model.layers") {
      value = 1;
      file["spec"]["norm"]["layer_placements"] = {"PLACEMENT_POST"};
      EXPECT_EQ(read(file).spec.model.layers, 1);
      return;
    }
    if (field.is_repeated() && field.enum_type() != nullptr) {
      value[0] = field.enum_type()->FindValueByNumber(1)->name();
    } else if (field.is_repeated()) {
      value.push_back("another");
    } else if (field.enum_type() != nullptr) {
      const auto& values = *field.enum_type();
      value = value == values.FindValueByNumber(1)->name() ? values.FindValueByNumber(2)->name()
                                                           : values.FindValueByNumber(1)->name();
    } else if (value.is_boolean()) {
      value = !value.get<bool>();
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      value = value.get<double>() / 2;
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      value = "/another";
    } else if (value.is_string()) {
      value = "12";
    } else if (name == "spec.model.hidden_size") {
      value = 48;
    } else if (name == "spec.model.heads") {
      value = 2;
    } else {
      value = value.get<int>() == 1 || value.get<int>() == -1 ? 2 : 1;  // divides whatever it must
    }
    EXPECT_FALSE(read(file) == unchanged) << name << " is not read";
  });
}

TEST(Config, RefusesUnknownFieldsWithTheirPath) {
  json file = json::parse(Print(Example()));
  file["spec"]["train"]["learning_rate"] = 1;
  EXPECT_EQ(Refusal(file), "spec.train.learning_rate: is unknown");
}

TEST(Config, RefusesAFieldThatStandsTwice) {
  EXPECT_THROW(ParseTrialConfig(R"({"gpu": 1, "gpu": 2})"), error::ConfigError);
}

TEST(Config, RefusesNumbersForInt64AndNumbersThatAreNone) {
  json file = json::parse(Print(Example()));
  file["spec"]["train"]["steps"] = "1e3";
  EXPECT_THAT(Refusal(file),
              HasSubstr("spec.train.steps: is \"1e3\", but must be a 64-bit integer in quotes"));
  file = json::parse(Print(Example()));
  file["spec"]["train"]["lr"] = "NaN";
  EXPECT_THAT(Refusal(file), HasSubstr("spec.train.lr: is \"NaN\", but must be a finite number"));
  file = json::parse(Print(Example()));
  file["threads"] = 4294967298;  // 2 after a cut to 32 bits
  EXPECT_THAT(Refusal(file), HasSubstr("threads: is 4294967298, but must be a 32-bit integer"));
}

TEST(Config, RefusesWhatCannotBe) {
  const auto refusal = [](const std::string& pointer, const json& value) {
    json file = json::parse(Print(Example()));
    file[json::json_pointer(pointer)] = value;
    return Refusal(file);
  };
  EXPECT_EQ(refusal("/spec/model/heads", 5), "spec.model.heads: is 5, but must divide hidden_size 96");
  EXPECT_THAT(refusal("/spec/model/heads", 32), HasSubstr("need an even head size, not 3 channels"));
  EXPECT_EQ(refusal("/spec/norm/alpha", 1.5), "spec.norm.alpha: is 1.5, but must lie in [0, 1]");
  EXPECT_THAT(
      refusal("/spec/norm/layer_placements", {"PLACEMENT_PRE"}),
      HasSubstr(
          "spec.norm.layer_placements: is [\"PLACEMENT_PRE\"], but must have one entry for each of the 4"));
  EXPECT_THAT(refusal("/spec/norm/layer_placements/2", "PLACEMENT_MIX"),
              HasSubstr("spec.norm.layer_placements[2]: is \"PLACEMENT_MIX\", but must be one of"));
  EXPECT_THAT(refusal("/spec/norm/placement", "PLACEMENT_UNSPECIFIED"),
              HasSubstr("must be one of PLACEMENT_PRE, PLACEMENT_POST, PLACEMENT_MIX"));
  EXPECT_EQ(refusal("/spec/train/batch/sequences", 0),
            "spec.train.batch.sequences: is 0, but must be above 0");
  EXPECT_EQ(refusal("/rank", 1), "rank: is 1, but must lie in [0, world_size 1)");
  EXPECT_THAT(refusal("/attempt_dir", "here"),
              HasSubstr("attempt_dir: is \"here\", but must be an absolute path"));
}

TEST(Config, SaysThatAFileIsNoJsonOrNotThere) {
  EXPECT_THROW(ParseTrialConfig("{"), error::ConfigError);
  EXPECT_THROW(ParseTrialConfig("[]"), error::ConfigError);
  EXPECT_THROW(ReadTrialConfig("no-such-file.json"), error::ConfigError);
}

}  // namespace
}  // namespace mixln::worker::trainer::config
