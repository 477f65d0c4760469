// SPDX-License-Identifier: Apache-2.0
#include "daemons/sim/samples.h"

#include <fmt/format.h>

#include <algorithm>

namespace cvlan::sim {

namespace {
constexpr size_t kKindsOfFailure = 50;
}

void Samples::add(Instant start) {
    const Instant end = instant();
    first_ = ms_.empty() ? start : std::min(first_, start);
    last_ = end;
    ms_.push_back(static_cast<float>(ms_between(start, end)));
    ended_s_.push_back(static_cast<float>(ms_between(born_, end) / 1000));
}

double Samples::per_second() const {
    const double ms = ms_between(first_, last_);
    return ms > 0 ? static_cast<double>(ms_.size()) * 1000 / ms : 0;
}

double Samples::quantile(double q) const {
    if (ms_.empty()) return 0;
    std::vector<float> sorted = ms_;
    const auto at = static_cast<size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5);
    const auto nth = sorted.begin() + static_cast<std::ptrdiff_t>(at);
    std::nth_element(sorted.begin(), nth, sorted.end());
    return static_cast<double>(*nth);
}

std::string Samples::summary() const {
    return fmt::format(
        R"({{"n":{},"per_s":{:.1f},"median_ms":{:.3f},"p10_ms":{:.3f},"p90_ms":{:.3f},"p99_ms":{:.3f},"max_ms":{:.3f}}})",
        count(), per_second(), quantile(0.5), quantile(0.1), quantile(0.9), quantile(0.99),
        quantile(1));
}

std::string Samples::raw() const {
    std::string text = "[";
    for (size_t i = 0; i < ms_.size(); ++i)
        text += fmt::format("{}[{:.3f},{:.3f}]", i > 0 ? "," : "", ended_s_[i], ms_[i]);
    return text + "]";
}

void Measures::failed(const std::string& why) {
    const bool is_known = failures.contains(why) || failures.size() < kKindsOfFailure;
    ++failures[is_known ? why : "others"];
}

}  // namespace cvlan::sim
