#include "coordinator/store/curve_database.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace mixln::coordinator::store {
namespace {

constexpr char kLayerGradientNorm[] = "layer_gradient_norm/";
constexpr char kLayerActivationVariance[] = "layer_activation_variance/";
constexpr char kLayerUpdateRatio[] = "layer_update_ratio/";

struct Key {
  int64_t trial;
  int64_t term;
  int64_t epoch;
  int64_t rank;
};

void BindKey(SQLite::Statement& statement, const Key& key) {
  statement.bind(1, key.trial);
  statement.bind(2, key.term);
  statement.bind(3, key.epoch);
  statement.bind(4, key.rank);
}

uint64_t ReadCursor(SQLite::Database& database, const Key& key) {
  SQLite::Statement query(
      database, "SELECT sequence FROM cursors WHERE trial = ? AND term = ? AND epoch = ? AND rank = ?");
  BindKey(query, key);
  return query.executeStep() ? static_cast<uint64_t>(query.getColumn(0).getInt64()) : 0;
}

Key MakeKey(int64_t trial, const v1::Fence& fence, int32_t rank) {
  return {trial, static_cast<int64_t>(fence.term()), static_cast<int64_t>(fence.epoch()), rank};
}

}  // namespace

bool IsMetric(const std::string& metric) {
  constexpr const char* kPlain[] = {"loss", "eval_loss",     "perplexity",       "bits_per_byte",
                                    "lr",   "gradient_norm", "tokens_per_second"};
  if (std::find(std::begin(kPlain), std::end(kPlain), metric) != std::end(kPlain)) return true;
  absl::string_view layer_text = metric;
  int layer = 0;
  return (absl::ConsumePrefix(&layer_text, kLayerGradientNorm) ||
          absl::ConsumePrefix(&layer_text, kLayerActivationVariance) ||
          absl::ConsumePrefix(&layer_text, kLayerUpdateRatio)) &&
         absl::SimpleAtoi(layer_text, &layer) && layer > 0;
}

int64_t CurveDatabase::Id(const std::string& table, std::map<std::string, int64_t>& ids,
                          const std::string& name) {
  if (const auto found = ids.find(name); found != ids.end()) return found->second;
  SQLite::Statement insert(database_, "INSERT OR IGNORE INTO " + table + " (name) VALUES (?)");
  insert.bind(1, name);
  insert.exec();
  SQLite::Statement query(database_, "SELECT id FROM " + table + " WHERE name = ?");
  query.bind(1, name);
  query.executeStep();
  return ids[name] = query.getColumn(0).getInt64();
}

void CurveDatabase::Put(int64_t trial, const std::string& metric, int64_t step, double value) {
  const int64_t metric_id = Id("metrics", metrics_, metric);
  if (!put_)
    put_.emplace(database_, "INSERT OR REPLACE INTO points (trial, metric, step, value) VALUES (?, ?, ?, ?)");
  put_->reset();
  put_->bind(1, trial);
  put_->bind(2, metric_id);
  put_->bind(3, step);
  if (std::isnan(value)) {
    put_->bind(4);
  } else {
    put_->bind(4, value);
  }
  put_->exec();
}

void CurveDatabase::Record(int64_t trial, const v1::RankEvent& event) {
  const int64_t step = event.step();
  switch (event.event_case()) {
    case v1::RankEvent::kStarted: {
      SQLite::Statement erase(database_, "DELETE FROM points WHERE trial = ? AND step > ?");
      erase.bind(1, trial);
      erase.bind(2, static_cast<int64_t>(event.started().resume_step()));
      erase.exec();
      break;
    }
    case v1::RankEvent::kStepDone: {
      const auto& done = event.step_done();
      Put(trial, "loss", step, done.loss());
      Put(trial, "lr", step, done.lr());
      Put(trial, "gradient_norm", step, done.gradient_norm());
      Put(trial, "tokens_per_second", step, done.tokens_per_second());
      for (int layer = 0; layer < done.layer_gradient_norms_size(); ++layer)
        Put(trial, absl::StrCat(kLayerGradientNorm, layer + 1), step, done.layer_gradient_norms(layer));
      for (int layer = 0; layer < done.layer_activation_variances_size(); ++layer)
        Put(trial, absl::StrCat(kLayerActivationVariance, layer + 1), step,
            done.layer_activation_variances(layer));
      for (int layer = 0; layer < done.layer_update_ratios_size(); ++layer)
        Put(trial, absl::StrCat(kLayerUpdateRatio, layer + 1), step, done.layer_update_ratios(layer));
      break;
    }
    case v1::RankEvent::kEvalDone:
      Put(trial, "eval_loss", step, event.eval_done().loss());
      Put(trial, "perplexity", step, event.eval_done().perplexity());
      Put(trial, "bits_per_byte", step, event.eval_done().bits_per_byte());
      break;
    case v1::RankEvent::kCheckpointDone:
    case v1::RankEvent::kFinished:
    case v1::RankEvent::kFailed:
    case v1::RankEvent::kCheckpointBad:
    case v1::RankEvent::EVENT_NOT_SET: break;
  }
}

