// What the fake trainer shall do wrong, and when.
//
// MIXLN_FAKE_TRAINER is a list of faults, separated by commas, each `<what>@<step>` with the step counted
// from 1; a fault strikes before that step is done (step 0: before the `started` event):
//   exit:<code>@<step>      exits with the code and says nothing
//   fail:<code>@<step>      appends a `failed` event, says "fake failure", and exits with the code
//   kill:<signal>@<step>    sends itself the signal
//   hang@<step>             goes on no more, and obeys neither commands nor SIGTERM
//   torn@<step>             appends half an event without a newline, and kills itself with SIGKILL
//   wait:<file>@<step>      waits until the file is there; commands are obeyed meanwhile
//   swell:<megabytes>@<step> takes so much memory and keeps it
//   ignore_stop@0           does not obey `stop` and SIGTERM
//   pace:<milliseconds>@0   takes so long for each step, and obeys commands meanwhile
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct Fault {
  std::string what;
  std::string argument;
  int64_t step = 0;
};

// Reads the list; an unreadable one ends the program with code 64.
std::vector<Fault> ParseFaults(const char* text);
