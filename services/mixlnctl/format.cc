#include "services/mixlnctl/format.h"

#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace mixln::services::mixlnctl {
namespace {

std::string ThreeDigits(double value) {
  if (value >= 99.95) return absl::StrFormat("%.0f", value);
  if (value >= 9.995) return absl::StrFormat("%.1f", value);
  return absl::StrFormat("%.2f", value);
}

}  // namespace

std::string FormatDuration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "-";
  const auto total = static_cast<int64_t>(std::llround(seconds));
  const int64_t minutes = total / 60;
  const int64_t hours = minutes / 60;
  const int64_t days = hours / 24;
  if (days > 0) return absl::StrFormat("%dd%02dh", days, hours % 24);
  if (hours > 0) return absl::StrFormat("%dh%02dm", hours, minutes % 60);
  if (minutes > 0) return absl::StrFormat("%dm%02ds", minutes, total % 60);
  return absl::StrFormat("%ds", total);
}

std::string FormatCount(double count) {
  if (!std::isfinite(count)) return "-";
  if (count < 999.5) return absl::StrFormat("%.0f", count);
  constexpr std::array kUnits{"K", "M", "B", "T"};
  size_t unit = 0;
  double value = count / 1000;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return absl::StrCat(ThreeDigits(value), kUnits[unit]);
}

std::string FormatBytes(int64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  constexpr std::array kUnits{"KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  double value = static_cast<double>(bytes) / 1024;
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return absl::StrCat(ThreeDigits(value), " ", kUnits[unit]);
}

std::string FormatPerplexity(double perplexity) {
  if (perplexity == 0) return "-";
  if (std::isnan(perplexity)) return "nan";
  if (std::isinf(perplexity)) return "inf";
  if (perplexity >= 99999.95) return absl::StrFormat("%.3g", perplexity);
  if (perplexity >= 999.995) return absl::StrFormat("%.1f", perplexity);
  return absl::StrFormat("%.2f", perplexity);
}

std::string FormatLoss(double loss) {
  if (loss == 0) return "-";
  if (std::isnan(loss)) return "nan";
  if (std::isinf(loss)) return "inf";
  return absl::StrFormat("%.3f", loss);
}

std::string FormatSpread(double mean, double stddev, const std::string& plus_minus) {
  std::string text = FormatPerplexity(mean);
  if (mean != 0 && std::isfinite(mean) && stddev > 0) {
    absl::StrAppend(&text, " ", plus_minus, " ", absl::StrFormat("%.2f", stddev));
  }
  return text;
}

std::string Plural(int64_t count, const std::string& word) {
  return absl::StrCat(count, " ", word, count == 1 ? "" : "s");
}

}  // namespace mixln::services::mixlnctl
