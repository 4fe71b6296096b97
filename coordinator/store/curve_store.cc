#include "coordinator/store/curve_store.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/failpoint/failpoint.h"
#include "coordinator/store/sqlite.h"

namespace mixln::coordinator::store {
namespace {

// A worker waits for this batch before it reports the end of an attempt.
bool EndsAttempt(const v1::EventBatch& batch) {
  return std::any_of(batch.events().begin(), batch.events().end(), [](const auto& event) {
    return event.event_case() == v1::RankEvent::kFinished || event.event_case() == v1::RankEvent::kFailed;
  });
}

// Marks the database as the cluster's, unless it is another's.
absl::Status ClaimFor(const std::string& cluster_id, SQLite::Database& database,
                      const std::filesystem::path& path) {
  try {
    SQLite::Statement query(database, "SELECT id FROM cluster");
    if (!query.executeStep()) {
      SQLite::Statement insert(database, "INSERT INTO cluster (id) VALUES (?)");
      insert.bind(1, cluster_id);
      insert.exec();
      return absl::OkStatus();
    }
    const std::string owner = query.getColumn(0).getString();
    if (owner == cluster_id) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        path.string(), " has the curves of cluster ", owner, ", but state.db beside it is of cluster ",
        cluster_id, ": put the two files of one cluster together, or name another --state-dir"));
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<CurveStore>> CurveStore::Open(const std::filesystem::path& path,
                                                             const std::string& cluster_id, Options options) {
  auto writing = OpenDatabase(path, CurveMigrations());
  if (!writing.ok()) return writing.status();
  if (auto owned = ClaimFor(cluster_id, **writing, path); !owned.ok()) return owned;
  auto reading = OpenForReading(path);
  if (!reading.ok()) return reading.status();
  return std::unique_ptr<CurveStore>(
      new CurveStore(path, std::move(options), std::move(*writing), std::move(*reading)));
}

CurveStore::CurveStore(std::filesystem::path path, Options options, std::unique_ptr<SQLite::Database> writing,
                       std::unique_ptr<SQLite::Database> reading)
    : path_(std::move(path)),
      options_(std::move(options)),
      writing_(std::move(writing)),
      writer_(*writing_),
      reading_(std::move(reading)),
      reader_(*reading_),
      thread_([this] { Run(); }) {}

CurveStore::~CurveStore() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

absl::Status CurveStore::Append(v1::EventBatch batch, std::function<void(uint64_t)> stored) {
  const size_t bytes = batch.ByteSizeLong();
  const bool ends_attempt = EndsAttempt(batch);
  {
    const std::lock_guard lock(mutex_);
    if (queued_bytes_ + bytes > options_.queue_bytes)
      return absl::ResourceExhaustedError(
          absl::StrCat("curves cannot be recorded at present (", std::string(last_.message()), ")"));
    queue_.push_back({.batch = std::move(batch), .stored = std::move(stored)});
    queued_bytes_ += bytes;
    ++queued_;
    urgent_ |= ends_attempt || queued_bytes_ >= options_.commit_bytes;
  }
  wake_.notify_all();
  return absl::OkStatus();
}

void CurveStore::Hurry() {
  {
    const std::lock_guard lock(mutex_);
    urgent_ = urgent_ || !queue_.empty();
  }
  wake_.notify_all();
}

void CurveStore::Delete(std::vector<std::string> trial_ids) {
  if (trial_ids.empty()) return;
  const std::lock_guard lock(mutex_);
  queue_.push_back({.deleted = std::move(trial_ids)});
  ++queued_;
  wake_.notify_all();
}

absl::Status CurveStore::Flush() {
  std::unique_lock lock(mutex_);
  const uint64_t wanted = queued_;
  const uint64_t round = rounds_;
  urgent_ = true;
  wake_.notify_all();
  committed_.wait(
      lock, [&] { return done_ >= wanted || (rounds_ > round && !last_.ok()) || absl::IsDataLoss(last_); });
  return done_ >= wanted ? absl::OkStatus() : last_;
}

absl::StatusOr<uint64_t> CurveStore::Cursor(const std::string& trial_id, const v1::Fence& fence,
                                            int32_t rank) {
  const std::lock_guard lock(reading_mutex_);
  try {
    return reader_.Cursor(trial_id, fence, rank);
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path_);
  }
}

absl::StatusOr<std::vector<std::string>> CurveStore::TrialIds() {
  const std::lock_guard lock(reading_mutex_);
  try {
    return reader_.TrialIds();
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path_);
  }
}

absl::StatusOr<v1::Curve> CurveStore::Read(const std::string& trial_id, const std::string& metric,
                                           int32_t max_points) {
  const std::lock_guard lock(reading_mutex_);
  try {
    return reader_.Read(trial_id, metric, max_points);
  } catch (const SQLite::Exception& error) {
    return ToStatus(error, path_);
  }
}

absl::Status CurveStore::Commit(std::deque<Work>& work) {
  try {
    SQLite::Transaction transaction(*writing_);
    for (auto& piece : work) {
      if (piece.deleted.empty()) {
        piece.cursor = writer_.Apply(piece.batch);
      } else {
        writer_.Delete(piece.deleted);
      }
    }
    HitFailpoint("coordinator.curves commit", "");
    transaction.commit();
    base::failpoint::Hit("coordinator.curves committed");
    return absl::OkStatus();
  } catch (const SQLite::Exception& error) {
    writer_.Forget();
    return ToStatus(error, path_);
  }
}

void CurveStore::Run() {
  const auto pause = std::chrono::duration<double>(options_.commit_seconds);
  std::unique_lock lock(mutex_);
  bool failed = false;
  for (;;) {
    if (!failed) wake_.wait(lock, [this] { return stopping_ || urgent_ || !queue_.empty(); });
    // Gathers what comes until the next commit is due; after a failure, waits that long before the next try.
    wake_.wait_for(lock, pause, [&] { return stopping_ || (urgent_ && !failed); });
    urgent_ = false;
    std::deque<Work> work = std::exchange(queue_, {});
    const size_t bytes = std::exchange(queued_bytes_, 0);
    const bool last_round = stopping_;
    lock.unlock();

    const auto begin = std::chrono::steady_clock::now();
    const absl::Status status = work.empty() ? absl::OkStatus() : Commit(work);
    if (status.ok() && !work.empty()) {
      options_.on_commit(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
      for (const auto& piece : work) {
        if (piece.stored) piece.stored(piece.cursor);
      }
    }
    if (absl::IsDataLoss(status)) options_.on_fatal(status);
    if (failed == status.ok()) options_.on_trouble(status);

    lock.lock();
    failed = !status.ok();
    if (failed) {
      queue_.insert(queue_.begin(), std::make_move_iterator(work.begin()),
                    std::make_move_iterator(work.end()));
      queued_bytes_ += bytes;
    } else {
      done_ += work.size();
    }
    last_ = status;
    ++rounds_;
    committed_.notify_all();
    if (absl::IsDataLoss(status) || (last_round && (failed || queue_.empty()))) return;
  }
}

}  // namespace mixln::coordinator::store
