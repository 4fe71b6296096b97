// A trial's spec as settings: the fields of a sweep file by path, in words.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "mixln/v1/spec.pb.h"

namespace mixln::services::mixlnctl {

// ("train.lr", "0.001"), ("norm.placement", "mix"), ("data.source", "a.txt, b.txt"), … in the spec's order.
// All fields are there, so that two specs have the same paths.
using Settings = std::vector<std::pair<std::string, std::string>>;
Settings SettingsOf(const v1::TrialSpec& spec);

// The value at the path; empty when there is none.
std::string SettingAt(const Settings& settings, const std::string& path);

}  // namespace mixln::services::mixlnctl
