// Memory that the ranks of one host share.
//
// Each rank makes a segment: a file in memory that has no name, as large as any model could need; its pages
// exist once they are written. The others open it by way of /proc/<pid>/fd and map all of it. So nothing is
// left behind however a rank ends, and a container's small /dev/shm is no limit.
//
//   0              a token that tells it from any other file
//   kMeeting       the rank's words (meeting.h)
//   kStages        what it gives to a sum: Meeting::kKept parts of kStageBytes
//   kOwn           what it takes, up to
//   kCommon        what all have in common: in rank 0's segment only
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/file/unique_fd.h"
#include "worker/trainer/fsdp/meeting.h"
#include "worker/trainer/fsdp/rendezvous.h"

namespace mixln::worker::trainer::fsdp {

class HostMemory {
 public:
  static constexpr size_t kStageBytes = size_t{256} << 10;

  // Tries to map every other rank's segment. All ranks get one, or none does: where they are on several
  // hosts, or kept apart as by containers. Throws error::PeerLostError.
  static std::unique_ptr<HostMemory> Share(Rendezvous& rendezvous);
  ~HostMemory();
  HostMemory(const HostMemory&) = delete;
  HostMemory& operator=(const HostMemory&) = delete;

  // Zeros, on pages of its own, for the life of this object; the second ones lie at the same place of rank
  // 0's segment for all ranks that ask in the same order.
  std::byte* Take(size_t bytes);
  std::byte* TakeCommon(size_t bytes);

  // Where memory that was taken lies in this rank's segment, and such a place in another rank's.
  size_t OffsetOf(const void* memory) const;
  std::byte* At(int rank, size_t offset) const {
    return segments_.at(static_cast<size_t>(rank)).base + offset;
  }
  bool IsCommon(const void* memory) const;

  Place& place(int rank) const;
  std::byte* stage(int rank, size_t part) const;

  // Whether the rank's process is gone.
  bool HasEnded(int rank) const;

 private:
  struct Segment {
    std::byte* base = nullptr;
    base::UniqueFd process;  // a pidfd
  };
  HostMemory(int rank, int world_size);
  // "" or why not.
  std::string Map(int rank, const std::string& description);

  int rank_;
  std::vector<Segment> segments_;
  size_t taken_;
  size_t common_taken_;
};

}  // namespace mixln::worker::trainer::fsdp
