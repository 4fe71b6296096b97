#include "worker/trainer/fsdp/host_memory.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <sstream>
#include <string>

#include "base/failpoint/failpoint.h"
#include "worker/trainer/error/error.h"

namespace mixln::worker::trainer::fsdp {
namespace {

constexpr size_t kPage = size_t{4} << 10;
constexpr size_t kHugePage = size_t{2} << 20;  // of x86
constexpr size_t kMeeting = 64;
constexpr size_t kStages = kPage;
constexpr size_t kOwn = kHugePage;
constexpr size_t kCommon = size_t{1} << 39;
constexpr size_t kBytes = size_t{1} << 40;
static_assert(kMeeting + sizeof(Place) <= kStages &&
              kStages + Meeting::kKept * HostMemory::kStageBytes <= kOwn);

size_t RoundUp(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

std::string ErrorText(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

#ifndef MADV_COLLAPSE
constexpr int MADV_COLLAPSE = 25;  // Linux 6.1
#endif

// All of the file, from a multiple of huge pages on; not for core dumps, which would walk through it.
std::byte* MapAll(int fd) {
  void* room =
      mmap(nullptr, kBytes + kHugePage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (room == MAP_FAILED) return nullptr;
  auto* const begin = static_cast<std::byte*>(room);
  const size_t before =
      RoundUp(reinterpret_cast<uintptr_t>(room), kHugePage) - reinterpret_cast<uintptr_t>(room);
  void* memory =
      mmap(begin + before, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, fd, 0);
  if (memory == MAP_FAILED) {
    munmap(room, kBytes + kHugePage);
    return nullptr;
  }
  if (before > 0) munmap(room, before);
  if (before < kHugePage) munmap(begin + before + kBytes, kHugePage - before);
  madvise(memory, kBytes, MADV_HUGEPAGE);
  madvise(memory, kBytes, MADV_DONTDUMP);
  return static_cast<std::byte*>(memory);
}

// Memory that was just taken, on huge pages: a wish. Most systems are set to give none to shared memory by
// themselves, but do when they are asked to join small ones, of which there has to be one.
void JoinPages(std::byte* memory, size_t bytes) {
  if (bytes < kHugePage) return;
  for (size_t page = 0; page < bytes; page += kHugePage) {
    static_cast<void>(*static_cast<const volatile std::byte*>(memory + page));
  }
  madvise(memory, RoundUp(bytes, kHugePage), MADV_COLLAPSE);
}

// Where the next `bytes` begin, which must end by `end`.
size_t Advance(size_t& taken, size_t bytes, size_t end) {
  const size_t unit = bytes < kHugePage ? kPage : kHugePage;
  const size_t begin = RoundUp(taken, unit);
  if (RoundUp(bytes, unit) > end - begin) throw std::bad_alloc();
  taken = begin + RoundUp(bytes, unit);
  return begin;
}

uint64_t& TokenOf(std::byte* base) {
  return *reinterpret_cast<uint64_t*>(base);
}

}  // namespace

HostMemory::HostMemory(int rank, int world_size)
    : rank_(rank), segments_(static_cast<size_t>(world_size)), taken_(kOwn), common_taken_(kCommon) {}

HostMemory::~HostMemory() {
  for (const Segment& segment : segments_) {
    if (segment.base != nullptr) munmap(segment.base, kBytes);
  }
}

std::unique_ptr<HostMemory> HostMemory::Share(Rendezvous& rendezvous) {
  const RankOptions& ranks = rendezvous.options();
  std::unique_ptr<HostMemory> memory(new HostMemory(ranks.rank, ranks.world_size));
  Segment& own = memory->segments_.at(static_cast<size_t>(ranks.rank));
  std::string description;  // stays empty where there is no such memory
  base::UniqueFd file;
  if (base::failpoint::Hit("fsdp.share memory", "rank " + std::to_string(ranks.rank)) == 0)
    file.reset(memfd_create("mixln-rank", MFD_CLOEXEC));
  if (file && ftruncate(file.get(), static_cast<off_t>(kBytes)) == 0) own.base = MapAll(file.get());
  if (own.base != nullptr) {
    uint64_t token = 0;
    if (getrandom(&token, sizeof token, 0) == sizeof token) {
      TokenOf(own.base) = token;
      new (own.base + kMeeting) Place;
      std::ostringstream words;
      words << getpid() << ' ' << file.get() << ' ' << token;
      description = words.str();
    }
  }
  const auto name = [](const char* what, int rank) { return std::string(what) + "/" + std::to_string(rank); };
  rendezvous.Publish(name("memory", ranks.rank), description);
  std::string problem;
  for (int rank = 0; rank < ranks.world_size; ++rank) {
    const std::string theirs = rendezvous.Get(name("memory", rank), ranks.timeout);
    if (rank != ranks.rank && problem.empty()) problem = memory->Map(rank, theirs);
  }
  rendezvous.Publish(name("memory mapped", ranks.rank), problem);
  // Until here the file has to stay open: the others find it by its number.
  for (int rank = 0; rank < ranks.world_size; ++rank) {
    if (!rendezvous.Get(name("memory mapped", rank), ranks.timeout).empty())
      problem = "some rank maps not all";
  }
  return problem.empty() ? std::move(memory) : nullptr;
}

std::string HostMemory::Map(int rank, const std::string& description) {
  int pid = 0;
  int number = -1;
  uint64_t token = 0;
  if (!(std::istringstream(description) >> pid >> number >> token)) return "it has none";
  Segment segment;
  // First, so that the token proves that the process is the rank, and not a later one of the same number.
  segment.process.reset(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!segment.process) return ErrorText("pidfd_open");
  const std::string path = "/proc/" + std::to_string(pid) + "/fd/" + std::to_string(number);
  const base::UniqueFd file(open(path.c_str(), O_RDWR | O_CLOEXEC));
  uint64_t found = 0;
  if (!file || pread(file.get(), &found, sizeof found, 0) != sizeof found) return ErrorText(path.c_str());
  if (found != token) return path + " is another file";
  segment.base = MapAll(file.get());
  if (segment.base == nullptr) return ErrorText("mmap");
  segments_.at(static_cast<size_t>(rank)) = std::move(segment);
  return "";
}

std::byte* HostMemory::Take(size_t bytes) {
  std::byte* memory = At(rank_, Advance(taken_, bytes, kCommon));
  JoinPages(memory, bytes);
  return memory;
}

std::byte* HostMemory::TakeCommon(size_t bytes) {
  std::byte* memory = At(0, Advance(common_taken_, bytes, kBytes));
  if (rank_ == 0) JoinPages(memory, bytes);
  return memory;
}

size_t HostMemory::OffsetOf(const void* memory) const {
  return static_cast<size_t>(static_cast<const std::byte*>(memory) - At(rank_, 0));
}

bool HostMemory::IsCommon(const void* memory) const {
  return memory >= At(0, kCommon) && memory < At(0, common_taken_);
}

Place& HostMemory::place(int rank) const {
  return *std::launder(reinterpret_cast<Place*>(At(rank, kMeeting)));
}

std::byte* HostMemory::stage(int rank, size_t part) const {
  return At(rank, kStages + part * kStageBytes);
}

bool HostMemory::HasEnded(int rank) const {
  pollfd look{segments_.at(static_cast<size_t>(rank)).process.get(), POLLIN, 0};
  return poll(&look, 1, 0) == 1;
}

}  // namespace mixln::worker::trainer::fsdp
