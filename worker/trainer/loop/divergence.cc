#include "worker/trainer/loop/divergence.h"

#include <cmath>

namespace mixln::worker::trainer::loop {
namespace {

std::string Shown(double value) {
  return std::isnan(value) ? "NaN" : "infinite";
}

}  // namespace

std::string Divergence(int64_t step, double loss, double gradient_norm) {
  if (!std::isfinite(loss)) return "the loss of step " + std::to_string(step) + " is " + Shown(loss);
  if (!std::isfinite(gradient_norm)) {
    return "the gradient norm of step " + std::to_string(step) + " is " + Shown(gradient_norm);
  }
  return "";
}

std::string EvaluationDivergence(int64_t step, double loss) {
  if (std::isfinite(loss)) return "";
  return "the evaluation loss after step " + std::to_string(step) + " is " + Shown(loss);
}

}  // namespace mixln::worker::trainer::loop
