// SPDX-License-Identifier: Apache-2.0
#pragma once

// What a simulation measures: times in milliseconds, counted and kept whole, so that whoever reads
// the summary can make any figure of them.

#include <chrono>
#include <map>
#include <string>
#include <vector>

namespace cvlan::sim {

using Instant = std::chrono::steady_clock::time_point;
inline Instant instant() { return std::chrono::steady_clock::now(); }
inline double ms_between(Instant from, Instant to) {
    return std::chrono::duration<double, std::milli>(to - from).count();
}

class Samples {
public:
    // What began at `start` and ends now.
    void add(Instant start);
    size_t count() const { return ms_.size(); }
    // Between the first start and the last end.
    double per_second() const;
    double quantile(double q) const;  // 0 where there are none
    // {"n":…,"per_s":…,"median_ms":…,"p10_ms":…,"p90_ms":…,"p99_ms":…,"max_ms":…}
    std::string summary() const;
    // A JSON array of [when it ended, in seconds since the simulation's start; how long it took].
    std::string raw() const;

private:
    Instant born_ = instant();
    std::vector<float> ms_, ended_s_;
    Instant first_{};
    Instant last_{};
};

struct Measures {
    Samples knock;    // a TLS connection without a certificate of ours and the smallest answer
    Samples enrol;    // a TLS connection and the enrolment on it
    Samples connect;  // a TLS connection with our certificate and the first answer on it
    Samples poll;     // a plain poll on a connection that was open
    Samples report;   // endpoints told
    Samples delta;    // from sending such a report to its endpoint in another node's answer
    Samples renew;
    Samples back;      // from the loss of a session until it stood again
    Samples all_back;  // from the first such loss until all stood again
    uint64_t full_maps = 0;
    uint64_t deltas = 0;
    uint64_t unchanged = 0;
    uint64_t map_bytes = 0;
    uint64_t polls_late = 0;                   // wanted while the one before was under way
    std::map<std::string, uint64_t> failures;  // by what was said

    void failed(const std::string& why);
};

}  // namespace cvlan::sim
