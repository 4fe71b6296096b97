#include "services/mixlnctl/chart.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace mixln::services::mixlnctl {
namespace {

constexpr double kWidth = 720;
constexpr double kHeight = 360;
constexpr double kLeft = 72;
constexpr double kRight = 16;
constexpr double kTop = 16;
constexpr double kBottom = 48;
constexpr double kLogarithmicFrom = 10;  // times the least value

// An axis: from values to places between two ends.
struct Axis {
  double low = 0;
  double high = 1;
  double from = 0;
  double to = 1;
  bool logarithmic = false;

  double At(double value) const {
    const auto scaled = [&](double v) { return logarithmic ? std::log(v) : v; };
    return from + (to - from) * (scaled(value) - scaled(low)) / (scaled(high) - scaled(low));
  }
};

std::string Number(double value) {
  return absl::StrFormat("%.6g", value);
}

std::string Place(double value) {
  return absl::StrFormat("%.1f", value);
}

// 1, 2 and 5 times the powers of ten between the ends.
std::vector<double> LogarithmicTicks(double low, double high) {
  std::vector<double> ticks;
  for (double decade = std::pow(10, std::floor(std::log10(low))); decade <= high; decade *= 10) {
    for (const double times : {1., 2., 5.}) {
      if (decade * times >= low && decade * times <= high) ticks.push_back(decade * times);
    }
  }
  return ticks;
}

Axis XAxis(const std::vector<ChartSeries>& series) {
  Axis axis{.low = HUGE_VAL, .high = -HUGE_VAL, .from = kLeft, .to = kWidth - kRight};
  for (const ChartSeries& one : series) {
    for (const ChartPoint& point : one.points) {
      axis.low = std::min(axis.low, point.x);
      axis.high = std::max(axis.high, point.x);
    }
  }
  const double margin = axis.low == axis.high ? 0.5 : 0.02 * (axis.high - axis.low);
  axis.low -= margin;
  axis.high += margin;
  return axis;
}

Axis YAxis(const std::vector<ChartSeries>& series) {
  Axis axis{.low = HUGE_VAL, .high = -HUGE_VAL, .from = kHeight - kBottom, .to = kTop};
  for (const ChartSeries& one : series) {
    for (const ChartPoint& point : one.points) {
      axis.low = std::min({axis.low, point.y, point.low});
      axis.high = std::max({axis.high, point.y, point.high});
    }
  }
  axis.logarithmic = axis.low > 0 && axis.high > kLogarithmicFrom * axis.low;
  if (axis.logarithmic) {
    axis.low /= 1.1;
    axis.high *= 1.1;
    return axis;
  }
  const double margin = axis.low == axis.high ? 0.5 : 0.06 * (axis.high - axis.low);
  axis.low -= margin;
  axis.high += margin;
  return axis;
}

std::string Ticks(const Axis& x, const Axis& y, const ChartOptions& options) {
  std::string svg = "<g class=\"grid\">";
  const std::vector<double> y_ticks =
      y.logarithmic ? LogarithmicTicks(y.low, y.high) : RoundTicks(y.low, y.high, 6);
  const std::vector<double> x_ticks = RoundTicks(x.low, x.high, 7, options.whole_x);
  for (const double tick : y_ticks) {
    absl::StrAppend(&svg, "<line x1=\"", Place(kLeft), "\" x2=\"", Place(kWidth - kRight), "\" y1=\"",
                    Place(y.At(tick)), "\" y2=\"", Place(y.At(tick)), "\"/>");
  }
  absl::StrAppend(&svg, "</g><g class=\"tick\">");
  for (const double tick : y_ticks) {
    absl::StrAppend(&svg, "<text text-anchor=\"end\" x=\"", Place(kLeft - 8), "\" y=\"",
                    Place(y.At(tick) + 4), "\">", Number(tick), "</text>");
  }
  for (const double tick : x_ticks) {
    absl::StrAppend(&svg, "<text text-anchor=\"middle\" x=\"", Place(x.At(tick)), "\" y=\"",
                    Place(kHeight - kBottom + 18), "\">", Number(tick), "</text>");
  }
  absl::StrAppend(&svg, "</g><g class=\"name\"><text text-anchor=\"middle\" x=\"",
                  Place((kLeft + kWidth - kRight) / 2), "\" y=\"", Place(kHeight - 8), "\">",
                  EscapeHtml(options.x_name), "</text>");
  absl::StrAppend(&svg, "<text text-anchor=\"middle\" transform=\"translate(18 ",
                  Place((kTop + kHeight - kBottom) / 2), ") rotate(-90)\">", EscapeHtml(options.y_name),
                  y.logarithmic ? ", logarithmic" : "", "</text></g>");
  return svg;
}

std::string PathOf(const std::vector<ChartPoint>& points, const Axis& x, const Axis& y) {
  std::string path;
  for (const ChartPoint& point : points)
    absl::StrAppend(&path, path.empty() ? "M" : "L", Place(x.At(point.x)), " ", Place(y.At(point.y)));
  return path;
}

std::string Band(const std::vector<ChartPoint>& points, const Axis& x, const Axis& y) {
  if (std::none_of(points.begin(), points.end(),
                   [](const ChartPoint& point) { return point.high > point.low; }))
    return "";
  std::string path;
  for (const ChartPoint& point : points)
    absl::StrAppend(&path, path.empty() ? "M" : "L", Place(x.At(point.x)), " ", Place(y.At(point.high)));
  for (auto point = points.rbegin(); point != points.rend(); ++point)
    absl::StrAppend(&path, "L", Place(x.At(point->x)), " ", Place(y.At(point->low)));
  return absl::StrCat("<path class=\"band\" d=\"", path, "Z\"/>");
}

// What the point is, in words.
std::string Tooltip(const ChartSeries& series, const ChartPoint& point, const ChartOptions& options) {
  std::string text = absl::StrCat(series.name, series.name.empty() ? "" : ": ", options.x_name, " ",
                                  Number(point.x), ", ", options.y_name, " ", Number(point.y));
  if (point.high > point.low)
    absl::StrAppend(&text, ", from ", Number(point.low), " to ", Number(point.high));
  return absl::StrCat("<title>", EscapeHtml(text), "</title>");
}

// The upper point of a star around the place, and back.
std::string Star(double x, double y) {
  std::string points;
  for (int i = 0; i < 10; ++i) {
    const double radius = i % 2 == 0 ? 9 : 4;
    const double angle = M_PI * (i / 5.0 - 0.5);
    absl::StrAppend(&points, i == 0 ? "" : " ", Place(x + radius * std::cos(angle)), ",",
                    Place(y + radius * std::sin(angle)));
  }
  return absl::StrCat("<polygon class=\"star\" points=\"", points, "\">");
}

std::string Dots(const ChartSeries& series, const Axis& x, const Axis& y, const ChartOptions& options) {
  std::string svg;
  for (const ChartPoint& point : series.points) {
    const double at_x = x.At(point.x);
    if (point.high > point.low) {
      absl::StrAppend(&svg, "<path class=\"bar\" d=\"M", Place(at_x), " ", Place(y.At(point.low)), "V",
                      Place(y.At(point.high)));
      for (const double end : {point.low, point.high})
        absl::StrAppend(&svg, "M", Place(at_x - 5), " ", Place(y.At(end)), "h10");
      absl::StrAppend(&svg, "\"/>");
    }
    if (point.marked) {
      absl::StrAppend(&svg, Star(at_x, y.At(point.y)), Tooltip(series, point, options), "</polygon>");
    } else {
      absl::StrAppend(&svg, "<circle class=\"dot\" r=\"4.5\" cx=\"", Place(at_x), "\" cy=\"",
                      Place(y.At(point.y)), "\">", Tooltip(series, point, options), "</circle>");
    }
  }
  return svg;
}

}  // namespace

