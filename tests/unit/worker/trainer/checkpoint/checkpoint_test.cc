#include <gmock/gmock.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "worker/trainer/checkpoint/checkpoint_reader.h"
#include "worker/trainer/checkpoint/checkpoint_writer.h"
#include "worker/trainer/checkpoint/damaged_error.h"
#include "worker/trainer/checkpoint/tensor_file.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::checkpoint {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<engine::NamedState> States(float base) {
  const auto tensor = [&](float add) { return at::arange(6, at::kFloat) + (base + add); };
  return {{"embed", {2, 3}, 0, false, tensor(0), tensor(10), tensor(20)},
          {"norm", {3}, 0, true, at::ones({3}) * base, at::zeros({3}), at::zeros({3})}};
}

// What rank `rank` of two owns of them: elements 0 to 3 of the matrix, or 4 and 5.
std::vector<engine::NamedState> StatesOfRank(int rank, float base) {
  auto states = States(base);
  states[0].begin = rank == 0 ? 0 : 4;
  for (at::Tensor* part : {&states[0].master, &states[0].exp_avg, &states[0].exp_avg_sq})
    *part = part->narrow(0, states[0].begin, rank == 0 ? 4 : 2);
  return states;
}

Manifest Example() {
  Manifest manifest;
  manifest.trial_id = "alpha-1";
  manifest.term = 18446744073709551615U;
  manifest.epoch = 3;
  manifest.step = 40;
  manifest.tokens = 4000;
  manifest.data_epoch = 1;
  manifest.data_offset = 12;
  manifest.data_windows = 50;
  manifest.loss_history = {3, 0.1 + 0.2, {-1.0 / 3, 0.25}, -1.0 / 3, 16};
  manifest.layer_placements = {"post", "post", "pre", "pre"};
  manifest.spec_json =
      R"({"model":{"layers":4},"train":{"batch":{"micro_sequences":0,"sequences":2},"lr":0.001,"precision":"PRECISION_FP32"}})";
  manifest.precision = "fp32";
  manifest.device = "cpu";
  manifest.instruction_set = "avx2";
  manifest.threads = 2;
  manifest.world_size = 1;
  return manifest;
}

class CheckpointTest : public testing::Test {
 protected:
  CheckpointTest() : attempt_(testing::TempDir() + "/checkpoint-" + std::to_string(getpid())) {
    std::filesystem::remove_all(attempt_);
  }
  ~CheckpointTest() override { std::filesystem::remove_all(attempt_); }

