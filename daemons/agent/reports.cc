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
constexpr std::chrono::minutes kTrafficPause{5};
constexpr int64_t kTrafficStep = 1 << 20;  // an idle network's handshakes and keepalives are less
constexpr int64_t kTripMs = 5;             // less is no difference

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

bool has_same_traffic(const HealthReport& a, const HealthReport& b) {
    return std::equal(a.traffic.begin(), a.traffic.end(), b.traffic.begin(), b.traffic.end(),
                      [](const auto& one, const auto& other) {
                          return one.network_id == other.network_id &&
                                 one.counted_since == other.counted_since &&
                                 other.received_bytes - one.received_bytes < kTrafficStep &&
                                 other.sent_bytes - one.sent_bytes < kTrafficStep;
                      });
}

}  // namespace

void Reports::set_health(HealthReport report) {
    if (!takes_traffic_) report.traffic.clear();
    const BootTime now = clock_.since_boot();
    const bool is_first = health_.wanted.empty();
    if (is_first && report.peers.empty()) return;
    const auto past = now - health_at_;
    if (!is_first && has_same_paths(health_wanted_, report) &&
        (past < kTripsPause || has_same_trips(health_wanted_, report)) &&
        (past < kTrafficPause || has_same_traffic(health_wanted_, report)))
        return;
    health_at_ = now;
    health_.wanted = encode(report);
    health_wanted_ = std::move(report);
}

void Reports::refused(const Report& report) {
    if (&report != &health_ || health_wanted_.traffic.empty()) return;
    takes_traffic_ = false;
    health_wanted_.traffic.clear();
    health_.wanted = encode(health_wanted_);
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
    session.call(std::move(call),
                 [this, &report, sent = report.wanted](const Answer<http::Response>& answer) {
                     report.is_under_way = false;
                     if (answer) {
                         report.taken = sent;
                         return;
                     }
                     log::debug("agent.report_failed", {{"target", report.target},
                                                        {"error", answer.error().error.message}});
                     if (answer.error().status == 400) refused(report);
                 });
}

}  // namespace cvlan::agent
