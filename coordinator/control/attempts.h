// The life of an attempt. Internal to control.
//
//   assigned ──Reserve──► every worker PREPARING … RESERVED ──Start──► every worker RUNNING (confirmed) ──►
//   every part ended
//
// The ranks of an attempt on one worker are a part of it. A part ends when its worker says so, or is lost.
// The first part that fails gives the attempt its cause and has all others stopped; the attempt ends, and its
// trial is concluded (see conclude.h), when the last part has ended: so the trial is placed again only when
// its slots are free everywhere. Everything that a restart must not forget is in the attempt's row: cause,
// started, rendezvous, confirmed, ended_workers.
#pragma once

#include <string>
#include <vector>

#include "coordinator/control/context.h"
#include "coordinator/control/event.h"

namespace mixln::coordinator::control {

// Gives a PENDING trial a new attempt with the next epoch and asks its workers to reserve.
void AssignAttempt(Context& context, v1::Trial& trial, const std::vector<v1::RankPlacement>& ranks);

// Asks a worker to reserve its part, or to do so again: the same fence twice is one reservation.
void SendReserve(Context& context, const v1::Trial& trial, const v1::Attempt& attempt,
                 const std::string& worker_id);

// The worker said where its part is; sends Start and sets RUNNING when all parts are ready for it. Phases
// only go forward, except through RestartPart.
void ObservePhase(Context& context, const LivePart& part, const std::string& worker_id,
                  v1::AttemptPhase phase);

// The worker knows nothing of a part that was assigned and not confirmed: it is to begin again.
void RestartPart(Context& context, const LivePart& part, const std::string& worker_id);

// The part on the worker has ended; `cause` UNSPECIFIED: as it should. Stops the other parts when it failed.
void EndPart(Context& context, v1::Trial& trial, const std::string& worker_id, v1::FailureCause cause,
             const std::string& message);

// The attempt failed as a whole: notes the cause and stops all its parts.
void FailAttempt(Context& context, v1::Trial& trial, v1::FailureCause cause, const std::string& message,
                 v1::StopMode mode);

// STOPPING: tells all workers whose part has not ended to end it.
void StopAttempt(Context& context, v1::Trial& trial, v1::StopMode mode, const std::string& reason);

// A worker's report. One about another fence than the live one's changes nothing; unless it says ENDED, it is
// answered with Stop.
void OnReport(Context& context, const AttemptReported& event);

}  // namespace mixln::coordinator::control