  std::string Write(const Manifest& manifest, const std::vector<engine::NamedState>& states) {
    return attempt_ + "/" + WriteCheckpoint(attempt_, manifest, states, {}, {})->path;
  }
  static std::string Contents(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  static std::string LoadRefusal(const std::string& folder, const std::vector<engine::NamedState>& states) {
    try {
      Load(folder, ReadManifest(folder), states);
      return "";
    } catch (const std::runtime_error& problem) {
      return problem.what();
    }
  }

  std::string attempt_;
};

TEST_F(CheckpointTest, ComesBackBitForBitUnderItsTensorNames) {
  const std::string folder = Write(Example(), States(0.1F));
  EXPECT_EQ(folder, attempt_ + "/checkpoints/step-000000040");
  auto loaded = States(-5);
  std::swap(loaded[0], loaded[1]);  // another order in memory
  Manifest manifest = ReadManifest(folder);
  Load(folder, manifest, loaded);
  const auto expected = States(0.1F);
  EXPECT_TRUE(loaded[1].master.equal(expected[0].master));
  EXPECT_TRUE(loaded[1].exp_avg.equal(expected[0].exp_avg));
  EXPECT_TRUE(loaded[1].exp_avg_sq.equal(expected[0].exp_avg_sq));
  EXPECT_TRUE(loaded[0].master.equal(expected[1].master));
  manifest.files.clear();
  EXPECT_EQ(manifest, Example());
}

TEST_F(CheckpointTest, IsASafetensorsFile) {
  // The format's own description: u64 header length, JSON of dtype, shape and data_offsets, then the data.
  const std::string file = Contents(Write(Example(), States(0)) + "/rank-00000.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const auto header = nlohmann::json::parse(file.substr(8, length));
  EXPECT_EQ(header["exp_avg/embed"]["dtype"], "F32");
  EXPECT_EQ(header["exp_avg/embed"]["shape"], (std::vector<int>{2, 3}));
  float first = 0;
  std::memcpy(&first, file.data() + 8 + length + header["exp_avg/embed"]["data_offsets"][0].get<size_t>(), 4);
  EXPECT_EQ(first, 10);
}

TEST_F(CheckpointTest, ListsOnlyCompleteOnesNewestFirst) {
  EXPECT_TRUE(ListCheckpoints(attempt_).empty());
  Manifest manifest = Example();
  const std::string forty = Write(manifest, States(0));
  manifest.step = 100;
  const std::string hundred = Write(manifest, States(0));
  std::filesystem::create_directories(attempt_ +
                                      "/checkpoints/step-000000200");  // killed before its manifest
  EXPECT_THAT(ListCheckpoints(attempt_), ElementsAre(hundred, forty));
}

TEST_F(CheckpointTest, ThatTheSystemDoesNotLetItLookForIsNotTakenForNone) {
  std::filesystem::create_directories(attempt_ + "/checkpoints/step-000000040");
  const std::string manifest = attempt_ + "/checkpoints/step-000000040/manifest.json";
  std::filesystem::create_symlink("manifest.json", manifest);  // to itself
  EXPECT_THROW(ListCheckpoints(attempt_), error::InputOutputError);
  std::filesystem::remove_all(attempt_ + "/checkpoints");
  std::filesystem::create_symlink("checkpoints", attempt_ + "/checkpoints");
  EXPECT_THROW(ListCheckpoints(attempt_), error::InputOutputError);
}

TEST_F(CheckpointTest, ACrashAtAnyWriteLeavesTheLastOneWhole) {
  // A disk that breaks at its nth write, for every n until a checkpoint comes through.
  const std::string last = Write(Example(), States(1));
  bool complete = false;
  int breaks = 0;
  for (; !complete; ++breaks) {
    int left = breaks;
    file::WriteOptions options;
    options.write = [&](int fd, const void* data, size_t size) -> ssize_t {
      if (left-- > 0) return write(fd, data, size);
      errno = EIO;
      return -1;
    };
    Manifest next = Example();
    next.step = 80;
    try {
      WriteCheckpoint(attempt_, next, States(2), {}, options);
      complete = true;
    } catch (const error::InputOutputError&) {
      ASSERT_THAT(ListCheckpoints(attempt_), ElementsAre(last));
      ASSERT_EQ(LoadRefusal(last, States(0)), "");
    }
  }
  EXPECT_EQ(breaks, 9);  // header, six tensors, manifest; and the one that did not break
  EXPECT_EQ(ListCheckpoints(attempt_).size(), 2U);
}

TEST_F(CheckpointTest, WaitsOutAFullDisk) {
  int calls = 0;
  file::WriteOptions options;
  options.write = [&](int fd, const void* data, size_t size) -> ssize_t {
    if (++calls % 2 != 0) {
      errno = ENOSPC;
      return -1;
    }
    return write(fd, data, std::min<size_t>(size, 50));
  };
  options.wait = [] {};
  const Written written = *WriteCheckpoint(attempt_, Example(), States(3), {}, options);
  auto loaded = States(0);
  EXPECT_EQ(LoadRefusal(attempt_ + "/" + written.path, loaded), "");
  EXPECT_TRUE(loaded[0].master.equal(States(3)[0].master));
}

TEST_F(CheckpointTest, EveryFlippedByteIsFoundAndTheTensorNamed) {
  const std::string folder = Write(Example(), States(0));
  const std::string path = folder + "/rank-00000.safetensors";
  const std::string whole = Contents(path);
  const Manifest manifest = ReadManifest(folder);
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    std::ofstream(path, std::ios::binary) << damaged;
    ASSERT_THAT(LoadRefusal(folder, States(0)), HasSubstr("rank-00000.safetensors: is corrupted")) << i;
  }
  std::string damaged = whole;
  const TensorEntry& tensor = manifest.files[0].tensors[2];
  damaged[static_cast<size_t>(tensor.offset_bytes)] ^= 1;
  std::ofstream(path, std::ios::binary) << damaged;
  EXPECT_THAT(LoadRefusal(folder, States(0)), HasSubstr("the checksum of exp_avg_sq/embed does not match"));
  std::ofstream(path, std::ios::binary) << whole.substr(0, whole.size() - 1);
  EXPECT_THAT(LoadRefusal(folder, States(0)), HasSubstr("bytes, not " + std::to_string(whole.size())));
  std::filesystem::remove(path);
  EXPECT_THAT(LoadRefusal(folder, States(0)), HasSubstr("cannot read " + path));
}

// The sentences of DamagedErrors; "" where the text is taken for a manifest.
std::string DamageIn(const std::string& text) {
  try {
    ParseManifest(text, "/a/manifest.json");
    return "";
  } catch (const DamagedError& problem) {
    return problem.what();
  }
}

TEST_F(CheckpointTest, EveryFlippedBitOfAManifestIsFoundAndNamed) {
  const std::string whole = Contents(Write(Example(), States(0)) + "/manifest.json");
  ASSERT_EQ(DamageIn(whole), "");
  for (size_t i = 0; i < whole.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      ASSERT_EQ(DamageIn(damaged), "/a/manifest.json: is corrupted: its checksum does not match")
          << "bit " << bit << " of byte " << i;
    }
  }
}

