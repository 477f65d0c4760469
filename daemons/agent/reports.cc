// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/reports.h"

#include <algorithm>
#include <cstdlib>
#include <tuple>

#include "base/log.h"

namespace cvlan::agent {

namespace {

// The controller takes a health report every five seconds.
constexpr std::chrono::milliseconds kPause{5'100};
constexpr std::chrono::seconds kTripsPause{30};
constexpr int64_t kTripMs = 5;  // less is no difference

using model::wire::HealthReport;
using model::wire::PeerHealth;

bool has_same_paths(const HealthReport& a, const HealthReport& b) {
    return std::equal(a.peers.begin(), a.peers.end(), b.peers.begin(), b.peers.end(),
                      [](const PeerHealth& one, const PeerHealth& other) {
                          return std::tie(one.network_id, one.node_id, one.path, one.endpoint,
                                          one.relay_id) == std::tie(other.network_id, other.node_id,
                                                                    other.path, other.endpoint,
                                                                    other.relay_id);
                      });
}

bool has_same_trips(const HealthReport& a, const HealthReport& b) {
    return std::equal(a.peers.begin(), a.peers.end(), b.peers.begin(), b.peers.end(),
                      [](const PeerHealth& one, const PeerHealth& other) {
                          if (!one.rtt_ms || !other.rtt_ms)
                              return one.rtt_ms.has_value() == other.rtt_ms.has_value();
                          const int64_t apart = std::abs(*one.rtt_ms - *other.rtt_ms);
                          return apart <= std::max(kTripMs, *one.rtt_ms / 2);
                      });
}

}  // namespace

void Reports::set_health(const HealthReport& report) {
    const BootTime now = clock_.since_boot();
    const bool is_first = health_.wanted.empty();
    if (is_first && report.peers.empty()) return;
    if (!is_first && has_same_paths(health_wanted_, report) &&
        (now - health_at_ < kTripsPause || has_same_trips(health_wanted_, report)))
        return;
    health_at_ = now;
    health_wanted_ = report;
    health_.wanted = encode(report);
}

void Reports::push(Session& session) {
    push(session, endpoints_);
    push(session, inventory_);
    push(session, health_);
}

void Reports::push(Session& session, Report& report) {
    const BootTime now = clock_.since_boot();
    if (report.is_under_way || report.wanted.empty() || report.wanted == report.taken ||
        now < report.not_before)
        return;
    report.is_under_way = true;
    report.not_before = now + kPause;
    Controller::Call call{"PUT", report.target, report.wanted};
    session.call(
        std::move(call), [&report, sent = report.wanted](const Answer<http::Response>& answer) {
            report.is_under_way = false;
            if (answer)
                report.taken = sent;
            else
                log::debug("agent.report_failed",
                           {{"target", report.target}, {"error", answer.error().error.message}});
        });
}

}  // namespace cvlan::agent
