// A small plot in text: the mean of a result, with its spread, over one parameter.
#pragma once

#include <string>
#include <vector>

namespace mixln::services::mixlnctl {

struct PlotPoint {
  double x = 0;
  double y = 0;
  double spread = 0;  // half the length of the error bar
  bool marked = false;
};

struct PlotOptions {
  int width = 48;  // columns between the axis and the right edge
  int height = 8;  // rows
  bool unicode = true;
  std::string x_name = {};
};

// Rows of a plot with y upwards: a point is "●" ("o"), a marked one "★" ("*"), its spread "│" ("|"). Lines
// without newlines. Empty for fewer than two different x, and for values that are not finite. Where the
// largest y is more than ten times the smallest, rows are in the logarithm of y and the last line says so.
std::vector<std::string> Plot(const std::vector<PlotPoint>& points, const PlotOptions& options);

}  // namespace mixln::services::mixlnctl
