#include <c10/core/CPUAllocator.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <new>

#include "worker/trainer/error/error.h"
#include "worker/trainer/loop/divergence.h"
#include "worker/trainer/loop/run.h"

namespace mixln::worker::trainer::loop {
namespace {

TEST(Endings, EveryExceptionHasTheExitCodeOfTheContract) {
  EXPECT_EQ(EndingOf(error::ConfigError("")).exit_code, 64);
  EXPECT_EQ(EndingOf(error::DataError("")).exit_code, 65);
  EXPECT_EQ(EndingOf(std::logic_error("")).exit_code, 70);
  EXPECT_EQ(EndingOf(std::bad_alloc()).exit_code, 71);
  EXPECT_EQ(EndingOf(error::InputOutputError("")).exit_code, 74);
  EXPECT_EQ(EndingOf(error::DivergedError("")).exit_code, 76);
}

TEST(Endings, ATensorTooLargeForTheMachineIsOutOfMemory) {
  try {
    at::empty({int64_t{1} << 60}, at::kByte);
    FAIL();
  } catch (const std::exception& problem) {
    EXPECT_EQ(EndingOf(problem).exit_code, 71) << problem.what();
    EXPECT_EQ(EndingOf(problem).cause, "FAILURE_CAUSE_OUT_OF_MEMORY");
  }
}

TEST(Divergence, IsWhatIsNoLongerANumber) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Divergence(7, 3.5, 100), "");
  EXPECT_EQ(Divergence(7, std::nan(""), 1), "the loss of step 7 is NaN");
  EXPECT_EQ(Divergence(7, 3.5, infinity), "the gradient norm of step 7 is infinite");
  EXPECT_EQ(EvaluationDivergence(7, 3.5), "");
  EXPECT_EQ(EvaluationDivergence(7, infinity), "the evaluation loss after step 7 is infinite");
}

}  // namespace
}  // namespace mixln::worker::trainer::loop
