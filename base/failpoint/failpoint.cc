#include "base/failpoint/failpoint.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <stdexcept>

#include "base/failpoint/points.h"

namespace mixln::base::failpoint {
namespace {

Armed ParseOne(std::string_view entry) {
  const auto fail = [&](const std::string& problem) {
    throw std::invalid_argument("MIXLN_FAILPOINTS: \"" + std::string(entry) + "\" " + problem +
                                "; write POINT[@TEXT]:N=ACTION");
  };
  const size_t equals = entry.rfind('=');
  const size_t colon = entry.rfind(':', equals);
  if (equals == std::string_view::npos || colon == std::string_view::npos) fail("has no hit or no action");
  Armed armed;
  const std::string_view place = entry.substr(0, colon);
  const size_t at = place.find('@');
  armed.point = place.substr(0, at);
  if (at != std::string_view::npos) armed.text = place.substr(at + 1);
  if (std::find(std::begin(kPoints), std::end(kPoints), armed.point) == std::end(kPoints))
    fail("names no fail-point (docs/testing.md lists them)");
  const std::string_view hit = entry.substr(colon + 1, equals - colon - 1);
  const auto result = std::from_chars(hit.data(), hit.data() + hit.size(), armed.at);
  if (result.ec != std::errc() || result.ptr != hit.data() + hit.size() || armed.at < 1)
    fail("has no hit from 1");
  const std::string_view action = entry.substr(equals + 1);
  if (action == "kill") {
    armed.action = Action::kKill;
  } else if (action == "stop") {
    armed.action = Action::kStop;
  } else if (action == "EIO" || action == "ENOSPC") {
    armed.action = Action::kError;
    armed.error_number = action == "EIO" ? EIO : ENOSPC;
  } else {
    fail("has an unknown action: known are kill, stop, EIO and ENOSPC");
  }
  return armed;
}

std::vector<Armed> FromEnvironment() {
  const char* list = std::getenv("MIXLN_FAILPOINTS");
  if (list == nullptr || *list == '\0') return {};
  try {
    std::vector<Armed> armed = Parse(list);
    std::fprintf(stderr, "this process fails on purpose: MIXLN_FAILPOINTS=%s\n", list);
    return armed;
  } catch (const std::invalid_argument& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    std::_Exit(64);
  }
}

Failpoints& OfThisProcess() {
  static Failpoints failpoints(FromEnvironment());
  return failpoints;
}

}  // namespace

std::vector<Armed> Parse(std::string_view list) {
  std::vector<Armed> armed;
  while (!list.empty()) {
    const size_t end = list.find(';');
    armed.push_back(ParseOne(list.substr(0, end)));
    list = end == std::string_view::npos ? "" : list.substr(end + 1);
  }
  return armed;
}

int Failpoints::Hit(std::string_view point, std::string_view detail) {
  if (empty()) return 0;
  const std::lock_guard lock(mutex_);
  for (Armed& armed : armed_) {
    if (armed.point != point || detail.find(armed.text) == std::string_view::npos) continue;
    if (++armed.hits != armed.at) continue;
    if (armed.action == Action::kError) return armed.error_number;
    std::raise(armed.action == Action::kKill ? SIGKILL : SIGSTOP);
  }
  return 0;
}

int Hit(std::string_view point, std::string_view detail) {
  return OfThisProcess().Hit(point, detail);
}

bool AnyArmed() {
  return !OfThisProcess().empty();
}

}  // namespace mixln::base::failpoint
