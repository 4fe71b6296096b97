#include "services/mixlnctl/plot.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "services/mixlnctl/format.h"

namespace mixln::services::mixlnctl {
namespace {

struct Range {
  double low = 0;
  double high = 0;
};

int Place(double value, const Range& range, int cells) {
  const double share = (value - range.low) / (range.high - range.low);
  return std::clamp(static_cast<int>(std::lround(share * (cells - 1))), 0, cells - 1);
}

}  // namespace

std::vector<std::string> Plot(const std::vector<PlotPoint>& points, const PlotOptions& options) {
  if (points.empty()) return {};
  for (const PlotPoint& p : points) {
    if (!std::isfinite(p.x) || !std::isfinite(p.y) || p.y <= 0) return {};
  }
  const auto [min_x, max_x] = std::minmax_element(points.begin(), points.end(),
                                                  [](const auto& a, const auto& b) { return a.x < b.x; });
  const auto [min_y, max_y] = std::minmax_element(points.begin(), points.end(),
                                                  [](const auto& a, const auto& b) { return a.y < b.y; });
  const Range x{min_x->x, max_x->x};
  if (x.low == x.high) return {};
  const bool logarithmic = max_y->y > 10 * min_y->y;
  const auto scaled = [&](double value) { return logarithmic ? std::log(value) : value; };

  Range y{scaled(min_y->y), scaled(max_y->y)};
  for (const PlotPoint& p : points) {
    if (p.spread <= 0 || p.spread >= p.y) continue;
    y.low = std::min(y.low, scaled(p.y - p.spread));
    y.high = std::max(y.high, scaled(p.y + p.spread));
  }
  if (y.low == y.high) y = {y.low - 0.5, y.high + 0.5};

  const std::string empty = " ";
  std::vector<std::vector<std::string>> cells(
      static_cast<size_t>(options.height),
      std::vector<std::string>(static_cast<size_t>(options.width), empty));
  const auto put = [&](int row, int column, const char* glyph) {
    cells[static_cast<size_t>(row)][static_cast<size_t>(column)] = glyph;
  };
  for (const PlotPoint& p : points) {
    if (p.spread <= 0 || p.spread >= p.y) continue;
    const int column = Place(p.x, x, options.width);
    const int from = Place(scaled(p.y - p.spread), y, options.height);
    const int to = Place(scaled(p.y + p.spread), y, options.height);
    for (int row = from; row <= to; ++row) put(row, column, options.unicode ? "│" : "|");
  }
  for (const PlotPoint& p : points) {
    const char* glyph = p.marked ? (options.unicode ? "★" : "*") : (options.unicode ? "●" : "o");
    put(Place(scaled(p.y), y, options.height), Place(p.x, x, options.width), glyph);
  }

  std::vector<std::string> lines;
  for (int row = options.height - 1; row >= 0; --row) {
    std::string label;
    if (row == options.height - 1) label = FormatPerplexity(logarithmic ? std::exp(y.high) : y.high);
    if (row == 0) label = FormatPerplexity(logarithmic ? std::exp(y.low) : y.low);
    std::string line = absl::StrFormat("%9s %s", label, options.unicode ? "┤" : "|");
    for (const std::string& cell : cells[static_cast<size_t>(row)]) line += cell;
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
  std::string axis = absl::StrCat(std::string(10, ' '), options.unicode ? "└" : "+");
  for (int i = 0; i < options.width; ++i) axis += options.unicode ? "─" : "-";
  lines.push_back(std::move(axis));
  const std::string low = absl::StrFormat("%g", x.low);
  const std::string high = absl::StrFormat("%g", x.high);
  const std::string name = absl::StrCat(options.x_name, logarithmic ? " (logarithmic upwards)" : "");
  const int room = std::max(2, options.width - static_cast<int>(low.size() + high.size() + name.size()));
  lines.push_back(absl::StrCat(std::string(11, ' '), low, std::string(static_cast<size_t>(room / 2), ' '),
                               name, std::string(static_cast<size_t>(room - room / 2), ' '), high));
  return lines;
}

}  // namespace mixln::services::mixlnctl
