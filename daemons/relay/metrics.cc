// SPDX-License-Identifier: Apache-2.0
// What a relay counts, as Prometheus reads it.
#include "base/metrics.h"

#include <algorithm>

#include "daemons/relay/relay.h"

namespace cvlan::relayd {

namespace {

void write_tls(metrics::Text& text, const relay::ServerStats& tls) {
    text.gauge({"cvlan_relay_sessions", "TLS sessions of nodes."},
               static_cast<double>(tls.sessions));
    text.gauge({"cvlan_relay_keys", "WireGuard keys that sessions hold grants for."},
               static_cast<double>(tls.keys));
    text.counter({"cvlan_relay_sessions_total", "Sessions that began."}, tls.sessions_begun);
    text.counter({"cvlan_relay_sessions_refused_total", "Sessions that were not taken."},
                 tls.sessions_refused);
    text.counter({"cvlan_relay_grants_refused_total", "Grants that were not believed."},
                 tls.grants_refused);
    text.counter({"cvlan_relay_tls_packets_total", "Packets forwarded between sessions."},
                 tls.packets);
    text.counter({"cvlan_relay_tls_bytes_total", "Bytes of these packets."}, tls.bytes);
    text.begin({"cvlan_relay_tls_dropped_total", "Packets not forwarded, by why."}, "counter");
    const std::pair<const char*, uint64_t> dropped[] = {{"queue", tls.dropped_queue},
                                                        {"memory", tls.dropped_memory},
                                                        {"limit", tls.dropped_limit},
                                                        {"not_here", tls.dropped_not_here},
                                                        {"no_grant", tls.dropped_no_grant}};
    for (const auto& [why, count] : dropped) {
        const metrics::Label label{"why", why};
        text.sample({&label, 1}, static_cast<double>(count));
    }
}

void write_pairs(metrics::Text& text, const relay::PairStats& pairs) {
    text.gauge({"cvlan_relay_pairs", "Pairs of nodes that asked for UDP relaying."},
               static_cast<double>(pairs.pairs));
    text.gauge({"cvlan_relay_pairs_adopted",
                "Pairs that the kernel forwards since before, and that no node has asked for."},
               static_cast<double>(pairs.adopted));
    text.gauge({"cvlan_relay_pairs_forwarded", "Pairs that the kernel forwards, by family."},
               static_cast<double>(pairs.forwarded));
    text.counter({"cvlan_relay_binds_total", "Bind requests that counted."}, pairs.binds);
    text.counter({"cvlan_relay_binds_unproven_total",
                  "Bind requests that were asked for a proof of the way back."},
                 pairs.binds_unproven);
    text.counter({"cvlan_relay_binds_refused_total", "Bind requests not answered."},
                 pairs.binds_refused);
    text.counter({"cvlan_relay_kernel_failures_total", "Pairs that the kernel did not take."},
                 pairs.failed);
}

// Nothing where it can not be read: a counter that steps back would be taken for a restart.
void write_forwarded(metrics::Text& text, relay::PairHost& host) {
    const auto traffic = host.traffic();
    if (!traffic) return;
    text.counter(
        {"cvlan_relay_kernel_packets_total", "Packets of pairs that the kernel forwarded."},
        traffic->packets);
    text.counter({"cvlan_relay_kernel_bytes_total", "Bytes of these packets, with IP headers."},
                 traffic->bytes);
}

}  // namespace

std::string Relay::metrics() const {
    metrics::Text text;
    write_tls(text, server_->stats());
    const relay::StunStats& stun = stun_->stats();
    text.counter({"cvlan_relay_stun_requests_total", "Datagrams on the STUN and pair ports."},
                 stun.datagrams);
    text.counter({"cvlan_relay_stun_bindings_total", "Binding requests answered."}, stun.bindings);
    if (pairs_) write_pairs(text, pairs_->stats());
    if (pairs_) write_forwarded(text, *host_);
    const auto reached = std::count_if(members_.begin(), members_.end(),
                                       [](const auto& member) { return member->is_reached(); });
    text.gauge({"cvlan_relay_tenants", "Tenants that are served."},
               static_cast<double>(members_.size()));
    text.gauge({"cvlan_relay_tenants_reached", "Tenants whose controller answers."},
               static_cast<double>(reached));
    metrics::write_process(text);
    return text.take();
}

}  // namespace cvlan::relayd
