#include "worker/trainer/fsdp/pipeline.h"

#include <ATen/Functions.h>
#include <gmock/gmock.h>
#include <torch/csrc/distributed/c10d/HashStore.hpp>

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <utility>

#include "worker/trainer/cpu/device.h"
#include "worker/trainer/fsdp/store.h"

// When the collectives of a pass begin and when they are waited for, as rank 0 of two sees it.
namespace mixln::worker::trainer::fsdp {
namespace {

using ::testing::ElementsAre;

using Record = std::vector<std::string>;

std::shared_ptr<Rendezvous> OfTwo() {
  RankOptions options;
  options.world_size = 2;
  return std::make_shared<Rendezvous>(options,
                                      std::make_unique<Store>(Store{c10::make_intrusive<c10d::HashStore>()}));
}

// Rank 0, and a rank 1 that is made up: it always has what rank 0 has. A collective reads and writes at the
// last moment, when it is waited for, so that who uses a buffer too early has wrong numbers.
class RecordingRanks : public Collectives {
 public:
  explicit RecordingRanks(Record& record) : Collectives(OfTwo()), record_(record) {}

  std::string_view name() const override { return "a record"; }
  bool has_common_memory() const override { return false; }
  at::Tensor Common(int64_t, at::ScalarType) override { throw std::logic_error("there is none"); }
  at::Tensor Allocate(int64_t elements, at::ScalarType type) override {
    ++allocated[type];
    return at::full({elements}, -1, type);
  }
  int64_t mapped_bytes() const override { return 0; }

  Pending AllGather(const at::Tensor& whole) override {
    const at::Tensor own = Half(whole, 0);
    const at::Tensor other = Half(whole, 1);
    other.fill_(-1);
    return Begin("gather " + std::to_string(own[0].item<int>()), [own, other] { other.copy_(own); });
  }
  Pending ReduceScatter(const at::Tensor& whole, const at::Tensor& part) override {
    const auto owns = [&](const Unit* unit) {
      const std::vector<Piece>& pieces = unit->pieces();
      return pieces.front().gradient.is_alias_of(part);
    };
    const auto unit = std::find_if(units.begin(), units.end(), owns) - units.begin();
    return Begin("reduce " + std::to_string(unit), [whole, part] { part.add_(Half(whole, 0), 2); });
  }
  void Reclaim(const at::Tensor&) override {}
  void Sum(const at::Tensor&) override { record_.emplace_back("sum"); }
  void Barrier() override { record_.emplace_back("barrier"); }

  std::vector<Unit*> units;
  std::map<at::ScalarType, int> allocated;

 private:
  static at::Tensor Half(const at::Tensor& whole, int64_t rank) {
    return whole.narrow(0, rank * whole.numel() / 2, whole.numel() / 2);
  }
  Pending Begin(const std::string& what, std::function<void()> work) {
    record_.push_back(what);
    return Pending([this, what, work = std::move(work)] {
      work();
      record_.push_back(what + " awaited");
    });
  }

  Record& record_;
};

// An embedding, two layers and a head. Each is one matrix, whose elements are the unit's number.
class PipelineTest : public testing::Test {
 protected:
  static constexpr size_t kHead = 3;

  void Make(const Pipeline::Options& options = {}, Accumulate accumulate = Accumulate::kReduceEach) {
    Make(options, {&ranks_, accumulate, std::make_shared<BufferPool>(ranks_)});
  }
  void Make(const Pipeline::Options& options, const Sharding& sharding) {
    tied_ = options.keep_first;
    for (size_t number = 0; number <= kHead; ++number) {
      // A head that uses the embedding's matrix has a norm only.
      const std::vector<ParameterSpec> own = {tied_ && number == kHead ? ParameterSpec{"norm", {8}}
                                                                       : ParameterSpec{"weight", {16, 8}}};
      units_.push_back(std::make_unique<Unit>(cpu::Cpu(), own, Compute::kBf16, sharding));
      ranks_.units.push_back(units_.back().get());
      const at::Tensor master = units_.back()->pieces().front().master;
      master.fill_(static_cast<int64_t>(number));
      units_.back()->Refresh();
    }
    pipeline_.emplace(ranks_.units, options);
  }

