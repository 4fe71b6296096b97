// Curves and rank cursors on disk, `metrics.db`, written by a thread of their own with about one commit a
// second: training makes many small points, and none of them has to wait for a commit of the state.
//
// What a commit cannot take (disk full) stays queued and is tried again; nothing is reported as stored that
// is not.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/store/curve_database.h"

namespace mixln::coordinator::store {

class CurveStore {
 public:
  struct Options {
    // Longest time that a point waits for its commit. A `finished` or `failed` event, which a worker waits
    // for, or `commit_bytes` of points make one at once.
    double commit_seconds = 1.0;
    size_t commit_bytes = 4 << 20;
    // Points that may wait while commits fail; more are refused.
    size_t queue_bytes = 256 << 20;
    // Called on the writer's thread after each commit with its time in seconds.
    std::function<void(double seconds)> on_commit = [](double) {};
    // Called on the writer's thread when a commit fails after one that did not, and with OK when one works
    // again.
    std::function<void(const absl::Status&)> on_trouble = [](const absl::Status&) {};
    // Called on the writer's thread when the disk fails (DATA_LOSS); nothing is written after it.
    std::function<void(const absl::Status&)> on_fatal = [](const absl::Status&) {};
  };

  // Opens or makes the database. FAILED_PRECONDITION: it is another cluster's.
  static absl::StatusOr<std::unique_ptr<CurveStore>> Open(const std::filesystem::path& path,
                                                          const std::string& cluster_id, Options options);
  // Commits what is queued, then ends the thread.
  ~CurveStore();
  CurveStore(const CurveStore&) = delete;
  CurveStore& operator=(const CurveStore&) = delete;

  // Queues a batch that the core has accepted. Once it is on disk, `stored(cursor)` is called on the writer's
  // thread. RESOURCE_EXHAUSTED: too much is queued already; nothing is taken.
  absl::Status Append(v1::EventBatch batch, std::function<void(uint64_t cursor)> stored);

  // Commits what is queued now without waiting for more.
  void Hurry();

  // Queues the end of these trials' curves, in order with what is appended.
  void Delete(std::vector<std::string> trial_ids);

  // Waits until all that is queued now is on disk. RESOURCE_EXHAUSTED and others: it is not.
  absl::Status Flush();

  // As CurveDatabase; they see what is committed, and may be called by any thread.
  absl::StatusOr<uint64_t> Cursor(const std::string& trial_id, const v1::Fence& fence, int32_t rank);
  absl::StatusOr<std::vector<std::string>> TrialIds();
  absl::StatusOr<v1::Curve> Read(const std::string& trial_id, const std::string& metric, int32_t max_points);

 private:
  // A batch to append, or trials to delete.
  struct Work {
    v1::EventBatch batch = {};
    std::function<void(uint64_t)> stored = {};
    std::vector<std::string> deleted = {};
    uint64_t cursor = 0;
  };

  CurveStore(std::filesystem::path path, Options options, std::unique_ptr<SQLite::Database> writing,
             std::unique_ptr<SQLite::Database> reading);
  void Run();
  absl::Status Commit(std::deque<Work>& work);

  const std::filesystem::path path_;
  const Options options_;
  std::unique_ptr<SQLite::Database> writing_;  // the writer thread's
  CurveDatabase writer_;
  std::mutex reading_mutex_;
  std::unique_ptr<SQLite::Database> reading_;
  CurveDatabase reader_;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable committed_;
  std::deque<Work> queue_;
  size_t queued_bytes_ = 0;
  uint64_t queued_ = 0;  // pieces of work ever queued
  uint64_t done_ = 0;    // of them on disk
  uint64_t rounds_ = 0;  // commits tried
  absl::Status last_;    // of the last commit tried
  bool urgent_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace mixln::coordinator::store
