// The rows of `metrics.db`: curves as (trial, metric, step) -> value, and how far each rank's events have
// come.
//
// An attempt that starts at step s supersedes all older points after s. Points and cursors change in one
// transaction, so an event is neither lost nor counted twice. Used by one thread; throws SQLite::Exception.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "mixln/v1/session.pb.h"
#include "mixln/v1/trial.pb.h"

namespace mixln::coordinator::store {

class CurveDatabase {
 public:
  explicit CurveDatabase(SQLite::Database& database) : database_(database) {}

  // Applies the events that are new; the caller has a transaction open. Returns the rank's cursor: the
  // sequence number of its last event here. Events at or below the cursor are skipped; after a gap nothing
  // more is taken.
  uint64_t Apply(const v1::EventBatch& batch);

  // Forgets these trials' curves and cursors; the caller has a transaction open.
  void Delete(const std::vector<std::string>& trial_ids);

  // Sequence number of the last stored event of this rank of this attempt; 0: none.
  uint64_t Cursor(const std::string& trial_id, const v1::Fence& fence, int32_t rank);

  // The trials that have curves or cursors.
  std::vector<std::string> TrialIds();

  // One metric of a trial by step, thinned evenly to `max_points` with both ends kept; 0: all. Empty when
  // there is none.
  v1::Curve Read(const std::string& trial_id, const std::string& metric, int32_t max_points);

  // To be called after a rollback: ids that were made in it are no more.
  void Forget();

 private:
  // The id of a name in table `trials` or `metrics`, made if there is none.
  int64_t Id(const std::string& table, std::map<std::string, int64_t>& ids, const std::string& name);
  void Record(int64_t trial, const v1::RankEvent& event);
  void Put(int64_t trial, const std::string& metric, int64_t step, double value);

  SQLite::Database& database_;
  std::optional<SQLite::Statement> put_;  // prepared once: it is most of what a writer does
  std::map<std::string, int64_t> trials_;
  std::map<std::string, int64_t> metrics_;
};

// Whether `metric` is one that curves are kept of: loss, eval_loss, perplexity, bits_per_byte, lr,
// gradient_norm, tokens_per_second, or layer_gradient_norm/<layer>, layer_activation_variance/<layer> or
// layer_update_ratio/<layer>, from 1.
bool IsMetric(const std::string& metric);

}  // namespace mixln::coordinator::store