  // Passes as the model makes them.
  void Forward() {
    for (size_t unit = 0; unit <= kHead; ++unit) {
      pipeline_->BeginForward(unit);
      Compute("forward", unit, {unit});
      pipeline_->EndForward(unit);
    }
  }
  void ForwardBackward() {
    for (size_t unit = 0; unit < kHead; ++unit) {
      pipeline_->BeginForward(unit);
      Compute("forward", unit, {unit});
      pipeline_->EndForward(unit);
    }
    pipeline_->BeginForward(kHead);
    pipeline_->BeginBackward(kHead);
    if (tied_) pipeline_->BeginBackward(0);
    const size_t matrix = tied_ ? 0 : kHead;
    Compute("backward", kHead, {matrix}, {matrix});
    pipeline_->EndBackward(kHead);
    for (size_t unit = kHead - 1; unit > 0; --unit) {
      pipeline_->BeginBackward(unit);
      Compute("backward", unit, {unit}, {unit});
      pipeline_->EndBackward(unit);
    }
    pipeline_->BeginBackward(0);
    Compute("backward", 0, {}, {0});
    pipeline_->EndBackward(0);
  }

  // Needs the whole matrices of `reads`, and adds 1 to the whole gradients of `adds`.
  void Compute(const std::string& what, size_t unit, const std::vector<size_t>& reads,
               const std::vector<size_t>& adds = {}) {
    record_.push_back(what + " " + std::to_string(unit));
    for (const size_t read : reads) {
      if (units_[read]->segments().front().is_vector()) continue;
      const at::Tensor weight = units_[read]->Weight(units_[read]->Find("weight"));
      EXPECT_TRUE((weight == static_cast<int64_t>(read)).all().item<bool>())
          << record_.back() << " has not all of matrix " << read;
    }
    for (const size_t add : adds) units_[add]->Gradient(units_[add]->Find("weight")).add_(1);
  }

  void ExpectGradient(size_t unit, int64_t expected) {
    const at::Tensor& gradient = units_[unit]->pieces().front().gradient;
    EXPECT_TRUE((gradient == expected).all().item<bool>()) << "unit " << unit << ": " << gradient;
  }

  Record Take() { return std::exchange(record_, {}); }
  // Those of what happened since the last Take that are among `events`.
  Record TakeOnly(const Record& events) {
    Record all = Take();
    std::erase_if(all, [&](const std::string& event) {
      return std::find(events.begin(), events.end(), event) == events.end();
    });
    return all;
  }