uint64_t CurveDatabase::Apply(const v1::EventBatch& batch) {
  const int64_t trial = Id("trials", trials_, batch.trial_id());
  const Key key = MakeKey(trial, batch.fence(), batch.rank());
  const uint64_t before = ReadCursor(database_, key);
  uint64_t cursor = before;
  for (const auto& event : batch.events()) {
    if (event.sequence() <= cursor) continue;
    if (event.sequence() != cursor + 1) break;
    // Losses and norms are global: every rank knows the same ones, and rank 0's are kept.
    if (batch.rank() == 0) Record(trial, event);
    cursor = event.sequence();
  }
  if (cursor == before) return cursor;
  SQLite::Statement put(
      database_,
      "INSERT OR REPLACE INTO cursors (trial, term, epoch, rank, sequence) VALUES (?, ?, ?, ?, ?)");
  BindKey(put, key);
  put.bind(5, static_cast<int64_t>(cursor));
  put.exec();
  return cursor;
}

void CurveDatabase::Delete(const std::vector<std::string>& trial_ids) {
  for (const std::string& name : trial_ids) {
    for (const char* table : {"points", "cursors"}) {
      SQLite::Statement erase(
          database_,
          absl::StrCat("DELETE FROM ", table, " WHERE trial = (SELECT id FROM trials WHERE name = ?)"));
      erase.bind(1, name);
      erase.exec();
    }
    SQLite::Statement erase(database_, "DELETE FROM trials WHERE name = ?");
    erase.bind(1, name);
    erase.exec();
    trials_.erase(name);
  }
}

uint64_t CurveDatabase::Cursor(const std::string& trial_id, const v1::Fence& fence, int32_t rank) {
  SQLite::Statement query(database_, "SELECT id FROM trials WHERE name = ?");
  query.bind(1, trial_id);
  if (!query.executeStep()) return 0;
  return ReadCursor(database_, MakeKey(query.getColumn(0).getInt64(), fence, rank));
}

std::vector<std::string> CurveDatabase::TrialIds() {
  std::vector<std::string> ids;
  SQLite::Statement query(database_, "SELECT name FROM trials ORDER BY name");
  while (query.executeStep()) ids.push_back(query.getColumn(0).getString());
  return ids;
}

v1::Curve CurveDatabase::Read(const std::string& trial_id, const std::string& metric, int32_t max_points) {
  v1::Curve all;
  SQLite::Statement query(
      database_,
      "SELECT step, value FROM points WHERE trial = (SELECT id FROM trials WHERE name = ?) "
      "AND metric = (SELECT id FROM metrics WHERE name = ?) ORDER BY step");
  query.bind(1, trial_id);
  query.bind(2, metric);
  while (query.executeStep()) {
    const auto value = query.getColumn(1);
    all.add_steps(query.getColumn(0).getInt64());
    all.add_values(value.isNull() ? std::numeric_limits<double>::quiet_NaN() : value.getDouble());
  }
  const int64_t points = all.steps_size();
  if (max_points <= 0 || points <= max_points) return all;
  v1::Curve thinned;
  for (int64_t i = 0; i < max_points; ++i) {
    // A single point is the last one, else the first and the last are among them.
    const int64_t at = max_points == 1 ? points - 1 : i * (points - 1) / (max_points - 1);
    thinned.add_steps(all.steps(static_cast<int>(at)));
    thinned.add_values(all.values(static_cast<int>(at)));
  }
  return thinned;
}

void CurveDatabase::Forget() {
  put_.reset();  // it may have failed, and would say so again
  trials_.clear();
  metrics_.clear();
}

}  // namespace mixln::coordinator::store