std::string EscapeHtml(const std::string& text) {
  return absl::StrReplaceAll(
      text, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::vector<double> RoundTicks(double low, double high, int count, bool whole) {
  std::vector<double> ticks;
  if (!(high > low) || count < 1) return ticks;
  const double rough = (high - low) / count;
  double step = std::pow(10, std::floor(std::log10(rough)));
  for (const double times : {2., 2.5, 2.}) {  // 2, 5 and 10 times the power of ten
    if (step >= rough) break;
    step *= times;
  }
  if (whole) step = std::max(1.0, std::round(step));
  for (double k = std::ceil(low / step); k * step <= high; ++k) ticks.push_back(k == 0 ? 0 : k * step);
  return ticks;
}

std::string Chart(const std::vector<ChartSeries>& series, const ChartOptions& options) {
  if (std::all_of(series.begin(), series.end(), [](const ChartSeries& one) { return one.points.empty(); }))
    return "";
  const Axis x = XAxis(series);
  const Axis y = YAxis(series);
  std::string svg = absl::StrCat("<svg class=\"chart\" role=\"img\" viewBox=\"0 0 ", kWidth, " ", kHeight,
                                 "\" aria-label=\"", EscapeHtml(options.title), "\">", Ticks(x, y, options));
  for (size_t i = 0; i < series.size(); ++i) {
    const auto& points = series[i].points;
    if (points.empty()) continue;
    absl::StrAppend(&svg, "<g class=\"c", i % kChartColours, "\">");
    if (!options.points) absl::StrAppend(&svg, Band(points, x, y));
    absl::StrAppend(&svg, "<path class=\"line\" d=\"", PathOf(points, x, y), "\">",
                    options.points ? "" : absl::StrCat("<title>", EscapeHtml(series[i].name), "</title>"),
                    "</path>");
    if (options.points) absl::StrAppend(&svg, Dots(series[i], x, y, options));
    absl::StrAppend(&svg, "</g>");
  }
  return svg + "</svg>";
}

}  // namespace mixln::services::mixlnctl