TEST_F(CheckpointTest, AManifestCutShortIsDamaged) {
  const std::string folder = Write(Example(), States(0));
  const std::string path = folder + "/manifest.json";
  const std::string whole = Contents(path);
  for (size_t length = 0; length < whole.size(); ++length)
    ASSERT_THAT(DamageIn(whole.substr(0, length)), HasSubstr("is corrupted")) << length;
  std::filesystem::resize_file(path, whole.size() / 2);
  EXPECT_THAT(LoadRefusal(folder, States(0)), HasSubstr(path + ": is corrupted"));
}

// Version 4, should it still end with the checksum of what stands before that.
std::string NewerManifest() {
  std::string text = ToJson(Example());
  text.resize(text.rfind("\"xxh3_64\""));
  text.replace(text.find("\"format_version\": 3"), 19, "\"format_version\": 4");
  return text + "\"xxh3_64\": \"" + Hash(text) + "\"\n}\n";
}

// Not damaged: another release can read it.
TEST_F(CheckpointTest, AManifestOfAnotherVersionSaysWhichIsRead) {
  for (const auto& [text, version] :
       {std::pair<std::string, std::string>{R"({"format_version": 2, "step": 40})", "2"},
        {NewerManifest(), "4"}}) {
    try {
      ParseManifest(text, "/a/manifest.json");
      FAIL() << version;
    } catch (const DamagedError& problem) {
      FAIL() << problem.what();
    } catch (const error::InputOutputError& problem) {
      EXPECT_EQ(problem.what(),
                "/a/manifest.json: has format version " + version + ", but this release reads 3");
    }
  }
}

// Other programs check these sums, too. That of no bytes is xxhsum's.
TEST(Hash, IsXxh3) {
  EXPECT_EQ(Hash(""), "2d06800538d394c2");
}

TEST_F(CheckpointTest, RefusesTensorsOfAnotherModelAndNaN) {
  const std::string folder = Write(Example(), States(0));
  auto missing = States(0);
  missing.push_back({"extra", {1}, 0, true, at::ones({1}), at::ones({1}), at::ones({1})});
  EXPECT_THAT(LoadRefusal(folder, missing), HasSubstr("has 0 of 1 elements of exp_avg/extra"));
  auto surplus = States(0);
  surplus.pop_back();
  EXPECT_THAT(LoadRefusal(folder, surplus), HasSubstr("has a tensor norm that this trial's model has not"));
  auto reshaped = States(0);
  reshaped[0].shape = {3, 2};
  EXPECT_THAT(LoadRefusal(folder, reshaped), HasSubstr("embed has shape [2, 3] there and [3, 2] here"));
  auto bad = States(0);
  bad[1].master[1] = std::nan("");
  EXPECT_THAT(LoadRefusal(Write(Example(), bad), States(0)),
              HasSubstr("norm has elements that are no finite numbers"));
}

TEST_F(CheckpointTest, TheWriterCopiesTheStateBesideTheTrainingAndReportsOnlyWhatIsDurable) {
  CheckpointWriter writer(attempt_);
  EXPECT_FALSE(writer.Wait());
  auto states = States(1);
  writer.Start(Example(), states);
  writer.AwaitCopy();
  states[0].master.zero_();  // training goes on
  const auto written = writer.Wait();
  ASSERT_TRUE(written);
  EXPECT_EQ(written->step, 40);
  EXPECT_FALSE(writer.Poll());
  auto loaded = States(0);
  const std::string folder = attempt_ + "/" + written->path;
  EXPECT_EQ(LoadRefusal(folder, loaded), "");
  EXPECT_TRUE(loaded[0].master.equal(States(1)[0].master));
  EXPECT_EQ(Describe(folder, 40).size_bytes, written->size_bytes);
}

TEST(Compare, RefusesAnotherPlacementInWords) {
  Manifest trial = Example();
  trial.layer_placements = {"pre", "pre", "pre", "pre"};
  try {
    Compare("/a/step-1", Example(), trial);
    FAIL();
  } catch (const error::ConfigError& problem) {
    EXPECT_STREQ(problem.what(),
                 "checkpoint /a/step-1: this checkpoint was trained as mix with 2 post layers of 4; this "
                 "trial is pre");
  }
}

TEST(Compare, RefusesAnotherSpecAndSaysWhatDiffers) {
  Manifest trial = Example();
  trial.spec_json.replace(trial.spec_json.find("0.001"), 5, "0.002");
  try {
    Compare("/a", Example(), trial);
    FAIL();
  } catch (const error::ConfigError& problem) {
    EXPECT_THAT(problem.what(), HasSubstr("train.lr is 0.001 there and 0.002 here"));
  }
  trial = Example();
  trial.data_windows = 60;
  EXPECT_THROW(Compare("/a", Example(), trial), error::ConfigError);
  trial = Example();
  trial.data_offset = 13;
  EXPECT_THROW(Compare("/a", Example(), trial), error::InputOutputError);
}

