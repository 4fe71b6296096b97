// A bar that fills from left to right, in eighths of a column where the terminal knows Unicode.
#pragma once

#include <string>

namespace mixln::services::mixlnctl {

// Exactly `width` columns; `fraction` is clamped to [0, 1], NaN is 0. Full only at 1.
std::string ProgressBar(double fraction, int width, bool unicode);

}  // namespace mixln::services::mixlnctl
