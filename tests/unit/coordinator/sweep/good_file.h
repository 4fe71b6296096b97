// A sweep file without a problem, and edits of it.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "coordinator/sweep/parse.h"

namespace mixln::coordinator::sweep {

inline constexpr char kGoodFile[] = R"(apiVersion: mixln/v1
kind: Sweep
metadata: {name: good}
spec:
  model: {hidden_size: 32, intermediate_size: 64, layers: 8, heads: 2}
  norm: {placement: mix, alpha: 0.25}
  data:
    source: ["corpus/*.txt"]
    tokenizer: {train: {vocab: 400}}
    context: 32
  train: {steps: 30, batch: {sequences: 4}, lr: 3.0e-3, warmup_steps: 5}
  sweep:
    parameters:
      norm.alpha: [0, 0.5]
      train.seed: [0, 1, 2]
)";

// kGoodFile in which the first `old` is `replacement`.
inline std::string Edited(const std::string& old, const std::string& replacement) {
  std::string text = kGoodFile;
  const size_t at = text.find(old);
  EXPECT_NE(at, std::string::npos) << old;
  return text.replace(at, old.size(), replacement);
}

// All problems of a text, formatted, one a line.
inline std::string ProblemsOf(const std::string& text, bool allow_large = false) {
  std::string all;
  for (const Problem& problem : Parse(text, "s.yaml", allow_large).problems) all += Format(problem) + "\n";
  return all;
}

}  // namespace mixln::coordinator::sweep