TEST(Compare, Promise5SaysWhatKeepsARunFromRepeatingBitForBit) {
  EXPECT_TRUE(Compare("/a", Example(), Example()).empty());
  Manifest trial = Example();
  trial.threads = 1;
  trial.instruction_set = "avx512";
  trial.precision = "bf16";
  EXPECT_THAT(Compare("/a", Example(), trial),
              ElementsAre(HasSubstr("threads 2, and this rank has 1"), HasSubstr("instruction set avx2"),
                          HasSubstr("precision fp32, and this rank has bf16")));
}

TEST(DescribePlacements, SpeaksThePapersWords) {
  EXPECT_EQ(DescribePlacements({"pre", "pre"}), "pre");
  EXPECT_EQ(DescribePlacements({"post", "post"}), "post");
  EXPECT_EQ(DescribePlacements({"post", "post", "pre", "pre", "pre", "pre", "pre", "pre"}),
            "mix with 2 post layers of 8");
  EXPECT_EQ(DescribePlacements({"pre", "post"}), "a model of layers pre, post");
  EXPECT_EQ(DescribePlacements({"dlcl", "dlcl"}), "dlcl");
  EXPECT_EQ(DescribePlacements({"post", "lns"}), "a model of layers post, lns");
}

// What two ranks write together, each in a process of its own, here one after the other.
class TwoRanks : public CheckpointTest {
 protected:
  std::string WriteByBoth(const Manifest& manifest, float base) {
    std::map<std::string, std::string> said;
    const auto peers = [&](int rank) {
      return Peers{rank, 2, [&](const std::string& name, const std::string& text) { said[name] = text; },
                   [&](const std::string& name) { return said.at(name); }};
    };
    EXPECT_EQ(WriteCheckpoint(attempt_, manifest, StatesOfRank(1, base), peers(1), {}), std::nullopt);
    EXPECT_THAT(ListCheckpoints(attempt_), testing::IsEmpty()) << "only rank 0 completes it";
    return attempt_ + "/" + WriteCheckpoint(attempt_, manifest, StatesOfRank(0, base), peers(0), {})->path;
  }
};

TEST_F(TwoRanks, TheirCheckpointLoadsIntoOneAndIntoTwo) {
  const std::string folder = WriteByBoth(Example(), 1);
  const Manifest manifest = ReadManifest(folder);
  ASSERT_EQ(manifest.files.size(), 2U);
  EXPECT_EQ(manifest.files[1].file, "rank-00001.safetensors");
  const auto whole = States(0);
  Load(folder, manifest, whole);
  EXPECT_TRUE(whole[0].exp_avg.equal(States(1)[0].exp_avg));
  EXPECT_TRUE(whole[1].master.equal(States(1)[1].master));
  const auto second = StatesOfRank(1, 0);
  Load(folder, manifest, second);
  EXPECT_TRUE(second[0].master.equal(StatesOfRank(1, 1)[0].master));
  EXPECT_TRUE(second[1].master.equal(States(1)[1].master));
}

TEST_F(TwoRanks, LoadTheCheckpointOfOne) {
  const std::string folder = Write(Example(), States(2));
  const auto first = StatesOfRank(0, 0);
  Load(folder, ReadManifest(folder), first);
  EXPECT_TRUE(first[0].exp_avg_sq.equal(StatesOfRank(0, 2)[0].exp_avg_sq));
}

TEST_F(TwoRanks, NothingIsLoadedUnlessAllFilesAreWhole) {
  const std::string folder = WriteByBoth(Example(), 1);
  const std::string path = folder + "/rank-00001.safetensors";
  std::string damaged = Contents(path);
  damaged.back() ^= 1;
  std::ofstream(path, std::ios::binary) << damaged;
  const auto whole = States(7);
  EXPECT_THAT(LoadRefusal(folder, whole), HasSubstr("rank-00001.safetensors: is corrupted"));
  EXPECT_TRUE(whole[0].master.equal(States(7)[0].master));
}

TEST_F(TwoRanks, ACheckpointWithoutOnePartIsRefused) {
  const std::string folder = WriteByBoth(Example(), 1);
  std::filesystem::remove(folder + "/rank-00001.safetensors");
  EXPECT_THAT(LoadRefusal(folder, StatesOfRank(0, 0)), HasSubstr("rank-00001.safetensors"));
  Manifest manifest = ReadManifest(folder);
  manifest.files.pop_back();
  EXPECT_THROW(Load(folder, manifest, StatesOfRank(0, 0)), error::ConfigError) << "4 of 6 elements of embed";
}

}  // namespace
}  // namespace mixln::worker::trainer::checkpoint
