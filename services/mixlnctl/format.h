// Numbers as people read them in tables and messages. Data for programs (json, yaml) is never rounded by
// these.
#pragma once

#include <cstdint>
#include <string>

namespace mixln::services::mixlnctl {

// The two largest units: "0s", "42s", "3m12s", "1h05m", "2d03h". Negative or not finite: "-".
std::string FormatDuration(double seconds);

// Three significant digits in thousands: "950", "1.23K", "12.3M", "1.34B".
std::string FormatCount(double count);

// Three significant digits in powers of 1024: "512 B", "1.50 KiB", "12.0 MiB".
std::string FormatBytes(int64_t bytes);

// Two decimals, one from 1000 on, three digits from 100000 on: "33.12", "1409.1", "2.35e+07". Zero, the API's
// "none yet": "-"; NaN: "nan".
std::string FormatPerplexity(double perplexity);

// Three decimals: a loss in nats or bits a byte. Zero, the API's "none yet": "-".
std::string FormatLoss(double loss);

// Mean and spread: "33.12 ± 0.14"; only the mean when there is no spread (0). `plus_minus` is "±" or "+-".
std::string FormatSpread(double mean, double stddev, const std::string& plus_minus);

// "1 trial", "2 trials".
std::string Plural(int64_t count, const std::string& word);

}  // namespace mixln::services::mixlnctl