  Record record_;
  RecordingRanks ranks_{record_};
  bool tied_ = false;
  std::vector<std::unique_ptr<Unit>> units_;
  std::optional<Pipeline> pipeline_;
};

TEST_F(PipelineTest, WhileAUnitComputesForwardTheNextOnesParametersAreOnTheirWay) {
  Make();
  Forward();
  EXPECT_THAT(Take(), ElementsAre("gather 0", "gather 0 awaited",               //
                                  "gather 1", "forward 0", "gather 1 awaited",  //
                                  "gather 2", "forward 1", "gather 2 awaited",  //
                                  "gather 3", "forward 2", "gather 3 awaited", "forward 3"));
}

TEST_F(PipelineTest, WhileAUnitComputesBackwardThoseBesideItTravel) {
  Make();
  ForwardBackward();
  Record all = Take();
  const auto begin = std::find(all.begin(), all.end(), "gather 3 awaited");
  EXPECT_THAT(Record(begin, all.end()),
              ElementsAre("gather 3 awaited",
                          // The head's forward and backward are one; the layer before it is fetched again.
                          "gather 2", "backward 3", "reduce 3",                                          //
                          "gather 2 awaited", "gather 1", "backward 2", "reduce 3 awaited", "reduce 2",  //
                          // The embedding's parameters are not needed.
                          "gather 1 awaited", "backward 1", "reduce 2 awaited", "reduce 1",  //
                          "backward 0", "reduce 1 awaited", "reduce 0"));
  pipeline_->Finish();
  EXPECT_THAT(Take(), ElementsAre("reduce 0 awaited"));
}

TEST_F(PipelineTest, TheLastGradientOfAMicroBatchTravelsUntilTheNextOnesHeadHasComputed) {
  Make();
  ForwardBackward();
  ForwardBackward();
  EXPECT_THAT(TakeOnly({"reduce 0", "backward 3", "reduce 0 awaited", "reduce 3"}),
              ElementsAre("backward 3", "reduce 3", "reduce 0",  //
                          "backward 3", "reduce 0 awaited", "reduce 3", "reduce 0"));
}

TEST_F(PipelineTest, EveryGradientIsWithItsOwnerInTheEnd) {
  Make();
  for (int micro_batch = 0; micro_batch < 3; ++micro_batch) ForwardBackward();
  pipeline_->Finish();
  for (size_t unit = 0; unit <= kHead; ++unit) ExpectGradient(unit, 2 * 3);  // two ranks, three micro-batches
}

// Units are of one size, so memory is made for as many as are whole at once.
TEST_F(PipelineTest, TwoUnitsAtMostAreWhole) {
  Make();
  for (int step = 0; step < 2; ++step) {
    ForwardBackward();
    ForwardBackward();
    pipeline_->Finish();
    Forward();
  }
  EXPECT_EQ(ranks_.allocated[at::kBFloat16], 2) << "parameters";
  EXPECT_EQ(ranks_.allocated[at::kFloat], 2) << "gradients";
}

TEST_F(PipelineTest, WhatIsNotReshardedIsGatheredOnceAnUpdate) {
  Make({.reshard = false});
  const Record gathers = {"gather 0", "gather 1", "gather 2", "gather 3"};
  ForwardBackward();
  EXPECT_EQ(TakeOnly(gathers), gathers);
  ForwardBackward();
  Forward();
  pipeline_->Finish();
  EXPECT_THAT(TakeOnly(gathers), ElementsAre());
  for (const auto& unit : units_) unit->Release();  // as an update does
  Forward();
  EXPECT_EQ(TakeOnly(gathers), gathers);
  EXPECT_EQ(ranks_.allocated[at::kBFloat16], 4) << "parameters";
  EXPECT_EQ(ranks_.allocated[at::kFloat], 2) << "gradients";
}

TEST_F(PipelineTest, AnEmbeddingThatTheHeadUsesStaysFromForwardToBackward) {
  Make({.keep_first = true});
  for (int micro_batch = 0; micro_batch < 2; ++micro_batch) {
    ForwardBackward();
    EXPECT_THAT(TakeOnly({"gather 0", "gather 1", "gather 2", "forward 0", "backward 3", "backward 0"}),
                ElementsAre("gather 0", "gather 1", "forward 0", "gather 2", "gather 2", "backward 3",
                            "gather 1", "backward 0"));
  }
  EXPECT_EQ(ranks_.allocated[at::kBFloat16], 3) << "two units' parameters beside the embedding's";
  EXPECT_EQ(ranks_.allocated[at::kFloat], 3) << "two units' gradients beside the embedding's";
}

TEST_F(PipelineTest, AGradientThatTheHeadAddsToFirstIsReducedOnceAndAwaitedBeforeTheNextHead) {
  Make({.keep_first = true});
  ForwardBackward();
  ForwardBackward();
  EXPECT_THAT(TakeOnly({"reduce 0", "reduce 0 awaited", "backward 3", "backward 0"}),
              ElementsAre("backward 3", "backward 0", "reduce 0",  //
                          "reduce 0 awaited", "backward 3", "backward 0", "reduce 0"));
  pipeline_->Finish();
  ExpectGradient(0, 2 * 2 * 2);  // two ranks, two micro-batches, the head's and its own
  ExpectGradient(1, 2 * 2);
}

TEST_F(PipelineTest, WithoutSynchronizationGradientsStayWholeUntilTheLastMicroBatch) {
  Make({}, Accumulate::kNoSync);
  const Record reduces = {"reduce 0", "reduce 1", "reduce 2", "reduce 3"};
  ForwardBackward();
  ForwardBackward();
  EXPECT_THAT(TakeOnly(reduces), ElementsAre());
  pipeline_->Finish();
  EXPECT_EQ(TakeOnly(reduces), reduces);
  for (size_t unit = 0; unit <= kHead; ++unit) ExpectGradient(unit, 2 * 2);
  EXPECT_EQ(ranks_.allocated[at::kFloat], 4) << "gradients";
}

// As Admin's start begins a pass and ends it there.
TEST_F(PipelineTest, ParametersThatWereOnTheirWayWhenMastersWereWrittenAreGatheredAnew) {
  Make();
  const at::Tensor master = units_[1]->pieces().front().master;
  master.fill_(7);
  pipeline_->BeginForward(0);
  pipeline_->EndForward(0);
  EXPECT_THAT(TakeOnly({"gather 7"}), ElementsAre("gather 7"));
  master.fill_(1);
  units_[1]->Refresh();
  Forward();
  EXPECT_THAT(TakeOnly({"gather 1"}), ElementsAre("gather 1"));
}

TEST_F(PipelineTest, OneRankHasNothingToWaitFor) {
  Make({}, Sharding{});
  ForwardBackward();
  pipeline_->Finish();
  EXPECT_THAT(Take(), ElementsAre("forward 0", "forward 1", "forward 2",  //
                                  "backward 3", "backward 2", "backward 1", "backward 0"));
  for (size_t unit = 0; unit <= kHead; ++unit) ExpectGradient(unit, 1);
}

}  // namespace
}  // namespace mixln::worker::trainer::fsdp
