// Places where a process can be made to fail on purpose, by name, so that tests need no luck to hit a moment.
//
// They are in the release programs, and off unless the environment's MIXLN_FAILPOINTS is set: a list,
// separated by semicolons, of
//
//   POINT[@TEXT]:N=ACTION
//
// which acts at the Nth hit (from 1) of POINT; with TEXT, hits count whose detail contains it. Actions:
// `kill` (kill -9 of this process), `stop` (SIGSTOP: a hang), or the errno to fail with, `EIO` or `ENOSPC`.
// Example:
//
//   MIXLN_FAILPOINTS='file.rename@manifest.json:2=kill'
//
// Points are listed in points.h and docs/testing.md.
#pragma once

#include <cerrno>
#include <concepts>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace mixln::base::failpoint {

enum class Action { kKill, kStop, kError };

struct Armed {
  std::string point;
  std::string text;  // empty: any detail
  int at = 0;        // which hit
  Action action = Action::kKill;
  int error_number = 0;
  int hits = 0;
};

// Reads a list. Throws std::invalid_argument that names what is wrong.
std::vector<Armed> Parse(std::string_view list);

// The fail-points of a process.
class Failpoints {
 public:
  explicit Failpoints(std::vector<Armed> armed) : armed_(std::move(armed)) {}

  bool empty() const { return armed_.empty(); }

  // Counts a hit, and does what is due. Returns the errno to fail with, or 0 to go on.
  int Hit(std::string_view point, std::string_view detail);

 private:
  std::mutex mutex_;
  std::vector<Armed> armed_;
};

// A hit of the process's own, read from the environment once. A list that makes no sense ends the process: a
// test with a misspelt point would prove nothing.
int Hit(std::string_view point, std::string_view detail = {});

// Whether this process has any fail-point.
bool AnyArmed();

// A hit whose detail costs something to say: `say()` is called only where there are fail-points at all.
template <std::invocable Say>
int Hit(std::string_view point, const Say& say) {
  return AnyArmed() ? Hit(point, std::string_view(std::string(say()))) : 0;
}

// Makes a system call, one that returns below 0 and sets errno when it fails, unless the point says that it
// fails: then -1, and errno is set as the call would.
template <std::invocable SystemCall>
auto Call(std::string_view point, std::string_view detail, const SystemCall& call) -> decltype(call()) {
  if (const int failure = Hit(point, detail); failure != 0) {
    errno = failure;
    return -1;
  }
  return call();
}

}  // namespace mixln::base::failpoint
