// Sweeps, trials and workers in the words of tables: pure functions of the API's messages.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "mixln/v1/sweep.pb.h"
#include "mixln/v1/trial.pb.h"
#include "mixln/v1/worker.pb.h"
#include "services/mixlnctl/style.h"

namespace mixln::services::mixlnctl {

// "RUNNING", "TRAINER_CRASH", "READY": enum values without their prefix.
std::string StateName(v1::TrialState state);
std::string CauseName(v1::FailureCause cause);
std::string WorkerStateName(v1::WorkerState state);

// The first 12 characters of a worker's id, enough to tell workers apart.
std::string ShortWorkerId(const std::string& id);

// A trial's or worker's state in the colour of its kind: green runs or succeeded, red failed, yellow waits or
// ended early.
std::string PaintState(const std::string& state, const Style& style);

// "norm.alpha=0.25 train.seed=1", or with `last_words` "alpha=0.25 seed=1".
std::string ParameterText(const google::protobuf::RepeatedPtrField<v1::CellParameter>& parameters,
                          bool last_words = false);

// What a sweep varies of a field: "0, 0.5, 1", or "uniform from 0 to 1".
std::string ValuesText(const v1::Parameter& parameter);
// How its cells are chosen: "random, 20 draws with seed 7"; of asha also who goes on where.
std::string SearchText(const v1::SearchSpec& search);

int TotalTrials(const v1::TrialCounts& counts);
int UnfinishedTrials(const v1::TrialCounts& counts);
// "2 running, 6 pending, 1 failed": only what is not zero, the live ones first.
std::string CountsText(const v1::TrialCounts& counts);
// The exit code of waiting for these: unfinished, failed, cancelled, ok, in this order. DIVERGED and PRUNED
// are results; a trial that was tried again counts for nothing.
int ExitCodeOf(const v1::TrialCounts& counts);
int ExitCodeOf(v1::TrialState state);
bool IsTerminal(v1::TrialState state);

// Tokens that a trial trains on at most: steps * sequences * context.
int64_t TrainTokens(const v1::TrialSpec& spec);

// Seconds since 1970; 0 when unset.
double SecondsOf(const google::protobuf::Timestamp& time);
// "2026-01-31 12:00:05 UTC"; "-" when unset.
std::string TimeText(const google::protobuf::Timestamp& time);
// "3m12s" since then; "-" when unset.
std::string AgeText(const google::protobuf::Timestamp& time, double now_seconds);

}  // namespace mixln::services::mixlnctl
