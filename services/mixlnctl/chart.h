// A chart as inline SVG for a page of `report`: lines with bands or error bars, ticks at round numbers, and
// what each point is as a tooltip. Colours come from the page's style sheet (classes c0 to c7), so that it is
// read in light and dark.
#pragma once

#include <string>
#include <vector>

namespace mixln::services::mixlnctl {

struct ChartPoint {
  double x = 0;
  double y = 0;
  double low = 0;  // the range at x; both as y: none
  double high = 0;
  bool marked = false;  // the best
};

struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;  // by x, which grows
};

struct ChartOptions {
  std::string title = {};  // read out where the picture is not seen
  std::string x_name = {};
  std::string y_name = {};
  bool points = false;   // a dot at each point and the range as an error bar, else the range as a band
  bool whole_x = false;  // x counts: ticks at whole numbers only
};

constexpr size_t kChartColours = 8;

// The <svg> element; empty when no series has a point. The y axis is logarithmic when all values are above 0
// and the greatest is more than ten times the least.
std::string Chart(const std::vector<ChartSeries>& series, const ChartOptions& options);

// Round numbers (1, 2 or 5 times a power of ten apart) from low to high, about `count` of them; whole ones
// only if asked for.
std::vector<double> RoundTicks(double low, double high, int count, bool whole = false);

// The text with what HTML and SVG would read as markup replaced.
std::string EscapeHtml(const std::string& text);

}  // namespace mixln::services::mixlnctl
