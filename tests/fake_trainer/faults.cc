#include "faults.h"

#include <cstdio>
#include <cstdlib>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

std::vector<Fault> ParseFaults(const char* text) {
  std::vector<Fault> faults;
  if (text == nullptr || *text == '\0') return faults;
  const std::set<std::string> known{"exit", "fail",  "kill",        "hang", "torn",
                                    "wait", "swell", "ignore_stop", "pace"};
  const std::vector<std::string> items = absl::StrSplit(text, ',');
  for (const std::string& item : items) {
    Fault fault;
    const size_t at = item.rfind('@');
    const std::string head = item.substr(0, at);
    const size_t colon = head.find(':');
    fault.what = head.substr(0, colon);
    if (colon != std::string::npos) fault.argument = head.substr(colon + 1);
    if (at == std::string::npos || !known.contains(fault.what) ||
        !absl::SimpleAtoi(item.substr(at + 1), &fault.step)) {
      fprintf(stderr, "MIXLN_FAKE_TRAINER: cannot read \"%s\"\n", item.c_str());
      std::exit(64);
    }
    faults.push_back(fault);
  }
  return faults;
}
