#include "services/mixlnctl/progress_bar.h"

#include <array>
#include <cmath>

namespace mixln::services::mixlnctl {

std::string ProgressBar(double fraction, int width, bool unicode) {
  constexpr std::array kEighths{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  if (!(fraction > 0)) fraction = 0;
  if (fraction > 1) fraction = 1;
  const int parts = unicode ? 8 : 1;
  const int filled = static_cast<int>(std::floor(fraction * width * parts));
  std::string bar;
  int used = filled / parts;
  for (int i = 0; i < used; ++i) bar += unicode ? "█" : "#";
  if (unicode && filled % parts > 0) {
    bar += kEighths[static_cast<size_t>(filled % parts)];
    ++used;
  }
  for (int i = used; i < width; ++i) bar += unicode ? "░" : "-";
  return bar;
}

}  // namespace mixln::services::mixlnctl
