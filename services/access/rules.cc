#include "services/access/rules.h"

#include <algorithm>
#include <array>

namespace mixln::services::access {
namespace {

using certificate::Role;

// Reading is a viewer's, running sweeps an operator's, running the fleet an admin's.
constexpr std::array kRules = std::to_array<Rule>({
    {"/mixln.v1.SweepService/CreateSweep", Least::kOperator, true},
    {"/mixln.v1.SweepService/GetSweep", Least::kViewer, false},
    {"/mixln.v1.SweepService/ListSweeps", Least::kViewer, false},
    {"/mixln.v1.SweepService/CancelSweep", Least::kOperator, true},
    {"/mixln.v1.SweepService/PauseSweep", Least::kOperator, true},
    {"/mixln.v1.SweepService/ResumeSweep", Least::kOperator, true},
    {"/mixln.v1.SweepService/RetrySweep", Least::kOperator, true},
    {"/mixln.v1.SweepService/DeleteSweep", Least::kOperator, true},
    {"/mixln.v1.SweepService/GetResults", Least::kViewer, false},
    {"/mixln.v1.SweepService/WatchSweep", Least::kViewer, false},
    {"/mixln.v1.TrialService/GetTrial", Least::kViewer, false},
    {"/mixln.v1.TrialService/ListTrials", Least::kViewer, false},
    {"/mixln.v1.TrialService/CancelTrial", Least::kOperator, true},
    {"/mixln.v1.TrialService/PauseTrial", Least::kOperator, true},
    {"/mixln.v1.TrialService/ResumeTrial", Least::kOperator, true},
    {"/mixln.v1.TrialService/RetryTrial", Least::kOperator, true},
    {"/mixln.v1.TrialService/GetCurve", Least::kViewer, false},
    {"/mixln.v1.TrialService/ReadLog", Least::kViewer, false},
    {"/mixln.v1.WorkerAdminService/ListWorkers", Least::kViewer, false},
    {"/mixln.v1.WorkerAdminService/DrainWorker", Least::kAdmin, true},
    {"/mixln.v1.WorkerAdminService/GetVersion", Least::kViewer, false},
    {"/mixln.v1.WorkerSessionService/Connect", Least::kWorker, true},
    {"/grpc.health.v1.Health/Check", Least::kNobody, false},
    {"/grpc.health.v1.Health/Watch", Least::kNobody, false},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", Least::kViewer, false},
});

int Rank(Role role) {
  switch (role) {
    case Role::kViewer: return 1;
    case Role::kOperator: return 2;
    case Role::kAdmin: return 3;
    case Role::kWorker:
    case Role::kServer: return 0;
  }
  return 0;
}

}  // namespace

std::span<const Rule> Rules() {
  return kRules;
}

const Rule* FindRule(const std::string& method) {
  const auto found = std::ranges::find_if(kRules, [&](const Rule& rule) { return method == rule.method; });
  return found == kRules.end() ? nullptr : &*found;
}

bool May(Role role, Least least) {
  switch (least) {
    case Least::kNobody: return true;
    case Least::kViewer: return Rank(role) >= Rank(Role::kViewer);
    case Least::kOperator: return Rank(role) >= Rank(Role::kOperator);
    case Least::kAdmin: return Rank(role) >= Rank(Role::kAdmin);
    case Least::kWorker: return role == Role::kWorker;
  }
  return false;
}

std::string Who(Least least) {
  switch (least) {
    case Least::kNobody: return "anybody";
    case Least::kViewer: return "a viewer";
    case Least::kOperator: return "an operator";
    case Least::kAdmin: return "an admin";
    case Least::kWorker: return "a worker";
  }
  return "nobody";
}

}  // namespace mixln::services::access
