#include "services/mixlnctl/data_paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_world.h"
#include "services/mixlnctl/sweep_file.h"

namespace mixln::services::mixlnctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ResolvePaths, NamesEachFileOnceAndSorted) {
  FakeWorld world;
  const std::string b = world.Write("corpus/b.txt", "b");
  const std::string a = world.Write("corpus/a.txt", "a");
  v1::TrialSpec spec;
  v1::DataSpec& data = *spec.mutable_data();
  data.add_source("corpus/b.txt");
  data.add_source("corpus/*.txt");
  EXPECT_TRUE(ResolvePaths(world.folder, spec).empty());
  EXPECT_THAT(data.source(), ElementsAre(a, b));
}

TEST(ResolvePaths, ReportsEveryPatternThatNamesNothing) {
  FakeWorld world;
  world.Write("corpus/a.txt", "a");
  v1::TrialSpec spec;
  v1::DataSpec& data = *spec.mutable_data();
  for (const char* source : {"corpus/*.gz", "corpus/a.txt", "missing.txt", "corpus"}) data.add_source(source);
  data.mutable_tokenizer()->set_model("spiece.model");
  const auto problems = ResolvePaths(world.folder, spec);
  ASSERT_EQ(problems.size(), 4u);
  EXPECT_EQ(problems[0].field, "data.source[0]");
  EXPECT_THAT(problems[0].message, HasSubstr("no file matches"));
  EXPECT_THAT(problems[1].message, HasSubstr("there is no file"));
  EXPECT_THAT(problems[2].message, HasSubstr("is a folder"));
  EXPECT_EQ(problems[3].field, "data.tokenizer.model");
}

TEST(ResolvePaths, MakesTheModelToStartFromAbsolute) {
  FakeWorld world;
  world.Write("model/config.json", "{}");
  v1::TrialSpec spec;
  spec.mutable_init()->set_from("model");
  EXPECT_TRUE(ResolvePaths(world.folder, spec).empty());
  EXPECT_EQ(spec.init().from(), (world.folder / "model").string());
  spec.mutable_init()->set_from("none");
  const auto problems = ResolvePaths(world.folder, spec);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].field, "init.from");
  EXPECT_THAT(problems[0].message, HasSubstr("none is no folder of a Hugging Face model"));
}

TEST(FindField, PointsAtTheValueOrTheNearestFieldAroundIt) {
  const std::string text = "spec:\n  data:\n    source: [a, bc]\n";
  const Position second = FindField(text, "spec.data.source[1]");
  EXPECT_EQ(second.line, 3);
  EXPECT_EQ(second.column, 17);  // "    source: [a, " has 16 characters
  EXPECT_EQ(FindField(text, "spec.data.tokenizer.model").line, 3);
  EXPECT_EQ(FindField("a: [", "spec").line, 1);
}

}  // namespace
}  // namespace mixln::services::mixlnctl
