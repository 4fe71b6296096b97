#include "services/prepare/reporter.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"

namespace mixln::services::prepare {
namespace {

constexpr auto kInterval = std::chrono::milliseconds(250);
constexpr int kBarWidth = 30;

void PrintJson(const nlohmann::ordered_json& json) {
  const std::string line = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

void Reporter::OnProgress(const worker::tokenize::Progress& progress) {
  const Clock::time_point now = Clock::now();
  if (progress.phase != phase_) {
    phase_ = progress.phase;
    phase_begin_ = now;
  } else if (now - last_said_ < kInterval) {
    return;
  }
  last_said_ = now;
  const double total = static_cast<double>(progress.total_bytes);
  const double fraction = total > 0 ? std::min(1.0, static_cast<double>(progress.bytes) / total) : 0;
  PrintJson({{"phase", phase_}, {"fraction", std::round(fraction * 1000) / 1000}});
  if (is_terminal_) DrawBar(progress, fraction, now);
}

void Reporter::DrawBar(const worker::tokenize::Progress& progress, double fraction, Clock::time_point now) {
  const int filled = static_cast<int>(fraction * kBarWidth);
  std::string line =
      absl::StrFormat("\r\033[K%s [%s%s] %3.0f%%", phase_, std::string(static_cast<size_t>(filled), '#'),
                      std::string(static_cast<size_t>(kBarWidth - filled), '.'), fraction * 100);
  const double seconds = std::chrono::duration<double>(now - phase_begin_).count();
  if (seconds > 0.5 && progress.bytes > 0) {
    const double bytes_per_second = static_cast<double>(progress.bytes) / seconds;
    const double left =
        static_cast<double>(progress.total_bytes - std::min(progress.bytes, progress.total_bytes));
    absl::StrAppendFormat(&line, "  %.1f MB/s, %.0f s left", bytes_per_second / 1e6, left / bytes_per_second);
  }
  std::fputs(line.c_str(), stderr);
  std::fflush(stderr);
  bar_shown_ = true;
}

int Reporter::Finish(const absl::StatusOr<worker::tokenize::Prepared>& prepared) {
  if (bar_shown_) std::fputs("\r\033[K", stderr);
  if (!prepared.ok()) {
    const std::string message(prepared.status().message());
    std::fprintf(stderr, "mixln-prepare: %s\n", message.c_str());
    PrintJson({{"error", message}});
    return ExitCode(prepared.status());
  }
  const worker::shards::Dataset& dataset = prepared->dataset;
  const std::string words = absl::StrFormat(
      "%s %s: %d training documents (%d tokens), %d for validation (%d tokens), vocabulary %d; %d duplicates "
      "removed, %d "
      "invalid UTF-8 sequences replaced\n",
      prepared->from_cache ? "found" : "prepared", dataset.dir.string(), dataset.train.documents,
      dataset.train.tokens, dataset.validation.documents, dataset.validation.tokens, dataset.vocab_size,
      dataset.duplicates_removed, dataset.invalid_utf8_replaced);
  std::fputs(words.c_str(), stderr);
  PrintJson({{"dataset_dir", dataset.dir.string()}});
  return 0;
}

int ExitCode(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk: return 0;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kPermissionDenied: return 64;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kDataLoss: return 65;
    default: return 74;
  }
}

}  // namespace mixln::services::prepare
