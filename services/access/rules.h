// Who may call what: the one place that says it.
#pragma once

#include <span>
#include <string>

#include "services/certificate/identity.h"

namespace mixln::services::access {

enum class Least {
  kNobody,  // everybody who can connect: says nothing about anything
  kViewer,
  kOperator,
  kAdmin,
  kWorker,  // a worker, and nobody else
};

struct Rule {
  const char* method;  // as gRPC names it: "/mixln.v1.SweepService/GetSweep"
  Least least;
  bool changes;  // what it does is recorded in the audit log
};

std::span<const Rule> Rules();

// Null for a method that does not exist: nobody may call it.
const Rule* FindRule(const std::string& method);

// Viewer, operator and admin each may what the one before may.
bool May(certificate::Role role, Least least);

// "a viewer", "an operator", ...: who may, for errors.
std::string Who(Least least);

}  // namespace mixln::services::access
