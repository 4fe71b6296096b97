#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/random/splitmix.h"
#include "coordinator/search/search.h"

namespace mixln::coordinator::search {
namespace {

// One sequence for each seed and path.
uint64_t SeedOf(const v1::SearchSpec& search, const std::string& path) {
  return base::SplitMix64(base::SplitMix64(static_cast<uint64_t>(search.seed())), path);
}

// `unit` in [0, 1) -> between low and high. Written so that no range overflows.
double Between(double low, double high, double unit) {
  return low * (1 - unit) + high * unit;
}

double DrawNumber(const v1::Distribution& from, double unit) {
  if (from.kind() == v1::Distribution::KIND_UNIFORM) return Between(from.min(), from.max(), unit);
  return std::exp(Between(std::log(from.min()), std::log(from.max()), unit));
}

// The number below what would be drawn from [min, max + 1), so that both ends can come.
int64_t DrawWhole(const v1::Distribution& from, double unit) {
  v1::Distribution wider = from;
  wider.set_max(from.max() + 1);
  return static_cast<int64_t>(std::clamp(std::floor(DrawNumber(wider, unit)), from.min(), from.max()));
}

std::string Shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), value).ptr};
}

// With 6 significant digits; in full at an end of the range that these would cross.
std::string Spell(double value, const v1::Distribution& from) {
  std::string text = absl::StrFormat("%.6g", value);
  double rounded = 0;
  if (absl::SimpleAtod(text, &rounded) && rounded >= from.min() && rounded <= from.max()) return text;
  return Shortest(std::clamp(rounded, from.min(), from.max()));
}

}  // namespace

bool IsDrawn(const v1::SearchSpec& search) {
  return search.strategy() == v1::STRATEGY_RANDOM ||
         (search.strategy() == v1::STRATEGY_ASHA && search.samples() > 0);
}

std::vector<std::string> Draw(const v1::SearchSpec& search, const v1::Parameter& parameter, bool whole) {
  const uint64_t seed = SeedOf(search, parameter.path());
  const v1::Distribution& from = parameter.distribution();
  std::vector<std::string> drawn;
  drawn.reserve(static_cast<size_t>(search.samples()));
  for (int i = 0; i < search.samples(); ++i) {
    const double unit = base::UnitInterval(base::SplitMix64(seed, static_cast<uint64_t>(i)));
    if (from.kind() == v1::Distribution::KIND_UNSPECIFIED) {
      drawn.push_back(parameter.values(static_cast<int>(unit * parameter.values_size())));
    } else {
      drawn.push_back(whole ? absl::StrCat(DrawWhole(from, unit)) : Spell(DrawNumber(from, unit), from));
    }
  }
  return drawn;
}

}  // namespace mixln::coordinator::search
