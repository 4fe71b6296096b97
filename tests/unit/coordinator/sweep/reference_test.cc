// docs/sweep-file.md against the schema, the defaults and the parser, so that it cannot go stale.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>

#include "coordinator/sweep/defaults.h"
#include "coordinator/sweep/field.h"
#include "good_file.h"

namespace mixln::coordinator::sweep {
namespace {

using google::protobuf::FieldDescriptor;

std::string Reference() {
  std::stringstream text;
  text << std::ifstream(MIXLN_SOURCE_DIR "/docs/sweep-file.md").rdbuf();
  return text.str();
}

struct Row {
  std::string type, value;  // value: the default
};

// Rows of the tables with four columns, by path, but for those of `sweep` and `retention`.
std::map<std::string, Row> Rows() {
  std::map<std::string, Row> rows;
  std::istringstream lines(Reference());
  const std::regex row(R"(\| `([a-z_0-9.]+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|)");
  std::smatch found;
  for (std::string line; std::getline(lines, line);) {
    if (!std::regex_match(line, found, row)) continue;
    if (found[1].str().starts_with("sweep.") || found[1].str().starts_with("retention.")) continue;
    EXPECT_TRUE(rows.emplace(found[1], Row{.type = found[2], .value = found[3]}).second) << line;
  }
  return rows;
}

// Fenced blocks of one language.
std::vector<std::string> Blocks(const std::string& language) {
  std::vector<std::string> blocks;
  const std::string text = Reference(), open = "```" + language + "\n";
  for (size_t at = text.find(open); at != std::string::npos; at = text.find(open, at + 1)) {
    const size_t begin = at + open.size();
    blocks.push_back(text.substr(begin, text.find("```", begin) - begin));
  }
  return blocks;
}

TEST(SweepFileReference, NamesEveryFieldOfTheSchemaAndNoOther) {
  std::vector<std::string> documented;
  for (const auto& [path, row] : Rows()) documented.push_back(path);
  EXPECT_THAT(documented, testing::UnorderedElementsAreArray(InputPaths()));
}

TEST(SweepFileReference, GivesEveryTypeAndDefault) {
  v1::TrialSpec defaults = Defaults();
  for (const auto& [path, row] : Rows()) {
    const FieldPath fields = FindPath(path);
    ASSERT_FALSE(fields.empty()) << path;
    const FieldDescriptor& field = *fields.back();
    if (field.is_repeated()) {
      EXPECT_TRUE(row.type.starts_with("list of ")) << path;
      continue;
    }
    std::string type = TypeName(field);
    if (type.starts_with("a ")) type = type.substr(2);
    EXPECT_EQ(row.type, type) << path;
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
      EXPECT_EQ(row.value, "none") << path;
    } else if (row.value == "required" || row.value == "none" || row.value == "the preset's") {
      EXPECT_EQ(NumberAt(defaults, fields), 0) << path;
    } else {
      const double before = NumberAt(defaults, fields);
      EXPECT_EQ(SetFromText(defaults, fields, row.value), std::nullopt) << path;
      EXPECT_EQ(NumberAt(defaults, fields), before) << path << " has another default than " << row.value;
    }
  }
}

TEST(SweepFileReference, NamesEveryFieldOfTheSearchAndOfRetention) {
  const std::map<std::string, const google::protobuf::Descriptor*> groups = {
      {"sweep.", v1::SearchSpec::descriptor()},
      {"sweep.asha.", v1::AshaSpec::descriptor()},
      {"retention.", v1::RetentionSpec::descriptor()}};
  for (const auto& [group, message] : groups) {
    for (int i = 0; i < message->field_count(); ++i) {
      if (message->field(i)->message_type() == v1::AshaSpec::descriptor()) continue;
      EXPECT_THAT(Reference(), testing::HasSubstr("| `" + group + message->field(i)->name() + "` |"));
    }
  }
}

TEST(SweepFileReference, ItsFieldsMarkedRequiredAreThoseThatTheParserMisses) {
  std::vector<std::string> required, missed;
  for (const auto& [path, row] : Rows()) {
    if (row.value == "required") required.push_back(path);
  }
  const std::string bare =
      "apiVersion: mixln/v1\nkind: Sweep\nmetadata: {name: a}\nspec:\n"
      "  model: {preset: llama-9m}\n  data: {tokenizer: {train: {vocab: 400}}}\n";
  for (const Problem& problem : Parse(bare, "s.yaml", false).problems) missed.push_back(problem.path);
  EXPECT_THAT(missed, testing::UnorderedElementsAreArray(required));
}

TEST(SweepFileReference, ItsExampleIsValidAndItsMistakesAreReportedAsShown) {
  const std::vector<std::string> files = Blocks("yaml"), errors = Blocks("text");
  ASSERT_EQ(files.size(), 3U);
  ASSERT_EQ(errors.size(), 1U);
  EXPECT_EQ(ProblemsOf(files[0]), "");
  std::istringstream draws(files[1]);
  std::string random = files[0].substr(0, files[0].find("  sweep:"));
  for (std::string line; std::getline(draws, line);) random += "  " + line + "\n";
  EXPECT_EQ(ProblemsOf(random), "");
  std::string said;
  for (const Problem& problem : Parse(files[2], "oops.yaml", false).problems) said += Format(problem) + "\n";
  EXPECT_EQ(said, errors[0]);
}

}  // namespace
}  // namespace mixln::coordinator::sweep
