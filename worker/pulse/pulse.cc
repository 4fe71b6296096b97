#include "worker/pulse/pulse.h"

#include <execinfo.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/file/unique_fd.h"

namespace mixln::worker::pulse {
namespace {

// The file's words, in the machine's byte order: nobody else reads it.
struct Words {
  std::atomic<uint64_t> phase;
  std::atomic<int64_t> step;
  std::atomic<uint64_t> collective;
  std::atomic<uint64_t> beats;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free && sizeof(Words) == 4 * sizeof(uint64_t));

std::atomic<Words*> mapped{nullptr};

constexpr int kFrames = 64;
std::atomic_flag writing = ATOMIC_FLAG_INIT;

// Only what a signal handler may call. Threads take turns, so that stacks do not mix; one that waits for too
// long writes all the same.
void WriteStack(int /*signal*/) {
  const int before = errno;
  bool mine = false;
  for (int i = 0; i < 100 && !mine; ++i) {
    mine = !writing.test_and_set();
    const timespec pause{0, 5'000'000};
    if (!mine) nanosleep(&pause, nullptr);
  }
  std::array<void*, kFrames> frames{};
  std::array<char, 16> name{};
  prctl(PR_GET_NAME, name.data());
  std::array<char, 64> line{};
  const int size =
      std::snprintf(line.data(), line.size(), "stack of thread %d (%s):\n", gettid(), name.data());
  [[maybe_unused]] const ssize_t n = write(STDERR_FILENO, line.data(), static_cast<size_t>(size));
  backtrace_symbols_fd(frames.data(), backtrace(frames.data(), kFrames), STDERR_FILENO);
  if (mine) writing.clear();
  errno = before;
}

// The file with room for its words on the disk; closed, with errno, when that fails.
base::UniqueFd OpenWithRoom(const std::filesystem::path& file, int flags) {
  base::UniqueFd fd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | flags, 0644));
  if (!fd) return fd;
  errno = posix_fallocate(fd.get(), 0, sizeof(Words));  // it does not set errno itself
  return errno == 0 ? std::move(fd) : base::UniqueFd();
}

}  // namespace

const int kStackSignal = SIGUSR2;

bool Make(const std::filesystem::path& file) {
  return static_cast<bool>(OpenWithRoom(file, O_TRUNC));  // zeros: kStarting
}

bool Open(const std::filesystem::path& file) {
  const base::UniqueFd fd = OpenWithRoom(file, 0);
  if (!fd) return false;
  void* memory = mmap(nullptr, sizeof(Words), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED) return false;
  mapped = static_cast<Words*>(memory);
  return true;
}

void Enter(Phase phase, int64_t step) {
  Words* words = mapped;
  if (words == nullptr) return;
  words->phase = static_cast<uint64_t>(phase);
  words->step = step;
  ++words->beats;
}

void Beat() {
  if (Words* words = mapped) ++words->beats;
}

void BeginCollective() {
  if (Words* words = mapped) ++words->collective;
}

void LeaveStacksOnSignal() {
  std::array<void*, 1> frame{};
  backtrace(frame.data(), 1);  // loads what it needs, which a handler may not
  struct sigaction action {};
  action.sa_handler = WriteStack;
  action.sa_flags = SA_RESTART;
  sigaction(kStackSignal, &action, nullptr);
}

std::optional<Reading> Read(const std::filesystem::path& file) {
  const base::UniqueFd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<uint64_t, 4> words{};
  if (!fd || pread(fd.get(), words.data(), sizeof words, 0) != sizeof words) return std::nullopt;
  return Reading{static_cast<Phase>(words[0]), static_cast<int64_t>(words[1]), words[2], words[3]};
}

}  // namespace mixln::worker::pulse
